"""TensorBoard scalars in the run's folder, wherever that is."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from pipeline import storage


class ScalarLog:
    """Curves of a run: losses, rates, gradient norm, det-mAP.

    A local run's event files are written in place; another's are written to a temporary folder and uploaded
    by `flush`, so that at most what came after the last flush is lost.
    """

    def __init__(self, run: str, first_step: int) -> None:
        """Curves continue at `first_step`; what an earlier, interrupted process drew beyond it is hidden."""
        self._target = storage.join(run, "tensorboard")
        local = storage.local_path(self._target)
        self._temporary = None if local else tempfile.TemporaryDirectory(prefix="tensorboard-")
        self._folder = local or self._temporary.name  # type: ignore[union-attr]
        self._writer = SummaryWriter(self._folder, purge_step=first_step or None)

    def add(self, prefix: str, figures: Mapping[str, float], step: int) -> None:
        """One point on the curve `prefix/name` for each figure."""
        for name, value in figures.items():
            self._writer.add_scalar(f"{prefix}/{name}", value, step)

    def flush(self) -> None:
        """Make everything so far durable."""
        self._writer.flush()
        if self._temporary:
            for path in Path(self._folder).iterdir():
                storage.write_bytes(storage.join(self._target, path.name), path.read_bytes())

    def close(self) -> None:
        """Flush and end."""
        self.flush()
        self._writer.close()
        if self._temporary:
            self._temporary.cleanup()
