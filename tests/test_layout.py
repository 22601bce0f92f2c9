"""A file imports only what stands above it: in the list of docs/design.md, and in that of its own folder."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tunewell"

SIBLINGS = ("methods", "stores", "executors", "report")
"""Folders of plugs: none of them imports another."""

INSIDE = ("report", "cli")
"""What the library imports inside functions only: who tunes from a program need not load what draws and prints."""

HEAVY = ("alembic", "cloudpickle", "plotly", "psycopg", "pyarrow", "rich", "scipy", "sklearn", "threadpoolctl", "torch")
"""Imported inside functions, so that who does not use it does not wait for it."""

ALLOWED = (
    "honest/compare.py",
    "honest/shrinkage.py",
    "honest/worth.py",
    "architecture/",
    "hypergradient/networks/",
    "methods/front.py",
    "methods/promise.py",
    "methods/readings.py",
    "methods/search.py",
    "methods/terms.py",
    "stores/migrations/",
    "surrogates/",
)
"""Files that are themselves imported inside functions."""


class Import(NamedTuple):
    """One import; `name` is that of a module. `lazy`: inside a function; `typing`: for type checkers only."""

    name: str
    line: int
    lazy: bool
    typing: bool


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Every import of a file."""
    return tuple(_imports(ast.parse(path.read_text()), lazy=False, typing=False))


def _imports(tree: ast.AST, lazy: bool, typing: bool) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, lazy, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield Import(name if _file(name) else node.module or "", node.lineno, lazy, typing)
        else:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            yield from _imports(node, lazy or is_function, typing or is_typing)


def _file(module: str) -> Path | None:
    """The file of one of our modules."""
    stem = ROOT.joinpath("src", *module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def ours(path: Path) -> Iterator[tuple[Import, Path]]:
    """The imports of a file that lead to files of ours, without those for type checkers."""
    for found in imports(path):
        file = _file(found.name) if found.name.startswith("tunewell.") else None
        if file is not None and not found.typing:
            yield found, file


def part(path: Path) -> str:
    """The part of the package that a file belongs to: the name of its folder, or of itself."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def at(path: Path, found: Import) -> str:
    return f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"


@cache
def layout() -> tuple[str, ...]:
    """The parts of the package in the order of the design page."""
    block = re.search(r"(?ms)^src/tunewell/$(.*?)^\S", (ROOT / "docs" / "design.md").read_text())
    assert block
    names = re.findall(r"(?m)^  (\w+)(?:/|\.py)", block[1])
    return tuple(name for name in names if name != "__init__")


FILES = [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]
OURS = [(path, found, file) for path in FILES for found, file in ours(path)]
FOLDERS = sorted(path.parent for path in FILES if path.name == "__init__.py")


def test_layout_is_that_of_the_design_page() -> None:
    found = {part(path) for path in FILES}
    assert set(layout()) == found
    assert len(layout()) == len(found)


def test_layout_is_that_of_the_readme() -> None:
    table = (ROOT / "README.md").read_text().partition("## Layout")[2]
    named = set(re.findall(r"(?m)^\| `src/tunewell/(\w+)(?:/|\.py)", table))
    assert named == {part(path) for path in FILES}


def test_imports_lead_upwards() -> None:
    above = {name: layout()[:place] for place, name in enumerate(layout())}
    wrong = [at(path, found) for path, found, file in OURS if part(file) not in (*above[part(path)], part(path))]
    assert not wrong, "\n".join(wrong)


def test_siblings_do_not_know_each_other() -> None:
    pairs = [(path, found) for path, found, file in OURS if {part(path), part(file)} <= set(SIBLINGS)]
    wrong = [at(path, found) for path, found in pairs if part(path) != found.name.split(".")[1]]
    assert not wrong, "\n".join(wrong)


def test_doors_are_inside_functions() -> None:
    library = [found for found in OURS if part(found[0]) not in (*INSIDE, "__main__", "contract")]
    wrong = [at(path, found) for path, found, file in library if part(file) in INSIDE and not found.lazy]
    assert not wrong, "\n".join(wrong)


def test_heavy_packages_are_imported_inside_functions() -> None:
    early = [(path, found) for path in FILES for found in imports(path) if not found.lazy and not found.typing]
    wrong = [at(path, found) for path, found in early if found.name.partition(".")[0] in HEAVY and not allowed(path)]
    assert not wrong, "\n".join(wrong)


def allowed(path: Path) -> bool:
    return path.relative_to(SOURCE).as_posix().startswith(ALLOWED)


def test_only_stores_know_sqlalchemy_and_only_the_command_line_knows_click() -> None:
    homes = {"sqlalchemy": "stores", "click": "cli"}
    wrong = [
        at(path, found)
        for path in FILES
        for found in imports(path)
        if homes.get(found.name.partition(".")[0], part(path)) != part(path)
    ]
    assert not wrong, "\n".join(wrong)


def listed(folder: Path) -> list[str]:
    """The files that the docstring of a folder names, in order."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    return re.findall(r"(?m)^ {0,4}(\w+)(?:\.py|/) {2,}", text)


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if listed(folder)], ids=lambda folder: folder.name)
def test_folder_lists_its_files_in_order(folder: Path) -> None:
    """Each file of a folder imports only those above it in the list that opens the folder."""
    order = listed(folder)
    files = {path.stem for path in folder.glob("*.py") if path.stem != "__init__"}
    assert files <= set(order), f"missing in the list: {files - set(order)}"
    assert {name for name in order if (folder / f"{name}.py").is_file() or (folder / name).is_dir()} == set(order)
    for path in sorted(folder.glob("*.py")):
        above = order[: order.index(path.stem)] if path.stem in order else order
        inside = [(found, file) for found, file in ours(path) if file.parent == folder and file.stem != "__init__"]
        wrong = [at(path, found) for found, file in inside if file.stem not in above and not found.lazy]
        assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", SIBLINGS)
def test_folders_of_plugs_list_their_files(name: str) -> None:
    assert listed(SOURCE / name)


def test_every_dependency_is_declared() -> None:
    """What is imported without a guard is in pyproject.toml; the rest are extras."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    declared = {re.split(r"[\[<>=]", line)[0].lower() for line in (*project["dependencies"], *extras)}
    names = {"scikit-learn": "sklearn"}
    known = {names.get(name, name) for name in declared} | set(sys.stdlib_module_names) | {"tunewell"}
    used = {found.name.partition(".")[0] for path in FILES for found in imports(path)}
    assert used - known <= {"__future__", "pytest", "hypothesis"}
