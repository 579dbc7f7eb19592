"""Writing a Ray dataset so that the same command continues it: Ray Data's checkpointing with its gaps closed.

Ray writes a pending record of a file's ids before the file and renames it after (`ray.data.checkpoint`). Two things
are different here. A rename on object storage is a copy and a delete, and a job killed in between leaves both records;
Ray would then delete the file and still believe its ids done. And Ray would give the ids of everything that was ever
done to actors that leave them out, while a job knows from the files themselves what is left, and Ray reads only that.
"""

import logging
import posixpath
import re
from collections.abc import Callable, Collection, Sequence

import pyarrow as pa
import ray
from pyarrow.fs import FileSelector, FileSystem, FileType
from ray.data.checkpoint import CheckpointConfig, IdColumnCheckpointManager
from ray.data.checkpoint.checkpoint_writer import PENDING_CHECKPOINT_SUFFIX

from pipeline import storage

logger = logging.getLogger(__name__)

ROW_GROUP_BYTES = 2**20  # what a reader of one row has to fetch
_WRITE_CPUS = 0.25
_MOST_TASKS = 8192  # each costs the driver's one thread some 12 ms
_PENDING = f"{PENDING_CHECKPOINT_SUFFIX}.parquet"
_COMMITTED = ".parquet"


def write_resumably(
    *,
    source: str | Sequence[str],
    transform: Callable[[ray.data.Dataset], ray.data.Dataset],
    target: str,
    checkpoint: str,
    id_column: str,
    schema: pa.Schema,
    rows_per_file: int,
    row_bytes: int,
    rows_per_task: int,
    there: Collection[str],
) -> None:
    """Read Parquet files, transform them, write the result below `target`; each id exactly once.

    A kill at any point loses only the files that were being written; after `undo_uncommitted`, what is below `target`
    tells what is left.

    Args:
        source: URL of a folder of Parquet files, or of each of some files, with `id_column`. What of them is written
            already must not be there, or `transform` leaves it out.
        transform: one row in, at most one row out, with the id kept; an id without a row is not recorded.
        target: URL of a folder; files are added to it.
        checkpoint: URL of the folder of Ray's records, used with this `target` only.
        id_column: a string column.
        schema: of the result, its metadata included.
        rows_per_file: rows in a file, the last ones excepted. Rows are durable only once their file is written.
        row_bytes: expected size of a row, from which row groups get their size.
        rows_per_task: consecutive rows that a task of `transform`'s first stage gets.
        there: names of the files in `target` that are whole; a record of any other file counts for nothing.
    """
    read_fs, read_paths = _to_read(source)
    write_fs, write_path = storage.arrow_filesystem(target)
    record_fs, record_path = storage.arrow_filesystem(checkpoint)
    dataset = ray.data.read_parquet(read_paths, filesystem=read_fs)
    dataset.context.checkpoint_config = CheckpointConfig(
        id_column=id_column,
        checkpoint_path=record_path,
        override_filesystem=record_fs,
        delete_checkpoint_on_success=False,
        checkpoint_manager_cls=_checkpoint_manager(frozenset(there)),
    )
    # A block is the work of one task, and a few small files would otherwise come as one block each.
    blocks = dataset.repartition(target_num_rows_per_block=rows_per_task)
    transform(blocks).write_parquet(
        write_path,
        filesystem=write_fs,
        min_rows_per_file=rows_per_file,
        row_group_size=max(1, min(rows_per_file, ROW_GROUP_BYTES // max(1, row_bytes))),
        schema=schema,
        compression="zstd",
        ray_remote_args={"num_cpus": _WRITE_CPUS},
    )


def _to_read(source: str | Sequence[str]) -> tuple[FileSystem, str | list[str]]:
    """The file system of a folder or of files on the same storage, and the path or paths there."""
    if isinstance(source, str):
        return storage.arrow_filesystem(source)
    places = [storage.arrow_filesystem(url) for url in source]
    return places[0][0], [path for _, path in places]


def rows_a_task(least: int, rows: int) -> int:
    """Consecutive rows for a task: `least`, or more where so many tasks would keep the driver busy."""
    return max(least, rows // _MOST_TASKS)


def undo_uncommitted(target: str, checkpoint: str) -> None:
    """Delete the files below `target` whose record was not committed before a kill, and those records.

    Ray would do the same when it goes on; after this, what is left to do shows in the files alone. Only the one writer
    may.
    """
    filesystem, folder = storage.arrow_filesystem(checkpoint)
    distrust_half_renamed(filesystem, folder)
    infos = filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
    names = [posixpath.basename(info.path) for info in infos]
    uncommitted = pending_in(names)
    if not uncommitted:
        return
    for file in storage.list_files(target):
        if record_of(posixpath.basename(file.url)) in uncommitted:
            storage.remove(file.url)
    for name in names:
        if name.endswith(_PENDING):
            filesystem.delete_file(posixpath.join(folder, name))


def _checkpoint_manager(there: frozenset[str]) -> type[IdColumnCheckpointManager]:
    """Ray takes a class and makes the object itself, so what it must know is bound here."""

    class WritingCheckpointManager(IdColumnCheckpointManager):
        def load_checkpoint(
            self, data_file_dir: str | None = None, data_file_filesystem: FileSystem | None = None
        ) -> tuple[None, int]:
            """No ids, after Ray's own cleaning: nothing that Ray reads is done."""
            distrust_half_renamed(self.filesystem, self.checkpoint_path_unwrapped)
            self._clean_pending_checkpoints(data_file_dir, data_file_filesystem)
            distrust_without_file(self.filesystem, self.checkpoint_path_unwrapped, there)
            return None, 0

    return WritingCheckpointManager


def record_of(data_file: str) -> str:
    """The name, without its suffix, of Ray's record of a data file: a task's files are `<record>-<number>.parquet`."""
    return re.sub(r"-\d+\.parquet$", "", data_file)


def pending_in(names: Collection[str]) -> frozenset[str]:
    """Of the files in a folder of records, those that are not committed, as `record_of` names them."""
    return frozenset(name.removesuffix(_PENDING) for name in names if name.endswith(_PENDING))


def distrust_without_file(filesystem: FileSystem, folder: str, there: Collection[str]) -> None:
    """Delete each committed record of a data file that is not `there`, so that its rows count as never written."""
    written = {record_of(name) for name in there}
    for info in filesystem.get_file_info(FileSelector(folder, allow_not_found=True)):
        name = posixpath.basename(info.path)
        if info.type != FileType.File or not name.endswith(_COMMITTED):
            continue
        if not name.endswith(_PENDING) and name.removesuffix(_COMMITTED) not in written:
            logger.warning("the file of %s is gone or damaged: its rows are done again", name)
            filesystem.delete_file(info.path)


def distrust_half_renamed(filesystem: FileSystem, folder: str) -> None:
    """Delete each committed record that still has its pending twin, so that its file counts as never written."""
    found = filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
    names = {posixpath.basename(info.path) for info in found if info.type == FileType.File}
    for name in sorted(names):
        committed = name.removesuffix(_PENDING) + _COMMITTED
        if name.endswith(_PENDING) and committed in names:
            logger.warning(
                "an earlier run was stopped while it committed %s: its rows are done again", committed
            )
            filesystem.delete_file(posixpath.join(folder, committed))
