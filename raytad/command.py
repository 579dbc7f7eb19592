"""The command `raytad`: a verb, and the words of its job."""

import ast
import difflib
import importlib
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from raytad import __version__

# In the order in which data flows; each is a module of `jobs`.
VERBS = (
    "demo", "extract", "import_features", "export_features", "train", "splits", "predict", "evaluate", "report",
)  # fmt: skip
_BAD_INPUT = 2

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
        case "help" | "--help" | "-h":
            if rest:
                _job(rest[0]).main([*rest[1:], "--help"], f"raytad {rest[0]}")
            _show_verbs()
        case "config":
            if not rest:
                _refuse(f"config: of which verb? {', '.join(VERBS)}")
            _job(rest[0]).show_config(rest[1:])
        case _:
            _job(verb).main(rest, f"raytad {verb}")


def _job(verb: str) -> Any:
    name = verb.replace("-", "_")
    if name not in VERBS:
        near = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(VERBS)}"
        _refuse(f"{verb}: no such verb; {hint}")
    return importlib.import_module(f"jobs.{name}").JOB


def _refuse(message: str) -> None:
    print(f"raytad: {message}", file=sys.stderr)
    sys.exit(_BAD_INPUT)


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
