"""How a job ends: counts that reconcile, what was lost by name, where the output lies, and the exit status."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # the command's help needs no tables
    from pipeline.failures import Failure

EXIT_OK = 0
EXIT_BROKEN = 1
EXIT_BAD_INPUT = 2
EXIT_LOST = 3

_SHOWN_FAILURES = 10
_ID_CHARACTERS, _REASON_CHARACTERS = 40, 90


@dataclass(frozen=True)
class Summary:
    """The end of a job.

    Attributes:
        job: the verb.
        unit: what is counted, in the plural ("videos").
        total: inputs; always `done + already_done + skipped + failed`.
        done: finished by this run.
        already_done: found finished.
        skipped: lost by an earlier job, so that this one had nothing to do them with.
        failed: lost by this job, each one a row in `failures/`.
        outputs: name -> URL of what was written.
        figures: further lines of the table, such as the throughput.
        allow_failures: failures do not change the exit status.
        failures: what was lost and what was skipped, the first of which are shown.
        failures_in: the word by which `raytad failures` lists them all, such as `store=/data/store`.
    """

    job: str
    unit: str
    total: int
    done: int
    already_done: int = 0
    skipped: int = 0
    failed: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    allow_failures: bool = False
    failures: "Sequence[Failure]" = ()
    failures_in: str | None = None

    def __post_init__(self) -> None:
        if self.total != self.done + self.already_done + self.skipped + self.failed:
            raise ValueError(
                f"{self.job}: {self.total} {self.unit} do not reconcile with {self.done} done, "
                f"{self.already_done} already done, {self.skipped} skipped, {self.failed} failed; "
                "this is a bug in raytad"
            )

    @property
    def exit_status(self) -> int:
        return EXIT_LOST if self.failed and not self.allow_failures else EXIT_OK

    def show(self, console: Console) -> None:
        """Print the summary table; nothing in it is read as markup, whatever the console does elsewhere."""
        title = Text(f"{self.job}: {self.total} {self.unit}")
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_row("done", str(self.done))
        table.add_row("already done", str(self.already_done))
        if self.skipped:
            table.add_row("skipped", f"{self.skipped} (lost before this job)")
        table.add_row("failed", Text(str(self.failed), "bold red" if self.failed else ""))
        for name, value in (*self.figures.items(), *self.outputs.items()):
            table.add_row(Text(name), Text(value))
        console.print(table)
        self._show_failures(console)

    def _show_failures(self, console: Console) -> None:
        """A line for each of the first failures, and where the others are told."""
        table = Table.grid(padding=(0, 2))
        for failure in self.failures[:_SHOWN_FAILURES]:
            cells = (one_line(failure.video_id, _ID_CHARACTERS), failure.kind)
            table.add_row(*map(Text, cells), Text(one_line(failure.message, _REASON_CHARACTERS)))
        if table.row_count:
            console.print(table)
        more = len(self.failures) - table.row_count
        if more and self.failures_in:
            # As it is, for it may be longer than the terminal is wide and is there to be copied.
            console.print(
                Text(f"and {more} more: raytad failures {shlex.quote(self.failures_in)}"), soft_wrap=True
            )


def one_line(text: str, characters: int) -> str:
    """A text on one line, without what cannot be printed, and cut where it is longer than so many characters."""
    line = " ".join(text.split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= characters else f"{line[: characters - 3]}..."
