"""docs/configuration.md lists every key, from the settings themselves.

After a change of keys: python -m tests.test_configuration_page > docs/configuration.md
"""

import importlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from models.detectors import DETECTORS
from pipeline.help_page import KeyRow, key_rows
from raytad.command import VERBS

_SEVERAL = 4  # jobs that a key means the same in, from which on it is listed once
_BEGINNING = """\
# Every key

Written from the settings themselves (`python -m tests.test_configuration_page > docs/configuration.md`).
`raytad help <verb>` prints the same for one verb, what is needed first, and `raytad config <verb> key=value ...` what
words make of it.

A key is given as `key=value`. Presets (`model=`, `dataset=`, `experiment=` ...) set many keys at once; what is given
beside them counts more. A list is `[a,b]`, `null` is none.
"""


def page() -> str:
    """The reference as Markdown."""
    rows = {verb: key_rows(importlib.import_module(f"jobs.{verb}").JOB, ()) for verb in VERBS}
    counts = Counter(tuple(map(str, row)) for keys in rows.values() for row in keys.values())
    shared = {row for row, count in counts.items() if count >= _SEVERAL}
    everywhere = {
        key: row for keys in rows.values() for key, row in keys.items() if tuple(map(str, row)) in shared
    }
    parts = [_BEGINNING, _section("Keys of several jobs", everywhere.values())]
    for verb, keys in rows.items():
        own = [
            row
            for key, row in keys.items()
            if key not in everywhere and not key.startswith(("model.", "loss."))
        ]
        groups = [re.sub(r"\..*", ".*", key) for key in keys if key in everywhere]
        common = [f"`{group}`" for group in dict.fromkeys(groups)]
        more = f"\nAnd of those above: {', '.join(common)}.\n" if common else ""
        parts.append(_section(f"`{verb}`", own) + more)
    parts += [_section(f"`train` with `model={name}`", _hyperparameters(name)) for name in DETECTORS]
    return "\n".join(parts)


def _hyperparameters(name: str) -> list[KeyRow]:
    """What the preset of a detector sets of it and of its loss."""
    rows = key_rows(importlib.import_module("jobs.train").JOB, [f"model={name}"])
    return [row for key, row in rows.items() if key.startswith(("model.", "loss.")) and ".name" not in key]


def _section(heading: str, rows: Iterable[KeyRow]) -> str:
    lines = [f"| `{key}` | {_cell(str(default))} | {_escaped(meaning)} |" for key, default, meaning in rows]
    return "\n".join([f"## {heading}", "", "| key | default | meaning |", "|---|---|---|", *lines, ""])


def _cell(default: str) -> str:
    if default in ("", "required"):
        return default
    return f"`{_escaped(default)}`"


def _escaped(text: str) -> str:
    return re.sub(r"([|<])", r"\\\1", text)


def test_the_page_lists_every_key_as_it_is() -> None:
    written = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()
    assert written == page()


if __name__ == "__main__":
    print(page(), end="")
