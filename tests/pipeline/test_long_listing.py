"""A long prefix listed by its sub-prefixes is what it is listed by itself."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline import long_listing, storage
from pipeline.errors import InputError

ARCHIVES = {
    "even": [f"k{number % 4}/{number:02}.mp4" for number in range(40)],
    "deep": [f"all/of/k{number % 3}/{number:02}.mp4" for number in range(40)],
    "mixed": [
        *(f"a.{number:02}.mp4" for number in range(10)),
        *(f"a/{number:02}.mp4" for number in range(20)),
        *(f"b/x/{number:02}.mp4" for number in range(20)),
        "é [1]?.mp4",
        "b.mp4",
    ],
    "flat": [f"{number:02}.mp4" for number in range(40)],
    "a folder a video": [f"{number:02}/clip.mp4" for number in range(40)],
    "short": ["k/1.mp4"],
}


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_listing, "_KEYS_A_PAGE", 7)
    monkeypatch.setattr(long_listing, "_PAGES_ALONE", 2)
    monkeypatch.setattr(long_listing, "_KEYS_A_SUB_PREFIX", 3)


def requests_of(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> tuple[list[storage.StoredFile], list[dict[str, Any]]]:
    """The listing and what it asked S3 for."""
    fs, _ = storage.resolve(url)
    call: Callable[..., Any] = fs.call_s3
    asked: list[dict[str, Any]] = []

    def counted(method: str, **kwargs: Any) -> Any:
        asked.append(kwargs)
        return call(method, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(fs, "call_s3", counted)
        return storage.list_files(url), asked


@pytest.mark.parametrize("archive", ARCHIVES)
def test_every_file_is_listed_once(
    s3_server: str, monkeypatch: pytest.MonkeyPatch, small_pages: None, archive: str
) -> None:
    root = f"{s3_server}/long-{archive}"
    fs, path = storage.resolve(root)
    for name in ARCHIVES[archive]:
        fs.pipe_file(f"{path}/{name}", name.encode())
    listed, asked = requests_of(monkeypatch, root)
    expected = {f"s3://{name}": info for name, info in fs.find(path, detail=True).items()}
    assert [file.url for file in listed] == sorted(expected)
    assert [file.url.removeprefix(f"{root}/") for file in listed] == sorted(ARCHIVES[archive])
    told = {file.url: (file.size, file.version) for file in listed}
    assert told == {url: (info["size"], info["ETag"].strip('"')) for url, info in expected.items()}
    assert storage.stat(listed[0].url) == listed[0]
    split = any("Delimiter" in request for request in asked)
    assert split == (archive in ("even", "deep", "mixed"))
    if archive == "short":
        assert len(asked) == 1
    if archive in ("flat", "a folder a video"):
        assert len(asked) == 6  # pages, and nothing else


def test_a_file_is_below_itself_and_nothing_below_nothing(s3_server: str, small_pages: None) -> None:
    storage.write_bytes(f"{s3_server}/long-one/a.mp4", b"a")
    assert [file.url for file in storage.list_files(f"{s3_server}/long-one/a.mp4")] == [
        f"{s3_server}/long-one/a.mp4"
    ]
    assert storage.list_files(f"{s3_server}/long-one/nothing") == []
    assert storage.list_files("s3://no-such-bucket-of-raytad/x") == []


def test_a_part_that_cannot_be_listed_ends_the_listing(
    s3_server: str, monkeypatch: pytest.MonkeyPatch, small_pages: None
) -> None:
    root = f"{s3_server}/long-refused"
    fs, path = storage.resolve(root)
    for name in ARCHIVES["even"]:
        fs.pipe_file(f"{path}/{name}", b"")
    call = fs.call_s3

    def refuse(method: str, **kwargs: Any) -> Any:
        if kwargs["Prefix"].endswith("k2/"):
            raise PermissionError(13, "Access Denied")
        return call(method, **kwargs)

    monkeypatch.setattr(fs, "call_s3", refuse)
    with pytest.raises(InputError, match="permission denied"):
        storage.list_files(root)
