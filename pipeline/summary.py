"""How a job ends: counts that reconcile, where the output lies, and the exit status."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

EXIT_OK = 0
EXIT_BROKEN = 1
EXIT_BAD_INPUT = 2
EXIT_LOST = 3


@dataclass(frozen=True)
class Summary:
    """The end of a job.

    Attributes:
        job: the verb.
        unit: what is counted, in the plural ("videos").
        total: inputs; always `done + already_done + failed`.
        done: finished by this run.
        already_done: found finished.
        failed: lost, each one a row in `failures/`.
        outputs: name -> URL of what was written.
        figures: further lines of the table, such as the throughput.
        allow_failures: failures do not change the exit status.
    """

    job: str
    unit: str
    total: int
    done: int
    already_done: int = 0
    failed: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    allow_failures: bool = False

    def __post_init__(self) -> None:
        if self.total != self.done + self.already_done + self.failed:
            raise ValueError(
                f"{self.job}: {self.total} {self.unit} do not reconcile with {self.done} done, "
                f"{self.already_done} already done, {self.failed} failed; this is a bug in raytad"
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
        table.add_row("failed", Text(str(self.failed), "bold red" if self.failed else ""))
        for name, value in (*self.figures.items(), *self.outputs.items()):
            table.add_row(Text(name), Text(value))
        console.print(table)
