"""What can be wrong with a published feature file, as an exception that knows its row in `failures/`."""

from pipeline.failures import FailureKind


class FeatureFileError(Exception):
    """A feature file, or an array in it, cannot be used.

    Pickles, so that it crosses process borders whole.

    Attributes:
        kind: the `kind` of its row in `failures/`: `unreadable`, `bad_features` where it was read, or the limit that
            it oversteps.
        message: one line.
    """

    def __init__(self, kind: FailureKind, message: str) -> None:
        self.kind = kind
        self.message = " ".join(message.split())
        super().__init__(kind, self.message)

    def __str__(self) -> str:
        return self.message
