"""Long listings of S3 in parallel: what lies below a prefix that a few pages do not exhaust, by sub-prefixes.

Nothing here relies on the order of keys, which not every server keeps.
"""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import fsspec

_THREADS = 16
_KEYS_A_PAGE = 1000  # the most that S3 gives
# A listing is split no earlier than here, and only where sub-prefixes hold about this many keys each: a request for
# each of them then costs at most four times the requests of one listing after the other.
_PAGES_ALONE = 8
_KEYS_A_SUB_PREFIX = 250

_Key = dict[str, Any]


def is_s3(fs: fsspec.AbstractFileSystem) -> bool:
    """Whether this is s3fs that shows the newest versions of objects only."""
    return type(fs).__module__.startswith("s3fs.") and not fs.version_aware


def keys_below(fs: fsspec.AbstractFileSystem, folder: str) -> Iterator[_Key]:
    """What S3 tells of each key below a folder, `Key` being its path in `fs`, in no order.

    Raises what s3fs raises, whichever part of the listing fails.
    """
    bucket, key, _ = fs.split_path(folder)
    prefix = key.strip("/") and key.strip("/") + "/"
    found, below = _list(fs, bucket, prefix)
    yield from found
    if not below:
        return
    with ThreadPoolExecutor(_THREADS) as pool:

        def begin(prefixes: list[str]) -> set[Future[tuple[list[_Key], list[str]]]]:
            return {pool.submit(_list, fs, bucket, prefix) for prefix in prefixes}

        running = begin(below)
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for part in done:
                    found, below = part.result()
                    running |= begin(below)
                    yield from found
        finally:
            pool.shutdown(cancel_futures=True)


def _list(fs: fsspec.AbstractFileSystem, bucket: str, prefix: str) -> tuple[list[_Key], list[str]]:
    """The keys below a prefix, but for those below the sub-prefixes that are to be listed by themselves."""
    asked = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": _KEYS_A_PAGE, **fs.req_kw}
    page = fs.call_s3("list_objects_v2", **asked)
    keys, pages = _keys_of(page, bucket), 1
    while page.get("IsTruncated"):
        if pages == _PAGES_ALONE and _is_worth_splitting(keys, len(f"{bucket}/{prefix}")):
            level = fs.call_s3("list_objects_v2", Delimiter="/", **asked)
            if not level.get("IsTruncated"):
                return _keys_of(level, bucket), [entry["Prefix"] for entry in level["CommonPrefixes"]]
        page = fs.call_s3("list_objects_v2", ContinuationToken=page["NextContinuationToken"], **asked)
        keys += _keys_of(page, bucket)
        pages += 1
    return keys, []


def _keys_of(page: dict[str, Any], bucket: str) -> list[_Key]:
    return [key | {"Key": f"{bucket}/{key['Key']}"} for key in page.get("Contents", [])]


def _is_worth_splitting(keys: list[_Key], start: int) -> bool:
    """Whether the first keys of a long listing lie below few sub-prefixes, their paths from `start` on."""
    deeper = [name for name, slash, _ in (key["Key"][start:].partition("/") for key in keys) if slash]
    return bool(deeper) and len(deeper) >= _KEYS_A_SUB_PREFIX * len(set(deeper))
