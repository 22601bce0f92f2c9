"""The public names: one list, imported when first used, documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tunewell

HEAVY = ("numpy", "scipy", "sqlalchemy", "msgspec", "click", "rich", "alembic", "cloudpickle", "plotly")


def test_the_three_lists_are_one() -> None:
    """`__all__`, the table of homes, and what type checkers see."""
    tree = ast.parse(Path(tunewell.__file__).read_text())
    branch = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in branch.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname or alias.name: node.module for node in imports for alias in node.names}
    assert seen == tunewell._HOME
    assert tunewell.__all__ == sorted(tunewell.__all__)
    assert set(tunewell.__all__) == set(tunewell._HOME)


@pytest.mark.parametrize("name", tunewell.__all__)
def test_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(tunewell, name)
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert text
    assert not text.startswith(f"{name}(")  # what a dataclass writes where nobody else did


def test_dir_has_the_names() -> None:
    assert set(tunewell.__all__) <= set(dir(tunewell))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Gird"):
        tunewell.Gird  # type: ignore[attr-defined]


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_tunewell_imports_nothing_heavy() -> None:
    code = f"import sys, tunewell; print(*[name for name in {HEAVY} if name in sys.modules])"
    assert python(code) == ""


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, io, contextlib\nfrom tunewell.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])\n"
        f"print(*[name for name in {HEAVY} if name in sys.modules and name != 'click'])"
    )
    assert python(code) == ""


def test_no_module_takes_the_place_of_a_name() -> None:
    """Whoever imports all modules first finds the names all the same."""
    code = (
        "import importlib, tunewell\n"
        "homes = {name: importlib.import_module(home) for name, home in tunewell._HOME.items()}\n"
        "print(*[name for name, home in homes.items() if getattr(tunewell, name) is not getattr(home, name)])"
    )
    assert python(code) == ""


def test_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert tunewell.__version__ == version("tunewell")
