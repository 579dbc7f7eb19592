"""The folders that a job writes, looked at before it begins."""

from fsspec.implementations.local import LocalFileSystem

from pipeline import local_files, storage
from pipeline.errors import InputError


def check_output(key: str, url: str) -> None:
    """Raise InputError where `url`, the value of `key`, cannot become a folder that is written; nothing is made.

    Of object storage only what lies there is looked at: who may write is told by the first write.
    """
    if storage.exists(url) and not storage.is_folder(url):
        raise InputError(f"{key}={url}: is a file; give a folder, which is made where there is none")
    fs, path = storage.resolve(url)
    if isinstance(fs, LocalFileSystem) and (reason := local_files.why_not_writable(path)):
        raise InputError(f"{key}={url}: nothing can be written there ({reason}); give another folder")
