"""What a listing must not leave out, and what it must not fall for."""

import os
import zipfile
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from pipeline import storage
from pipeline.errors import InputError
from pipeline.outages import OutageError


def _names(root: Path) -> list[str]:
    return [os.path.relpath(file.url, root) for file in storage.list_files(str(root))]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.mp4").write_bytes(b"aa")
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "file.mp4").symlink_to(elsewhere / "a.mp4")
    (archive / "folder").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(archive)
    (archive / "self").symlink_to(archive / "self")
    assert _names(archive) == ["file.mp4", "folder/a.mp4", "self"]
    assert [file.size for file in storage.list_files(str(archive))] == [2, 2, 0]


def test_a_link_that_leads_nowhere_is_listed(tmp_path: Path) -> None:
    (tmp_path / "annexed.mp4").symlink_to(tmp_path / "not-fetched")
    assert _names(tmp_path) == ["annexed.mp4"]


def test_a_pattern_follows_links_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.mp4").write_bytes(b"a")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "link").symlink_to(tmp_path / "real")
    for pattern in ("deep/*/*.mp4", "deep/**/*.mp4", "deep/link/?.mp4"):
        found = storage.glob_files(f"{tmp_path}/{pattern}")
        assert [file.url for file in found] == [f"{tmp_path}/deep/link/a.mp4"], pattern
    assert storage.glob_files(f"{tmp_path}/*.mp4") == []
    assert storage.glob_files(f"{tmp_path}/none/*.mp4") == []


def test_a_folder_that_cannot_be_listed_ends_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything, so no mode would do
    for ask in (storage.list_files, lambda url: storage.glob_files(f"{url}/**/*.mp4")):
        with pytest.raises(InputError, match=rf"^{tmp_path}/closed: permission denied"):
            ask(str(tmp_path))


def test_what_a_killed_write_has_left_is_not_listed_and_can_be_removed(tmp_path: Path) -> None:
    killed = tmp_path / "plan" / "x.parquet.0123.partial"
    killed.parent.mkdir()
    killed.write_bytes(b"half")
    assert _names(tmp_path) == []
    storage.remove_partial(str(tmp_path))
    assert not killed.exists()


@pytest.mark.parametrize(("answered", "error"), [(False, InputError), (True, OutageError)])
def test_a_failed_stat_does_not_mean_that_nothing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: bool, error: type[Exception]
) -> None:
    (tmp_path / "spec.json").write_bytes(b"{}")
    if answered:  # so that it counts as storage that has gone away
        assert storage.exists(f"{tmp_path}/spec.json")

    def fail(self: LocalFileSystem, path: str, **_: object) -> None:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(LocalFileSystem, "info", fail)
    monkeypatch.setenv("RAYTAD_STORAGE_PATIENCE_S", "0")
    with pytest.raises(error, match="Input/output error"):
        storage.exists(f"{tmp_path}/spec.json")


def test_names_that_are_not_utf8_are_text_and_still_open_the_file(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    with open(name, "wb") as stream:
        stream.write(b"latin")
    [file] = storage.list_files(str(tmp_path))
    assert file.url == f"{tmp_path}/caf\\xe9.mp4"
    file.url.encode()
    assert storage.read_bytes(file.url) == b"latin"
    (tmp_path / "caf\\xe9.mp4").write_bytes(b"really called so")
    assert storage.read_bytes(file.url) == b"really called so"


def test_members_of_an_archive_keep_their_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("clips/a.mp4", b"a")
    monkeypatch.chdir(tmp_path)
    [file] = storage.list_files("zip://clips::x.zip")
    assert file.url == f"zip://clips/a.mp4::{tmp_path}/x.zip"
    assert storage.read_bytes(file.url) == b"a"
    assert [f.url for f in storage.glob_files("zip://**/*.mp4::x.zip")] == [file.url]
    assert storage.join("zip://clips::x.zip", "a.mp4") == "zip://clips/a.mp4::x.zip"
    assert storage.parent(file.url) == f"zip://clips::{tmp_path}/x.zip"
    assert storage.absolute("zip://clips::x.zip") == f"zip://clips::{tmp_path}/x.zip"


def test_files_have_a_version_that_follows_their_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    before = storage.stat(str(path))
    os.utime(path, ns=(1, 10**18))
    after = storage.stat(str(path))
    assert before is not None
    assert after is not None
    assert before.version != after.version
    assert storage.list_files(str(tmp_path)) == [after]
    assert storage.stat(f"{tmp_path}/none") is None


def test_memory_filesystems_are_listed_too() -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/listing/a/b", b"1")
    assert [file.url for file in storage.list_files("memory://listing")] == ["memory:///listing/a/b"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("[2019] tour/*.mp4", ["[2019] tour/[x]1.mp4", "[2019] tour/a.mp4"]),
        ("[2019]*/a.mp4", ["[2019] tour/a.mp4"]),
        ("*/[x]?.mp4", ["[2019] tour/[x]1.mp4"]),
        ("what? (*)/*/*.mp4", ["what? (*)/deep/b.mp4"]),
        ("[12]*/a.mp4", ["2 tour/a.mp4"]),  # no name begins with these brackets
        ("[2019] tour/[ax]*.mp4", ["[2019] tour/a.mp4"]),
        ("**/[x]1.mp4", ["[2019] tour/[x]1.mp4"]),
        ("none [1]/*.mp4", []),
    ],
)
def test_what_exists_as_it_is_written_is_no_pattern(tmp_path: Path, pattern: str, found: list[str]) -> None:
    for name in ("[2019] tour/a.mp4", "[2019] tour/[x]1.mp4", "2 tour/a.mp4", "what? (*)/deep/b.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [
        os.path.relpath(file.url, tmp_path) for file in storage.glob_files(f"{tmp_path}/{pattern}")
    ] == found
