"""What `--help` prints of a job: how it is called, the keys that most users give, and then all others."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.compose import compose_values, group_options, preset_groups
from pipeline.keys import choices_of, described_keys

KeyRow = tuple[str, str | Text, str]


class Described(Protocol):
    """A job, as far as its help goes; see `pipeline.job.Job`."""

    @property
    def name(self) -> str: ...
    @property
    def config_type(self) -> type[BaseModel]: ...
    @property
    def run(self) -> Callable[..., Any]: ...
    @property
    def often(self) -> tuple[str, ...]: ...
    @property
    def example(self) -> str: ...
    @property
    def page(self) -> str: ...


def show_help(job: Described, console: Console, presets: Sequence[str], command: str) -> None:
    """Print every key of a job with its meaning and its default, as `presets` (words as `model=tp2detr`) choose it.

    Raises InputError where there is no such preset.
    """
    rows = key_rows(job, presets)
    required = [key for key, (_, default, _) in rows.items() if isinstance(default, Text)]
    first = list(dict.fromkeys([*required, *job.often]))
    console.print(Text.assemble((command, "bold"), " key=value ..."))
    console.print((job.run.__doc__ or "").strip().splitlines()[0], "", sep="\n")
    console.print(Text(f"  {command} {job.example}"), soft_wrap=True)
    console.print("", Text(f"More in {job.page}."), "", sep="\n")
    console.print(_table("what you need", (rows[key] for key in first)))
    console.print("", _table("everything else", (row for key, row in rows.items() if key not in first)))


def key_rows(job: Described, presets: Sequence[str]) -> dict[str, KeyRow]:
    """Each key of a job: itself, its default as `presets` choose it (a `Text` where it has none), and its meaning.

    Raises InputError where there is no such preset.
    """
    values = compose_values(job.name, job.config_type, presets)
    return {group: _preset(group) for group in preset_groups(job.name)} | {
        leaf: (leaf, default, _meaning(field))
        for key, field in described_keys(job.config_type, values)
        for leaf, default in _leaves(key, values)
    }


def _table(heading: str, rows: Iterable[KeyRow]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in (heading, "default", "meaning"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _preset(group: str) -> KeyRow:
    return f"{group}=", "", f"a preset: {', '.join(group_options(group))}"


def _meaning(field: FieldInfo) -> str:
    choices = choices_of(field)
    return (
        f"{field.description or ''} [{', '.join(choices)}]" if len(choices) > 1 else field.description or ""
    )


def _leaves(key: str, values: dict[str, Any]) -> Iterator[tuple[str, str | Text]]:
    """A key and its default; for a key that holds a preset's free-form group, each key in the group."""
    node: Any = values
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            yield key, Text("required", "bold")
            return
        node = node[part]
    if isinstance(node, dict):
        for name in node:
            yield from _leaves(f"{key}.{name}", values)
    else:
        yield key, json.dumps(node).strip('"')
