"""The pages are true: their Python runs, their TOML is read, their commands work, nothing public is missing."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

import tunewell
from tunewell.studyfile import read

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = ROOT / "docs" / "reference.md"
NOT_RUN = "<!-- not run -->"


class Block(NamedTuple):
    """A fenced block of a page; `line` is that of its first line of text."""

    language: str
    text: str
    line: int


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of a page in one of these languages, without those marked as not run."""
    return [block for block in _fenced(page.read_text().splitlines()) if block.language in languages]


def _fenced(lines: Sequence[str]) -> Iterator[Block]:
    fences = [index for index, line in enumerate(lines) if line.startswith("```")]
    for start, end in zip(fences[::2], fences[1::2], strict=True):
        if not any(NOT_RUN in line for line in lines[max(start - 2, 0) : start]):
            yield Block(lines[start][3:].strip(), "\n".join(lines[start + 1 : end]) + "\n", start + 2)


def shown(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def with_blocks(*languages: str) -> list[Any]:
    """The pages that have such blocks, as parameters."""
    return [pytest.param(page, id=shown(page)) for page in PAGES if blocks(page, *languages)]


def lay_out(page: Path, folder: Path) -> None:
    """Write the blocks that begin with the name of a file, and install the package of a pyproject.toml."""
    for block in blocks(page, "toml", "python"):
        if name := re.match(r"# (\S+\.(?:toml|py))\n", block.text):
            (folder / name[1]).parent.mkdir(exist_ok=True)
            (folder / name[1]).write_text(block.text)
        elif block.language == "toml" and "project" in (data := tomllib.loads(block.text)):
            install(folder, data["project"]["entry-points"])


def install(folder: Path, groups: Mapping[str, Mapping[str, str]]) -> None:
    """What an installer would leave in `folder` of a package with these entry points."""
    information = folder / "page-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: page\nVersion: 1\n")
    lines = [line for name, points in groups.items() for line in (f"[{name}]", *map(" = ".join, points.items()))]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_runs(page: Path, tmp_path: Path) -> None:
    """In a process of its own, as a reader would: the blocks in order, one namespace, an empty folder."""
    lay_out(page, tmp_path)
    program = tmp_path / "page.py"
    lines: list[str] = []
    for block in blocks(page, "python"):
        lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()  # a traceback shows the page's lines
    program.write_text("\n".join(lines) + "\n")
    done = run([sys.executable, "-W", "error", program.name], tmp_path)
    assert done.returncode == 0, f"{shown(page)}\n{done.stdout}{done.stderr}"


def test_contract_of_the_new_method_holds(tmp_path: Path) -> None:
    """The page for authors of methods promises that its method keeps the laws."""
    lay_out(ROOT / "docs" / "new-method.md", tmp_path)
    done = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hill_climb.py"], tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", with_blocks("toml"))
def test_toml_is_read(page: Path, tmp_path: Path) -> None:
    """Study files by the real parser, which checks every name in them; parts of a pyproject.toml as TOML."""
    for number, block in enumerate(blocks(page, "toml")):
        data = tomllib.loads(block.text)
        if "space" in data:
            path = tmp_path / f"study{number}.toml"
            path.write_text(block.text)
            read(path)
        else:
            assert "project" in data, (
                f"{shown(page)}:{block.line} is neither a study file nor a part of a pyproject.toml"
            )


@pytest.mark.parametrize("page", with_blocks("console"))
def test_commands_work(page: Path, tmp_path: Path) -> None:
    """Each line after `$` ends with 0, in a folder that has the page's study files and programs in it."""
    lay_out(page, tmp_path)
    for block in blocks(page, "console"):
        lines = [shlex.split(line[2:], comments=True) for line in block.text.splitlines() if line[:2] == "$ "]
        (tmp_path / "commands.json").write_text(json.dumps(lines))
        done = run([sys.executable, "-W", "error", "-c", COMMANDS], tmp_path)
        assert done.returncode == 0, f"{shown(page)}\n{done.stdout}{done.stderr}"


COMMANDS = """
import json
from pathlib import Path
from tunewell.cli import main

for program, *words in json.loads(Path("commands.json").read_text()):
    assert program == "tunewell", program
    code = main(words)
    assert code == 0, f"{words} ended with {code}"
"""
"""All commands of a block in one process: the imports take longer than they do."""


def run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("page", [pytest.param(page, id=shown(page)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(?ms)^```.*?^```", "", page.read_text()))
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    missing = [target for target in local if not _exists(page, target)]
    assert not missing


def _exists(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return file.exists() and (not anchor or anchor in anchors(file))


def anchors(page: Path) -> set[str]:
    """The anchors that a reader of Markdown gives to the headings of a page."""
    titles = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", tunewell.__all__)
def test_public_name_is_in_the_reference(name: str) -> None:
    assert re.search(rf"(?m)^\| `{name}\b", REFERENCE.read_text())


def test_reference_names_nothing_else() -> None:
    section = REFERENCE.read_text().partition("## Commands")[0]
    assert set(re.findall(r"(?m)^\| `(\w+)", section)) <= set(tunewell.__all__)


def commands() -> dict[str, click.Command]:
    from tunewell.cli import commands as group

    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def test_every_command_and_option_is_in_the_reference() -> None:
    section = REFERENCE.read_text().partition("## Commands")[2]
    common, _, table = section.partition("| command")
    for name, command in commands().items():
        line = re.search(rf"(?m)^\| `tunewell {re.escape(name)}\b.*$", table)
        assert line, f"tunewell {name}"
        for parameter in command.params:
            for option in [option for option in parameter.opts if option.startswith("--")]:
                assert re.search(rf"`{option}\b", line[0] + common), f"tunewell {name} {option}"


def test_reference_has_no_other_command() -> None:
    section = REFERENCE.read_text().partition("## Commands")[2]
    assert set(re.findall(r"(?m)^\| `tunewell ([\w-]+)", section)) == set(commands())


@pytest.mark.parametrize("page", [pytest.param(page, id=shown(page)) for page in PAGES])
def test_lines_are_short(page: Path) -> None:
    """At most 120 columns, tables apart: a page is read in a terminal as well."""
    long = [line for line in page.read_text().splitlines() if len(line) > 120 and not line.startswith(("|", "!["))]
    assert long == []


@pytest.mark.parametrize("page", with_blocks("python"))
def test_blocks_are_python(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block.text)
