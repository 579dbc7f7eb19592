"""What a folder says was lost, all of it, with a name and a reason each."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline import storage
from pipeline.errors import InputError
from pipeline.failures import FAILURES_SCHEMA, Failure, read_failures
from pipeline.lost.settings import FailuresConfig
from pipeline.summary import EXIT_OK

# Key -> a file that every such folder has, and the job that makes it.
_SIGNS = {
    "store": ("feature_spec.json", "extract"),
    "predictions": ("provenance.json", "predict"),
    "out": ("videos.json", "export_features"),
}


@dataclass(frozen=True)
class FailureList:
    """Failures as they are printed.

    Attributes:
        url: the folder that says so.
        failures: those of the kinds that were asked for, by video.
        format: of the list; `csv` and `json` print nothing beside it.
    """

    url: str
    failures: tuple[Failure, ...]
    format: Literal["table", "csv", "json"] = "table"

    @property
    def exit_status(self) -> int:
        return EXIT_OK

    def counts(self) -> dict[str, int]:
        """How many failures there are of each kind, the most frequent first."""
        return dict(Counter(str(failure.kind) for failure in self.failures).most_common())

    def show(self, console: Console) -> None:
        """Print the list; nothing in it is read as markup."""
        match self.format:
            case "table":
                self._show_table(console)
            case "csv":
                console.file.write(as_csv(self.failures))
            case "json":
                content = {
                    "counts": self.counts(),
                    "failures": [asdict(failure) for failure in self.failures],
                }
                console.file.write(json.dumps(content, indent=1) + "\n")

    def _show_table(self, console: Console) -> None:
        if self.failures:
            table = Table(title=Text(self.url), title_justify="left")
            for name in ("video_id", "stage", "kind", "message"):
                table.add_column(name, overflow="fold")
            for failure in self.failures:
                cells = (failure.video_id, failure.stage, failure.kind, failure.message)
                table.add_row(*map(Text, cells))
            console.print(table)
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.counts().items())
        console.print(Text(f"{len(self.failures)} failures{f': {kinds}' if kinds else ''}"))


def list_failures(config: FailuresConfig) -> FailureList:
    """The failures of a folder. Raises InputError where it is none of the kind that the key says."""
    key = next(key for key in _SIGNS if getattr(config, key) is not None)
    url: str = getattr(config, key)
    sign, job = _SIGNS[key]
    if not storage.exists(storage.join(url, sign)):
        raise InputError(f"{key}={url}: no folder that {job} wrote ({sign} is missing); look at the path")
    found = read_failures(storage.join(url, "failures"))
    chosen = [failure for failure in found if not config.kind or failure.kind in config.kind]
    return FailureList(url, tuple(sorted(chosen, key=lambda failure: failure.video_id)), config.format)


def as_csv(failures: Sequence[Failure]) -> str:
    """A header and a line a failure, with the columns of `FAILURES_SCHEMA`."""
    text = io.StringIO()
    rows = csv.DictWriter(text, FAILURES_SCHEMA.names, lineterminator="\n")
    rows.writeheader()
    rows.writerows(asdict(failure) for failure in failures)
    return text.getvalue()
