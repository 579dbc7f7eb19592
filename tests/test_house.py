"""The house: `raytad`, `jobs`, `pipeline`, `models`, rooms in the order in which data flows, and nothing looks up."""

import ast
import re
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
        (
            "models",
            {"raytad", "jobs", "pipeline", "ray", "hydra", "pydantic", "fsspec", "pyarrow", "logging"},
        ),
        ("pipeline", {"raytad", "jobs"}),
        ("jobs", {"raytad"}),
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


def modules() -> dict[str, Path]:
    """Every module of `pipeline` by its dotted name."""
    found = {}
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module: str, path: Path) -> str:
    """The package that a module lies in; a module that stands in `pipeline` itself is a room of its own."""
    folders = path.relative_to(ROOT).parts[:-1]
    return module if folders == ("pipeline",) else ".".join(folders)


def imports_between_rooms() -> dict[str, set[str]]:
    """Room -> the rooms that it imports, wherever in its files."""
    known = modules()
    graph: dict[str, set[str]] = {room_of(name, path): set() for name, path in known.items()}
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text())):
            wanted = []
            if isinstance(node, ast.ImportFrom) and node.module:
                wanted = [f"{node.module}.{alias.name}" for alias in node.names]
                wanted = [full if full in known else node.module for full in wanted]
            elif isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            rooms = {room_of(module, known[module]) for module in wanted if module in known}
            graph[room_of(name, path)] |= rooms - {room_of(name, path), "pipeline"}
    return graph


def reachable(graph: dict[str, set[str]], room: str) -> set[str]:
    seen: set[str] = set()
    waiting = [room]
    while waiting:
        for near in graph[waiting.pop()] - seen:
            seen.add(near)
            waiting.append(near)
    return seen


def test_no_two_rooms_of_pipeline_import_each_other_straight_or_round_about() -> None:
    graph = imports_between_rooms()
    assert "pipeline.detector" in graph["pipeline.training"]  # the graph is really there
    assert {room: reachable(graph, room) for room in graph if room in reachable(graph, room)} == {}


def test_training_and_inference_stand_side_by_side() -> None:
    graph = imports_between_rooms()
    assert "pipeline.inference" not in reachable(graph, "pipeline.training")
    assert "pipeline.training" not in reachable(graph, "pipeline.inference")


def test_a_room_imports_only_rooms_before_it_in_the_flow_of_data() -> None:
    flow = [
        "settings", "storage", "cluster", "video", "annotations", "features", "segments", "detector", "evaluation",
        "naming", "training", "inference", "report",
    ]  # fmt: skip
    place = {f"pipeline.{room}": number for number, room in enumerate(flow)}

    def of(room: str) -> int | None:
        return place.get(".".join(room.split(".")[:2]))

    offences = [
        f"{room} imports {other}"
        for room, others in imports_between_rooms().items()
        for other in sorted(others)
        if (here := of(room)) is not None and (there := of(other)) is not None and there > here
    ]
    assert offences == []


def test_only_one_file_imports_the_insides_of_ray() -> None:
    private = {
        str(path.relative_to(ROOT))
        for floor in ("pipeline", "jobs")
        for path in (ROOT / floor).rglob("*.py")
        if re.search(r"\bray[\w.]*\._(private|internal)\b", path.read_text())
    }
    assert private == {"pipeline/cluster/insides.py"}


def test_no_file_is_two_ideas_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for floor in ("models", "pipeline", "jobs", "benchmarks", "tests")
        for path in (ROOT / floor).rglob("*")
        if path.suffix in (".py", ".js", ".css")
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_settings_and_help_need_no_torch_and_no_ray() -> None:
    program = """
import sys
from jobs import compact, compare, demo, evaluate, export_features, export_segments, extract, failures
from jobs import import_features
from jobs import label, name, predict, report, splits, train
print(*sorted({"ray", "torch", "av"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
