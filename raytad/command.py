"""The command `raytad`: a verb, and the words of its job."""

import ast
import difflib
import importlib
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline.summary import EXIT_BAD_INPUT
from raytad import __version__

if TYPE_CHECKING:
    from pipeline.job import Job

# In the order in which data flows; each is a module of `jobs`.
VERBS = (
    "demo", "extract", "import_features", "export_features", "train", "splits", "predict", "name", "label", "detect",
    "evaluate", "report", "export_segments", "compare", "failures", "compact",
)  # fmt: skip
_USAGE = """\
raytad <verb> key=value ...      run a job; the same command continues after any stop
raytad help <verb>               its keys, with their meanings and defaults
raytad config <verb> key=value   the settings that these words make, as YAML
raytad --version
"""


def main(words: Sequence[str] | None = None) -> None:
    """Run a verb and exit with its status: that of `Job.main`, or 2 where there is no such verb."""
    verb, *rest = list(sys.argv[1:] if words is None else words) or ["help"]
    match verb:
        case "--version" | "-V":
            print(f"raytad {__version__}")
        case "help" | "--help" | "-h" if not rest:
            _show_verbs()
        case "help" | "--help" | "-h":
            _job(rest[0]).main([*rest[1:], "--help"], f"raytad {rest[0]}")
        case "config" if not rest:
            _refuse(f"config: of which verb? {', '.join(VERBS)}")
        case "config":
            _job(rest[0]).show_config(rest[1:])
        case _:
            _job(verb).main(rest, f"raytad {verb}")


def _job(verb: str) -> "Job[Any]":
    name = verb.replace("-", "_")
    if name not in VERBS:
        near = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(VERBS)}"
        _refuse(f"{verb}: no such verb; {hint}")
    job: Job[Any] = importlib.import_module(f"jobs.{name}").JOB
    return job


def _refuse(message: str) -> NoReturn:
    print(f"raytad: {message}", file=sys.stderr)
    sys.exit(EXIT_BAD_INPUT)


def _show_verbs() -> None:
    print(f"raytad {__version__}: finds actions in untrimmed video\n\n{_USAGE}")
    for verb in VERBS:
        print(f"  {verb:16} {_meaning(verb)}")


def _meaning(verb: str) -> str:
    """The first words of a job's docstring, read without importing what the job needs."""
    spec = find_spec(f"jobs.{verb}")
    assert spec is not None
    assert spec.origin is not None
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return text.partition(":")[0]
