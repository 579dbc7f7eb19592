"""The floors of the house: `jobs` over `pipeline` over `models`, and nothing looks up."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def imported_packages(path: Path) -> set[str]:
    """The top-level packages that a source file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize(
    ("floor", "forbidden"),
    [
        ("models", {"jobs", "pipeline", "ray", "hydra", "pydantic", "fsspec", "pyarrow", "logging"}),
        ("pipeline", {"jobs"}),
    ],
)
def test_no_file_of_a_floor_imports_from_above(floor: str, forbidden: set[str]) -> None:
    files = sorted((ROOT / floor).rglob("*.py"))
    assert files
    offences = {
        str(path.relative_to(ROOT)): sorted(imported_packages(path) & forbidden)
        for path in files
        if imported_packages(path) & forbidden
    }
    assert offences == {}


def test_importing_all_of_models_loads_neither_ray_nor_pipeline() -> None:
    program = """
import importlib, pkgutil, sys
import models
for module in pkgutil.walk_packages(models.__path__, "models."):
    importlib.import_module(module.name)
print(*sorted({"ray", "pipeline", "jobs"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
