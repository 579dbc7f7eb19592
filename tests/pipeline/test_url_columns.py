"""What is told of columns of URLs is what storage tells of each."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import storage, url_columns
from pipeline.errors import InputError

PARTS = st.sampled_from(
    [
        "a",
        "b.mp4",
        "",
        ".",
        "..",
        "...",
        "\\xe9",
        "\\x",
        "~",
        "My [x] #1",
        "x?y=/z",
        "é\n",
        ":",
        "u:p@h",
        "@",
        "a b",
        "%2F",
    ]
)
LOCAL = ["/", "//", "file:///", "file://h/"]
REMOTE = ["s3://bucket/", "s3a://bucket/", "s3://", "s3:///", "memory://", "memory://m/"]
WEB = [
    "http://h/",
    "http://h?a",
    "http://h#b",
    "http://u@p@h/",
    "https://u:p@h:80/",
    "HTTPS://h/",
    "https://h",
    "https://",
]
CHAINED = ["zip://in/x.mp4::/a//b.zip/", "zip://i::s3://b/", "zip://i::https://u@h/a.zip?b="]
FIRST = st.sampled_from([*LOCAL, *REMOTE, *WEB, *CHAINED])
URLS = st.lists(st.builds(lambda first, parts: first + "/".join(parts), FIRST, st.lists(PARTS, max_size=4)))


def column(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.string())


@given(URLS)
def test_they_are_those_of_each_url(urls: list[str]) -> None:
    try:
        expected = [storage.absolute(url) for url in urls]
    except InputError:
        with pytest.raises(InputError):
            url_columns.absolute(column(urls))
    else:
        assert url_columns.absolute(column(urls)).to_pylist() == expected


@given(URLS)
def test_folders_are_those_of_each_url(urls: list[str]) -> None:
    assert url_columns.parents(column(urls)).to_pylist() == [storage.parent(url) for url in urls]


@given(URLS)
def test_secrets_are_those_of_each_url(urls: list[str]) -> None:
    def bare(url: str) -> str | None:
        try:
            return storage.without_secrets(url)
        except ValueError:  # no host, which is the user's to mend
            return None

    urls = [url for url in urls if bare(url) is not None]
    assert url_columns.without_secrets(column(urls)).to_pylist() == [bare(url) for url in urls]
    assert url_columns.paths_of(column(urls)).to_pylist() == [
        (bare(url) or "").split("::")[0] for url in urls
    ]


@given(
    st.sampled_from(["/", "/a", "/a/", "s3://b", "zip://::/a.zip", "zip://in/::s3://b/x.zip"]),
    st.lists(PARTS),
)
def test_paths_are_joined_as_each_is(folder: str, parts: list[str]) -> None:
    paths = [part for part in parts if part]
    assert url_columns.joined(folder, column(paths)).to_pylist() == [
        storage.join(folder, path) for path in paths
    ]


def test_a_bucket_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    resolve = storage.resolve

    def counted(url: str) -> Any:
        asked.append(url)
        return resolve(url)

    monkeypatch.setattr(storage, "resolve", counted)
    urls = [
        f"{place}/{number}.mp4" for number in range(50) for place in ("s3://a", "s3://b", "memory://m", "/a")
    ]
    assert url_columns.absolute(column(urls)).to_pylist() == [storage.absolute(url) for url in urls]
    assert asked[:3] == ["s3://a/0.mp4", "s3://b/0.mp4", "memory://m/0.mp4"]
    assert asked[3:] == urls  # the plain computation
    with pytest.raises(InputError, match="nonsense://x/1: unknown kind of URL"):
        url_columns.absolute(column(["/a", "nonsense://x/1", "nonsense://x/2"]))
