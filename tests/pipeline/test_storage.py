"""One contract for every kind of storage, run on a local folder and on a real S3 server."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.errors import InputError


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "local":
        return str(tmp_path)
    return f"{request.getfixturevalue('s3_server')}/storage-{tmp_path.name}"


def test_what_is_written_is_read_and_listed(root: str) -> None:
    storage.write_bytes(f"{root}/a/one.bin", b"1")
    storage.write_bytes(f"{root}/two.bin", b"22")
    assert storage.read_bytes(f"{root}/a/one.bin") == b"1"
    listed = storage.list_files(root)
    assert [(file.url, file.size) for file in listed] == [
        (storage.absolute(f"{root}/a/one.bin"), 1),
        (storage.absolute(f"{root}/two.bin"), 2),
    ]
    assert [f.url for f in storage.glob_files(f"{root}/*/*.bin")] == [storage.absolute(f"{root}/a/one.bin")]
    assert storage.exists(f"{root}/a/one.bin")
    assert storage.is_folder(f"{root}/a")
    assert not storage.is_folder(f"{root}/two.bin")
    storage.remove(f"{root}/a")
    assert not storage.exists(f"{root}/a/one.bin")
    storage.remove(f"{root}/a")
    storage.remove(f"{root}/two.bin/below-a-file")
    assert storage.exists(f"{root}/two.bin")


def test_listing_a_folder_that_is_not_there_is_empty(root: str) -> None:
    assert storage.list_files(f"{root}/nothing") == []


def test_a_listing_sees_files_written_after_an_earlier_listing(root: str) -> None:
    assert storage.list_files(f"{root}/later") == []
    storage.write_bytes(f"{root}/later/x", b"x")
    assert len(storage.list_files(f"{root}/later")) == 1


def test_a_reader_sees_the_old_file_or_the_new_one_whole(root: str) -> None:
    url = f"{root}/config.json"
    storage.write_bytes(url, b"old")
    with pytest.raises(ZeroDivisionError), storage.replace_atomically(url) as stream:
        stream.write(b"never finished" * (1 // 0))
    assert storage.read_bytes(url) == b"old"
    assert [file.url for file in storage.list_files(root)] == [storage.absolute(url)]
    with storage.replace_atomically(url) as stream:
        stream.write(b"new")
        assert storage.read_bytes(url) == b"old"
    assert storage.read_bytes(url) == b"new"


def test_streams_are_seekable(root: str) -> None:
    storage.write_bytes(f"{root}/digits", b"0123456789")
    with storage.open_read(f"{root}/digits") as stream:
        stream.seek(-3, 2)
        assert stream.read(2) == b"78"


def test_pyarrow_sees_the_same_place(root: str) -> None:
    filesystem, path = storage.arrow_filesystem(f"{root}/table.parquet")
    storage.write_bytes(f"{root}/marker", b"")
    pq.write_table(pa.table({"x": [1, 2]}), path, filesystem=filesystem)
    with storage.open_read(f"{root}/table.parquet") as stream:
        assert pq.read_table(stream)["x"].to_pylist() == [1, 2]


def test_missing_files_are_one_line_that_names_them(root: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*no-such-file[^\n]*not found$"):
        storage.read_bytes(f"{root}/no-such-file")


def test_errors_of_the_callers_block_pass_through(root: str) -> None:
    storage.write_bytes(f"{root}/x", b"x")
    with pytest.raises(FileNotFoundError, match="mine"), storage.open_read(f"{root}/x"):
        raise FileNotFoundError("mine")


def test_an_unreachable_bucket_is_named(s3_server: str) -> None:
    with pytest.raises(InputError, match="s3://no-such-bucket/x"):
        storage.read_bytes("s3://no-such-bucket/x")


def test_unknown_schemes_are_refused() -> None:
    with pytest.raises(InputError, match=r"nosuch://a: unknown kind of URL"):
        storage.exists("nosuch://a")


def test_local_urls_are_absolute(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("clips/") == f"{tmp_path}/clips"
    assert storage.absolute(f"file://{tmp_path}/clips") == f"{tmp_path}/clips"
    assert storage.local_path("s3://bucket/key") is None


def test_of_many_who_create_a_file_one_succeeds(root: str) -> None:
    url = f"{root}/lease/one.json"
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda n: storage.create_exclusively(url, b"%d" % n), range(8)))
    assert created.count(True) == 1
    assert storage.read_bytes(url) == b"%d" % created.index(True)
    assert [file.url for file in storage.list_files(f"{root}/lease")] == [storage.absolute(url)]


def test_what_the_server_refuses_to_delete_is_an_error(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_bytes(f"{s3_server}/kept/x", b"x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "reader-secret")
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(InputError, match=r"^s3://archive/kept: permission denied"):
        storage.remove(f"{s3_server}/kept")
    monkeypatch.undo()
    fsspec.filesystem("s3").clear_instance_cache()
    assert storage.read_bytes(f"{s3_server}/kept/x") == b"x"


def test_local_places_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for write in (storage.write_bytes, storage.create_exclusively):
        with pytest.raises(InputError, match=rf"^{tmp_path}/file[^\n]*cannot be read or written"):
            write(f"{tmp_path}/file/x.json", b"{}")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    def fill() -> None:
        with storage.replace_atomically(f"{tmp_path}/x") as stream:
            stream.write(b"begun")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(InputError, match=rf"^{tmp_path}/x: cannot be read or written \([^\n]*No space left"):
        fill()
    assert storage.list_files(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://host/a.mp4?X-Amz-Signature=abc&Expires=1", "https://host/a.mp4"),
        ("https://user:secret@host:8443/a.mp4", "https://host:8443/a.mp4"),
        ("zip://a.mp4::https://host/x.zip?sig=abc", "zip://a.mp4::https://host/x.zip"),
        ("s3://bucket/what?.mp4", "s3://bucket/what?.mp4"),
        ("/data/what?.mp4", "/data/what?.mp4"),
    ],
)
def test_what_signs_a_request_is_not_part_of_a_name(url: str, stored: str) -> None:
    assert storage.without_secrets(url) == stored
