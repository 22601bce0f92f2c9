#!/usr/bin/env python3
"""Set up and run tunewell from a clone. Needs Python 3.11 or newer; the rest goes into the folder .venv.

    python3 dev.py demo                       watch a real network being tuned on real data
    python3 dev.py test [--torch] [ARG ...]   ruff, mypy and the tests; ARG goes to pytest; --torch adds PyTorch
    python3 dev.py bench [NAME ...]           the benchmarks: --json, --quick, --list, --only FIGURE
    python3 dev.py lock [--upgrade]           write requirements/*.txt anew (needs uv)
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

if sys.version_info < (3, 11):  # noqa: UP036  (a clone may be started with any Python)
    sys.exit(
        "tunewell needs Python 3.11 or newer, and this is Python {}.{}. "
        "Start dev.py with a newer one, for example: python3.12 dev.py demo".format(*sys.version_info)
    )

ROOT = Path(__file__).resolve().parent
RUN = ROOT / "requirements" / "run.txt"
DEV = ROOT / "requirements" / "dev.txt"  # holds all of RUN
BENCH = ROOT / "requirements" / "bench.txt"  # on top of DEV
TORCH = ROOT / "requirements" / "torch.txt"
PROJECT = ROOT / "pyproject.toml"
PYTHON = "{}.{}".format(*sys.version_info)


class SetupError(Exception):
    """A step of the set-up failed; the message is for the person at the terminal."""


class Environment:
    """A virtual environment that remembers which locked requirements it holds, so that a second start is quick."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / ("python.exe" if os.name == "nt" else "python")
        self.marks_file = folder / "tunewell-dev.json"

    def holds(self, file: Path) -> bool:
        """Whether `file` was installed here as it reads now, for this Python and in this place."""
        marks = self._marks()
        return marks.get("made") == self._made() and marks.get(file.name) == digest(file) and self.python.exists()

    def install(self, requirements: Path) -> None:
        """Install a hashed requirements file, making the environment first where there is none."""
        if self.holds(requirements):
            return
        self._make()
        with step(f"installing the packages of {shown(requirements)} by {installer()}"):
            self._install("--require-hashes", "--requirement", str(requirements))
        self._mark(requirements)

    def install_project(self) -> None:
        """Install this clone in place, without its dependencies."""
        if self.holds(PROJECT):
            return
        with step("installing tunewell in place"):
            self._install("--no-build-isolation", "--no-deps", "--editable", str(ROOT))
        self._mark(PROJECT)

    def install_torch(self) -> None:
        """Install the PyTorch of the tests, by pip, which can be told of a local build (PIP_FIND_LINKS); uv cannot."""
        if self.holds(TORCH):
            return
        if sys.implementation.name != "cpython" or PYTHON != "3.11":
            raise SetupError(f"the PyTorch of the tests is for CPython 3.11, and this is {sys.version.split()[0]}")
        with step(f"installing {TORCH.read_text().strip()} by pip (some 200 MB, or 3 GB where it comes with CUDA)"):
            run_quietly(pip(self.python), "--requirement", str(TORCH))
        self._mark(TORCH)

    def _install(self, *arguments: str) -> None:
        uv = shutil.which("uv")
        command = [uv, "pip", "install", "--python", str(self.python)] if uv else pip(self.python)
        run_quietly(command, *arguments)

    def _make(self) -> None:
        """Make the environment, or make it anew where it is broken or ours and for another Python or place."""
        if self.python.exists() and self._fits():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        uv, base = shutil.which("uv"), getattr(sys, "_base_executable", sys.executable)
        made_by = [uv, "venv", "--no-project"] if uv else [base, "-m", "venv"]
        choice = ["--python", base] if uv else []
        try:
            with step(f"making {shown(self.folder)} for Python {PYTHON}"):
                run_quietly(made_by, *choice, str(self.folder))
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self._mark()

    def _fits(self) -> bool:
        made = self._marks().get("made")
        if made:
            return made == self._made()
        settings = self.folder / "pyvenv.cfg"
        lines = settings.read_text().splitlines() if settings.exists() else []
        if not any(line.partition("=")[2].strip().startswith(f"{PYTHON}.") for line in lines):
            raise SetupError(f"{shown(self.folder)} was made by hand, for a Python other than {PYTHON}: delete it")
        return True

    def _made(self) -> str:
        return f"for Python {PYTHON} in {self.folder}"

    def _marks(self) -> dict[str, str]:
        try:
            marks: dict[str, str] = json.loads(self.marks_file.read_text())
        except (OSError, ValueError):
            return {}
        return marks

    def _mark(self, *installed: Path) -> None:
        marks = self._marks() | {"made": self._made()} | {file.name: digest(file) for file in installed}
        self.marks_file.write_text(json.dumps(marks, indent=1))


def demo(arguments: Sequence[str]) -> NoReturn:
    """Run the demo, in the folder that the user is in."""
    environment = Environment(ROOT / ".venv")
    if not environment.holds(DEV):
        environment.install(RUN)
    environment.install_project()
    become([str(environment.bin / "tunewell"), "demo", *arguments])


def test(arguments: Sequence[str]) -> int:
    """Run every check, whether or not one before it failed, and say at the end which did."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    environment = development()
    if "--torch" in arguments:
        try:
            environment.install_torch()
        except SetupError as error:
            say(f"PyTorch: skipped, and the tests that need it: {error}")
    chosen = [argument for argument in arguments if argument != "--torch"]
    checks = [
        ("ruff", "check", "--output-format=concise", "."),
        ("mypy", "--strict"),
        ("pytest", "--numprocesses=2", "--dist=loadgroup", *chosen),
    ]
    outcomes = [check(environment, *words) for words in checks]
    print("\n" + ", ".join(text for text, _ in outcomes), flush=True)
    return int(any(failed for _, failed in outcomes))


def check(environment: Environment, tool: str, *arguments: str) -> tuple[str, bool]:
    """Run one tool of the environment under a heading: what to say of it, and whether it failed."""
    print(f"\n== {tool} {' '.join(arguments)}", flush=True)
    start = time.perf_counter()
    failed = wait_for([str(environment.python), "-m", tool, *arguments], ROOT) != 0
    return f"{tool} {'failed' if failed else 'passed'} in {time.perf_counter() - start:.1f} s", failed


def bench(arguments: Sequence[str]) -> NoReturn:
    """Hand over to `python -m benchmarks`."""
    environment = development()
    environment.install(BENCH)
    os.chdir(ROOT)
    become([str(environment.python), "-m", "benchmarks", *arguments])


def lock(arguments: Sequence[str]) -> int:
    """Write the hashed requirement files anew; uv keeps what still fits unless told `--upgrade`."""
    if set(arguments) - {"--upgrade"}:
        print(__doc__)
        return 2
    uv = shutil.which("uv")
    if not uv:
        raise SetupError("lock needs uv, which is not on the PATH; pip install uv brings it")
    form = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    command = [uv, "pip", "compile", *form, "--python", sys.executable, *arguments]
    project = ["pyproject.toml", "requirements/build.in", "--extra=demo"]
    sets = {
        "requirements/run.txt": project,
        "requirements/dev.txt": [*project, "requirements/dev.in", "--extra=postgres", "-c", "requirements/run.txt"],
        "requirements/bench.txt": ["requirements/bench.in", "-c", "requirements/dev.txt"],
    }
    for source in sorted((ROOT / "benchmarks" / "peers").glob("*.in")):
        sets[shown(source.with_suffix(".txt"))] = [shown(source)]
    for output, sources in sets.items():
        with step(f"locking {output}"):
            run_quietly(command, *sources, "--output-file", output)
    return 0


def development() -> Environment:
    """The environment of the tests and benchmarks, made on first use."""
    environment = Environment(ROOT / ".venv")
    environment.install(DEV)
    environment.install_project()
    return environment


def installer() -> str:
    """What the packages are installed by, and how long that takes."""
    return "uv (some seconds)" if shutil.which("uv") else "pip (about a minute)"


def pip(python: Path) -> list[str]:
    """The pip command of an environment."""
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]


def digest(file: Path) -> str:
    """The hash of a file's text, in short."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def shown(path: Path) -> str:
    """A path as the user would type it from the top of the clone."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def say(text: str, end: str = "\n") -> None:
    """Tell how it goes, on the error stream: what a program reads goes to the other."""
    print(text, end=end, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """One line for one step: what it does, and when it is done, its seconds."""
    say(f"{what} ... ", end="")
    start, outcome = time.perf_counter(), "failed"
    try:
        yield
        outcome = f"{time.perf_counter() - start:.1f} s"
    finally:
        say(outcome)


def run_quietly(command: Sequence[str], *arguments: str) -> None:
    """Run a command and keep what it prints for the case that it fails."""
    words = [*command, *arguments]
    settings = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(words, check=False, cwd=ROOT, env=settings, capture_output=True, text=True)
    if done.returncode:
        last = "".join(f"    {line}\n" for line in (done.stdout + done.stderr).strip().splitlines()[-15:])
        raise SetupError(f"this failed (exit code {done.returncode}): {' '.join(words)}\n{last}{ADVICE}")


ADVICE = """\
Starting the same command again goes on where it stopped. If that fails too, delete the folder .venv first.
Where the network needs a proxy or a mirror, set it in the environment or in pip's configuration.
Where Python comes without venv (Debian, Ubuntu), install python3-venv or uv."""


def wait_for(command: Sequence[str], folder: Path) -> int:
    """Run a command to its end; Ctrl-C is its business, as it gets the signal as well."""
    with subprocess.Popen(command, cwd=folder) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def become(command: list[str]) -> NoReturn:
    """End as another program: in its place where the system can, so that signals reach it."""
    if os.name == "nt":
        sys.exit(wait_for(command, Path.cwd()))
    os.execv(command[0], command)


def main() -> int:
    """Run the command that the first word names."""
    commands = {"demo": demo, "test": test, "bench": bench, "lock": lock}
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(__doc__)
        return 0
    if name not in commands:
        say(f"dev.py: no command {name!r}; there are {', '.join(commands)}")
        return 2
    try:
        return commands[name](arguments)
    except SetupError as error:
        say(f"dev.py: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
