"""A server between a client and PostgreSQL that cuts the connection at a commit."""

import select
import socket
import threading


class Proxy:
    """Passes on what both sides say. `cut`: "before" a commit reaches the server, "after" it was done, None: never."""

    def __init__(self, path: str) -> None:
        self.cut: str | None = None
        self.cuts = 0
        self._path = path
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._peers: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._ended = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended:
            ready, _, _ = select.select([self._listening, *self._peers], [], [], 0.02)
            for each in ready:
                if each is self._listening:
                    self._accept()
                elif each in self._peers:
                    self._pass(each)

    def _accept(self) -> None:
        client, _ = self._listening.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._path)
        self._clients.add(client)
        self._peers |= {client: server, server: client}

    def _pass(self, source: socket.socket) -> None:
        try:
            data = source.recv(1 << 16)
            if data and not self._is_cut(source, data):
                self._peers[source].sendall(data)
                return
        except OSError:
            pass
        self._hang_up(source)

    def _is_cut(self, source: socket.socket, data: bytes) -> bool:
        if source not in self._clients or not self.cut or b"COMMIT" not in data:
            return False
        if self.cut == "after":
            self._peers[source].sendall(data)
            self._peers[source].recv(1 << 16)  # the answer, which the client never gets
        self.cut = None
        self.cuts += 1
        return True

    def _hang_up(self, one: socket.socket) -> None:
        other = self._peers.pop(one)
        del self._peers[other]
        for each in (one, other):
            self._clients.discard(each)
            each.close()

    def close(self) -> None:
        """Hang up on everybody, and answer nobody any more."""
        self._ended = True
        self._thread.join()
        self._listening.close()
        while self._peers:
            self._hang_up(next(iter(self._peers)))
