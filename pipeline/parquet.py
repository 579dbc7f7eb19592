"""Parquet files at URLs: written whole, and read so that a damaged one is named."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import InputError

Result = TypeVar("Result")

LOOKS = 5  # at a folder whose files are merged while it is read


class DamagedFileError(InputError):
    """A file is not the whole Parquet file that was written; `url` is its URL."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(
            f"{url}: damaged, not a whole Parquet file ({reason}); run the command that wrote it again, which makes "
            "it anew"
        )

    def __reduce__(self) -> tuple[type["DamagedFileError"], tuple[str, str]]:
        return DamagedFileError, (self.url, self.reason)


def list_parquet(folder: str) -> list[str]:
    """URLs of the `.parquet` files below a folder, sorted; none where there is no folder."""
    return [file.url for file in storage.list_files(folder) if file.url.endswith(".parquet")]


def read_folder(
    folder: str,
    read: Callable[[str], Result],
    threads: int = 1,
    files: Callable[[], Sequence[str]] | None = None,
) -> dict[str, Result]:
    """What `read` makes of each Parquet file below a folder, by URL, sorted; `files` lists others than all of them.

    A file that is gone when its turn comes was merged into another meanwhile, so the folder is listed anew: the result
    is always that of files that were there together. Raises what `read` raises of files that are there.
    """
    listed = files or partial(list_parquet, folder)
    found: dict[str, Result] = {}
    with ThreadPoolExecutor(threads) as pool:
        for look in range(LOOKS):
            urls = listed()
            found = {url: found[url] for url in urls if url in found}
            missing = [url for url in urls if url not in found]
            try:
                found.update(zip(missing, pool.map(read, missing), strict=True))
            except InputError:
                if look == LOOKS - 1 or all(storage.exists(url) for url in missing):
                    raise
            else:
                break
    return dict(sorted(found.items()))


def read_table(url: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The table in one file. Raises DamagedFileError, or InputError where it cannot be read."""
    return read_file(url, lambda file: file.read(columns=None if columns is None else list(columns)))


def read_file(
    url: str, read: Callable[[pq.ParquetFile], Result], footer: pq.FileMetaData | None = None
) -> Result:
    """What `read` makes of one file, open while it runs; raises as `read_table` does.

    `footer` is the file's `metadata`, where an earlier reading has kept it.
    """

    def parse(stream: BinaryIO) -> Result:
        try:
            # Pre-buffering fetches what lies together at once, and nothing of the columns between.
            with pq.ParquetFile(stream, metadata=footer, pre_buffer=True) as file:
                return read(file)
        except pa.ArrowException as error:
            raise DamagedFileError(url, _first_line(error)) from error
        except OSError as error:
            if error.errno is not None or type(error) is not OSError:
                raise  # the storage's
            raise DamagedFileError(
                url, _first_line(error)
            ) from error  # pyarrow's, of a page that makes no sense

    return storage.read_with(url, parse)


def write_table(url: str, table: pa.Table, rows_per_group: int | None = None) -> None:
    """Replace one file, atomically. Raises InputError where it cannot be written.

    `rows_per_group` are the rows that a reader of one has to fetch; None lets pyarrow choose.
    """
    with storage.replace_atomically(url) as stream:
        pq.write_table(table, stream, compression="zstd", row_group_size=rows_per_group)


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0]
