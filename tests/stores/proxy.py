"""A server between a client and PostgreSQL that cuts the connection at a commit."""

import socket
import threading
from contextlib import suppress


class Proxy:
    """Passes on what both sides say. `cut`: "before" a commit reaches the server, "after" it was done, or None: never."""

    def __init__(self, path: str) -> None:
        self.cut: str | None = None
        self.cuts = 0
        self._path = path
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._path)
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if asking and self.cut and b"COMMIT" in data:
                    self._cut_off(data, source, target)
                    return
                target.sendall(data)
        except OSError:
            pass
        hang_up(source, target)

    def _cut_off(self, data: bytes, client: socket.socket, server: socket.socket) -> None:
        how, self.cut = self.cut, None
        self.cuts += 1
        hang_up(client)
        if how == "after":
            server.sendall(data)
            server.recv(1)  # the other thread may have taken the answer; either way it was given
        hang_up(server)

    def close(self) -> None:
        self._listening.close()


def hang_up(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
