"""Waiting for storage: what comes back is waited for, what must be mended is told at once."""

import errno
import logging
import socket

import botocore.exceptions
import pytest
import s3fs

from pipeline import storage
from pipeline.errors import InputError
from pipeline.training import patience
from pipeline.training.patience import is_passing, patiently


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.001)


def wrapped(cause: BaseException) -> InputError:
    """As `pipeline.storage` raises it."""
    error = InputError(f"s3://b/x: {cause}")
    error.__cause__ = cause
    return error


AWAY = [
    ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
    TimeoutError("no answer"),
    OSError(errno.ESTALE, "stale file handle"),
    OSError(errno.EBUSY, "Please reduce your request rate."),
    botocore.exceptions.EndpointConnectionError(endpoint_url="http://nowhere"),
    botocore.exceptions.ReadTimeoutError(endpoint_url="http://nowhere"),
]
TO_BE_MENDED = [
    PermissionError(errno.EACCES, "denied"),
    FileNotFoundError(errno.ENOENT, "no bucket"),
    OSError(errno.ENOSPC, "No space left on device"),
    NotADirectoryError(errno.ENOTDIR, "a file is in the way"),
    OSError("Couldn't deserialize thrift: not a Parquet file"),
    botocore.exceptions.NoCredentialsError(),
    ValueError("a bug"),
]


@pytest.mark.parametrize("cause", AWAY, ids=repr)
def test_storage_that_is_away_is_waited_for(
    cause: Exception, hurried: None, caplog: pytest.LogCaptureFixture
) -> None:
    tries = [wrapped(cause), cause, wrapped(cause)]

    def action() -> str:
        if tries:
            raise tries.pop()
        return "written"

    with caplog.at_level(logging.WARNING):
        assert patiently(action, "s3://b/x") == "written"
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        "s3://b/x: waiting for the storage",
        "s3://b/x: the storage is back",
    ]


@pytest.mark.parametrize("cause", TO_BE_MENDED, ids=repr)
def test_what_must_be_mended_is_raised_at_once(cause: Exception) -> None:
    assert not is_passing(cause)
    tries = [wrapped(cause)]
    with pytest.raises(InputError):
        patiently(lambda: (_ for _ in ()).throw(tries.pop()), "s3://b/x")


def test_patience_ends(hurried: None) -> None:
    with pytest.raises(ConnectionRefusedError):
        patiently(lambda: (_ for _ in ()).throw(AWAY[0]), "s3://b/x", patience=0.01)


def test_a_server_that_is_not_there_counts_as_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens there
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        s3fs.S3FileSystem.clear_instance_cache()
        try:
            with pytest.raises(InputError) as caught:
                storage.write_bytes("s3://bucket/file", b"content")
        finally:
            s3fs.S3FileSystem.clear_instance_cache()
    assert is_passing(caught.value)
