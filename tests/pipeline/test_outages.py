"""Storage that goes away: what counts as an outage, and how long a process waits for its end."""

import errno
from pathlib import Path

import aiohttp
import botocore.exceptions
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from yarl import URL

from pipeline import outages, storage
from pipeline.errors import InputError
from tests.outage import relayed_s3


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYTAD_STORAGE_PATIENCE_S", "3")
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(outages, "_answered", set())
    monkeypatch.setattr(outages, "_always_patient", False)


def _client_error(code: str, status: int) -> botocore.exceptions.ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.exceptions.ClientError(answer, "GetObject")


def _http_error(status: int) -> aiohttp.ClientResponseError:
    request = aiohttp.RequestInfo(URL("http://x/"), "GET", None, URL("http://x/"))  # type: ignore[arg-type]
    return aiohttp.ClientResponseError(request, (), status=status)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), True),
        (botocore.exceptions.NoCredentialsError(), False),
        (_client_error("SlowDown", 503), True),
        (_client_error("ExpiredToken", 400), True),
        (_client_error("AccessDenied", 403), False),
        (_client_error("NoSuchKey", 404), False),
        (aiohttp.ServerDisconnectedError(), True),
        (_http_error(503), True),
        (_http_error(403), False),
        (_http_error(404), False),
        (ConnectionResetError(), True),
        (OSError(errno.ESTALE, "stale"), True),
        (OSError(errno.ENOSPC, "full"), False),
        (FileNotFoundError("x"), False),
        (PermissionError("x"), False),
        (ValueError("x"), False),
    ],
)
def test_facts_about_a_file_are_no_outages(error: Exception, expected: bool) -> None:
    assert outages.is_outage(error) is expected


def test_the_cause_of_an_error_counts() -> None:
    error = PermissionError("forbidden")
    error.__cause__ = _client_error("ExpiredToken", 400)
    assert outages.is_outage(error)


def test_a_request_is_made_again_until_the_storage_answers(impatient: None) -> None:
    answers = iter([ConnectionError("away"), ConnectionError("away"), 7])

    def request() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    outages.persist("s3://a", lambda: 0)
    assert outages.persist("s3://a", request) == 7


def test_the_first_request_of_a_job_is_not_made_again(impatient: None) -> None:
    calls = []

    def request() -> None:
        calls.append(1)
        raise ConnectionError("away")

    with pytest.raises(ConnectionError):
        outages.persist("s3://new", request)
    assert len(calls) == 1
    outages.be_patient()
    with pytest.raises(outages.OutageError, match=r"^s3://new: has not answered for \d+ s \(away\)"):
        outages.persist("s3://new", request)
    assert len(calls) > 3


def test_s3_that_was_away_is_read_and_written_afterwards(
    impatient: None, s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAYTAD_STORAGE_PATIENCE_S", "60")
    with relayed_s3(monkeypatch) as relay:
        root = f"{s3_server}/outages-{tmp_path.name}"
        storage.write_bytes(f"{root}/a", b"a")
        relay.away_for(4)
        storage.write_bytes(f"{root}/b", b"b")
        relay.away_for(4)
        assert storage.read_bytes(f"{root}/b") == b"b"
        filesystem, path = storage.arrow_filesystem(f"{root}/t.parquet")
        relay.away_for(4)
        pq.write_table(pa.table({"x": list(range(1000))}), path, filesystem=filesystem)
        relay.away_for(4)
        assert pq.read_table(path, filesystem=filesystem).num_rows == 1000


def test_an_endpoint_that_never_answered_is_bad_input(
    impatient: None, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with relayed_s3(monkeypatch) as relay:
        relay.up = False
        with pytest.raises(InputError, match=r"^s3://archive/x[^\n]*check endpoint and credentials$"):
            storage.read_bytes(f"{s3_server}/x")


def test_what_has_other_occasions_does_not_wait(impatient: None) -> None:
    calls = []

    def request() -> None:
        calls.append(1)
        raise ConnectionError("away")

    outages.be_patient()
    with outages.at_once(), pytest.raises(outages.OutageError):
        outages.persist("s3://a", request)
    assert len(calls) == 1
