"""Names of a package that are imported when first used: those of its parts that need PyTorch ask for it then."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tunewell.errors import MissingExtra


def late(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package (PEP 562): `homes` maps each of its modules to the names in it, as one text."""
    home = {name: module for module, names in homes.items() for name in names.split()}

    def found(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(f"{package}.{home[name]}")
        except ImportError as error:
            if error.name != "torch":
                raise
            raise MissingExtra(f"{package}.{name} needs PyTorch", hint="pip install 'tunewell[torch]'") from error
        value = getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return found
