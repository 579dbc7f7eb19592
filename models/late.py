"""Names of a package that are imported when they are asked for: settings need a detector's config, and no torch."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def imported_late(package: str, **modules: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package: each name and the module of the package that has it."""

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return find
