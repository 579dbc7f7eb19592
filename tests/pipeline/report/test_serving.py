"""The server of a report: any part of the videos on the page, and nothing else, for this machine only."""

import http.client
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import storage
from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.report.run import report
from pipeline.report.serving import report_server
from pipeline.report.settings import ReportConfig
from tests.jobs.commands import heeding_interrupts, job_command
from tests.pipeline.evaluation.cases import segments_table
from tests.pipeline.report.browsing import Browser

CONTENT = bytes(range(256)) * 20


@contextmanager
def serving(folder: str, files: list[str]) -> Iterator[int]:
    """The port of a server that runs while the block does."""
    server = report_server(folder, files)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers={"Host": f"127.0.0.1:{port}"} | headers)
    answer = connection.getresponse()
    answer.content = answer.read()
    connection.close()
    return answer


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A report's folder with a secret beside it, and a video elsewhere."""
    (tmp_path / "report" / "pages").mkdir(parents=True)
    (tmp_path / "report" / "index.html").write_text("the page")
    (tmp_path / "report" / "pages" / "a b.html").write_text("its page")
    (tmp_path / "report" / "notes.txt").write_text("not the report's")
    (tmp_path / "report" / "mine.html").write_text("not the report's")
    (tmp_path / "secret.html").write_text("secret")
    (tmp_path / "v.mp4").write_bytes(CONTENT)
    return tmp_path


def test_any_part_of_a_video(place: Path) -> None:
    with serving(str(place / "report"), [str(place / "v.mp4")]) as port:
        whole = ask(port, "/video/0")
        assert (whole.status, whole.content) == (200, CONTENT)
        assert whole.headers["Content-Type"] == "video/mp4"
        assert whole.headers["Accept-Ranges"] == "bytes"
        size = len(CONTENT)
        for asked, start, end in [
            ("10-19", 10, 20),
            ("5000-", 5000, size),
            ("-7", size - 7, size),
            ("5-999999", 5, size),
        ]:
            part = ask(port, "/video/0", Range=f"bytes={asked}")
            assert (part.status, part.content) == (206, CONTENT[start:end])
            assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        beyond = ask(port, "/video/0", Range=f"bytes={size}-")
        assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
        head = ask(port, "/video/0", "HEAD")
        assert (head.status, head.content, head.headers["Content-Length"]) == (200, b"", str(size))


def test_the_report_and_nothing_beside_it(place: Path) -> None:
    with serving(str(place / "report"), [str(place / "v.mp4")]) as port:
        moved = ask(port, "/")
        assert (moved.status, moved.headers["Location"]) == (302, "/?served")
        assert ask(port, "/?served").content == b"the page"
        assert ask(port, "/pages/a%20b.html?served").content == b"its page"
        for path in (
            "/../secret.html", "/%2e%2e/secret.html", "/pages/..%2f..%2fsecret.html", "//secret.html", "/notes.txt",
            "/mine.html",
            "/video/1", "/video/-1", "/video/v.mp4", "/video/0/../1", "/no.html", "/pages/a%00.html",
            "/..%5csecret.html",
        ):  # fmt: skip
            assert ask(port, path).status == 404, path
        assert ask(port, "/", "POST").status == 501
        for host in ("evil.example", f"evil.example:{port}"):
            assert ask(port, "/?served", Host=host).status == 403
        assert ask(port, "/?served", Host=f"localhost:{port}").status == 200


def test_videos_on_object_storage(place: Path, s3_server: str) -> None:
    url = storage.join(s3_server, "served", "v.webm")
    storage.write_bytes(url, CONTENT)
    with serving(str(place / "report"), [url]) as port:
        part = ask(port, "/video/0", Range="bytes=100-299")
        assert (part.status, part.content) == (206, CONTENT[100:300])
        assert part.headers["Content-Type"] == "video/webm"


def test_a_report_on_object_storage_is_written_and_served(s3_server: str, tmp_path: Path) -> None:
    rows = [(video, 1.0, 2.0 + i, "run", 0.5) for video in ("a", "b/c") for i in range(4)]
    pq.write_table(segments_table(rows), tmp_path / "p.parquet")
    folder = storage.join(s3_server, "report")
    words = [
        f"predictions={tmp_path / 'p.parquet'}",
        f"out={folder}",
        "page.max_segments=4",
        "pictures=[svg]",
    ]
    summary = report(compose_config("report", ReportConfig, words))
    assert summary.outputs["page"] == f"{folder}/index.html"
    with serving(folder, []) as port:
        assert ask(port, "/?served").content.startswith(b"<!doctype html>")
        assert ask(port, "/pages/b/c.html?served").content.startswith(b"<!doctype html>")
        assert ask(port, "/pages/page.css").headers["Content-Type"] == "text/css"
        assert ask(port, "/timelines.svg").content.startswith(b"<?xml")


def test_a_port_that_is_taken_is_told(place: Path) -> None:
    with (
        serving(str(place / "report"), []) as port,
        pytest.raises(InputError, match=f"port={port}: cannot be"),
    ):
        report_server(str(place / "report"), [], port)


def test_the_page_plays_what_is_served(browser: Browser, demo_page: Path) -> None:
    videos = demo_page.parent.parent / "videos"
    with serving(str(demo_page.parent), [str(videos / f"{name}.mp4") for name in ("a", "b", "c")]) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        browser.click("#tab-videos")

        def player(what: str) -> object:
            return browser.run("return document.getElementById('player')[arguments[0]]", what)

        browser.run("document.getElementById('list').focus()")
        browser.keys("n")
        assert browser.wait(lambda: player("currentSrc")) == f"http://127.0.0.1:{port}/video/0"
        browser.wait(lambda: player("readyState") >= 1)
        assert player("duration") == pytest.approx(30, abs=0.5)
        browser.run("document.getElementById('player').currentTime = 25")
        browser.wait(lambda: player("readyState") >= 2 and not player("seeking"))
        assert player("currentTime") == pytest.approx(25, abs=0.5)


def test_the_job_serves_until_ctrl_c_and_ends_well(demo_page: Path) -> None:
    place = demo_page.parent.parent
    words = [
        f"predictions={place / 'first.parquet'}",
        f"videos={place / 'videos'}",
        f"out={place / 'served'}",
    ]
    job = subprocess.Popen(
        heeding_interrupts(job_command("report", *words, "serve=true", "pictures=[]")),
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert job.stderr is not None
        line = next(line for line in job.stderr if "http://" in line)
        port = int(line.split(":")[-1].split("/")[0])
        assert ask(port, "/?served").content.startswith(b"<!doctype html>")
        assert ask(port, "/video/2", Range="bytes=4-7").content == b"ftyp"
        job.send_signal(signal.SIGINT)
        shown, _ = job.communicate(timeout=60)
    finally:
        job.kill()
        job.wait()
    assert job.returncode == 0
    assert "index.html" in shown
