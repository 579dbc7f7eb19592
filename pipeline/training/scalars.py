"""TensorBoard scalars in the run's folder, wherever that is."""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from pipeline import storage
from pipeline.errors import InputError
from pipeline.outages import at_once

logger = logging.getLogger(__name__)


class ScalarLog:
    """Curves of a run: losses, rates, gradient norm, det-mAP.

    A local run's event files are written in place; another's are written to a temporary folder and uploaded
    by `flush`, so that at most what came after the last flush is lost. Curves never end a run: an upload that fails
    is a line of log, and the next one brings all.
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
        """Make everything so far durable, if the storage is there."""
        self._writer.flush()
        with at_once():
            self._upload()

    def close(self) -> None:
        """Flush, waiting for storage that is away, and end."""
        self._writer.close()
        self._upload()
        if self._temporary:
            self._temporary.cleanup()

    def _upload(self) -> None:
        if self._temporary is None:
            return
        for path in Path(self._folder).iterdir():
            url, content = storage.join(self._target, path.name), path.read_bytes()
            try:
                storage.write_bytes(url, content)
            except (InputError, OSError) as error:
                logger.warning("%s: the curves are not uploaded for now (%s)", url, error)
