"""Videos whose storage is away, or refuses: no fact about the videos."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pytest

from pipeline import outages, storage
from pipeline.failures import FailureKind
from pipeline.features.backbones import frame_offsets
from pipeline.features.extraction.decode import ChunkDecoder, ChunkReader
from pipeline.features.extraction.planning import probe_videos
from pipeline.features.extraction.signed import signed_uris
from pipeline.features.plan import chunk_rows
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource
from pipeline.features.timeline import Timeline
from pipeline.video import sandbox as sandbox_module
from pipeline.video.picture import FrameSize
from tests.outage import relayed_s3
from tests.videos import encode_video

TIMELINE = Timeline(fps=8.0, stride=2, window=2)


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The decoding child reads its environment when it starts, so each test has its own."""
    monkeypatch.setattr(sandbox_module, "_current", None)
    yield
    if sandbox_module._current is not None:
        sandbox_module._current.close()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return encode_video(tmp_path_factory.mktemp("v") / "v.mp4", seconds=4, fps=8, seed=1).read_bytes()


@pytest.fixture
def server(video: bytes) -> Iterator[str]:
    """A web server that has one video under any name, and answers for some names as a broken one would."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = urlsplit(self.path)
            if target.path == "/broken.mp4":
                self.send_error(500)
            elif target.path == "/gone.mp4" or not target.path.endswith(".mp4"):
                self.send_error(404)
            elif target.path == "/signed.mp4" and target.query != "signature=fresh":
                self.send_error(403)
            else:
                self._send()

        do_HEAD = do_GET

        def _send(self) -> None:
            start, stop = 0, len(video)
            asked = self.headers.get("Range")
            if asked:
                first, last = asked.removeprefix("bytes=").split("-")
                start, stop = int(first), min(len(video), int(last or len(video) - 1) + 1)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(stop - start))
            self.send_header("Accept-Ranges", "bytes")
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(video)}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(video[start:stop])

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def _decode(*sources: VideoSource, signed: bool = False) -> list[dict]:
    rows = [row for source in sources for row in chunk_rows(source, 16, 8, 4.0, TIMELINE)]
    decoder = ChunkDecoder(
        TIMELINE, frame_offsets(2, 1), FrameSize(32, 32), signed=signed_uris(sources) if signed else None
    )
    return pa.concat_tables(decoder(pa.Table.from_pylist(rows, schema=PLAN_SCHEMA))).to_pylist()


def test_an_outage_shorter_than_the_patience_costs_nothing(
    video: bytes, s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYTAD_STORAGE_PATIENCE_S", "90")
    (tmp_path / "v.mp4").write_bytes(video)
    uri = f"{s3_server}/away-{tmp_path.name}/v.mp4"
    with relayed_s3(monkeypatch) as relay:
        storage.write_bytes(uri, video)
        relay.away_for(8)
        rows, failures = probe_videos([VideoSource("v", uri)], TIMELINE, 16)
        assert (len(rows), failures) == (2, [])
        relay.away_for(8)
        there = _decode(VideoSource("v", uri))
        assert relay.refused > 0
    here = _decode(VideoSource("v", str(tmp_path / "v.mp4")))
    assert [row["error"] for row in there] == [None, None]
    assert [row["frames"] for row in there] == [row["frames"] for row in here]


@pytest.mark.parametrize("chunk", [1, 2])  # read on, and after a seek
def test_a_video_that_was_open_when_its_storage_went_is_read_again(
    s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """FFmpeg takes a failed read for the end of the file, and would call the video truncated ever after."""
    local = encode_video(tmp_path / "v.avi", seconds=16, fps=8, size=(160, 120), seed=2, codec="rawvideo")
    source = VideoSource("v", f"{s3_server}/open-{tmp_path.name}/v.avi")
    chunks = chunk_rows(source, 60, 20, 16.0, TIMELINE)

    def read(reader: ChunkReader, chunk: dict, uri: str) -> bytes:
        out = bytearray(20 * 32 * 32 * 3)
        reader(chunk | {"uri": uri}, memoryview(out))
        return bytes(out)

    size = FrameSize(32, 32)
    with relayed_s3(monkeypatch) as relay:
        storage.write_bytes(source.uri, local.read_bytes())
        reader = ChunkReader(TIMELINE, frame_offsets(2, 1), size, False)
        read(reader, chunks[0], source.uri)
        relay.up = False
        with pytest.raises(OSError) as caught:  # noqa: PT011
            read(reader, chunks[chunk], source.uri)
        assert outages.is_outage(caught.value)
        relay.up = True
        there = read(reader, chunks[chunk], source.uri)
        reader(None, memoryview(b""))
    assert there == read(ChunkReader(TIMELINE, frame_offsets(2, 1), size, False), chunks[chunk], str(local))


def test_a_longer_outage_ends_the_work_and_is_no_row(
    video: bytes, s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYTAD_STORAGE_PATIENCE_S", "2")
    uri = f"{s3_server}/away-{tmp_path.name}/v.mp4"
    with relayed_s3(monkeypatch) as relay:
        storage.write_bytes(uri, video)
        relay.up = False
        with pytest.raises(outages.OutageError, match=r"^s3://archive: has not answered for .* same command"):
            _decode(VideoSource("v", uri))
        with pytest.raises(outages.OutageError):
            probe_videos([VideoSource("v", uri)], TIMELINE, 16)


def test_one_file_that_its_server_cannot_give_is_a_row_to_be_tried_again(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYTAD_STORAGE_PATIENCE_S", "1")
    outages.be_patient()  # as a worker is
    sources = [VideoSource(name, f"{server}/{name}.mp4") for name in ("broken", "gone", "v")]
    rows, failures = probe_videos(sources, TIMELINE, 16)
    assert {row["video_id"] for row in rows} == {"v"}
    kinds = {failure.video_id: failure.kind for failure in failures}
    assert kinds == {"broken": FailureKind.STORAGE, "gone": FailureKind.UNREADABLE}
    errors = {row["video_id"]: row["error"] for row in _decode(*sources)}
    assert errors["v"] is None
    assert errors["broken"].startswith("storage: ")
    assert errors["gone"].startswith("unreadable: ")


def test_signatures_are_used_and_not_stored(server: str, ray_local: None) -> None:
    fresh = VideoSource("v", f"{server}/signed.mp4?signature=fresh")
    rows, _ = probe_videos([fresh], TIMELINE, 16)
    assert {row["uri"] for row in rows} == {f"{server}/signed.mp4"}
    decoded = _decode(fresh, signed=True)
    assert [row["error"] for row in decoded] == [None, None]
    assert {row["uri"] for row in decoded} == {f"{server}/signed.mp4"}
    _, [failure] = probe_videos([VideoSource("v", f"{server}/signed.mp4?signature=old")], TIMELINE, 16)
    assert failure.kind is FailureKind.STORAGE
    assert "signature=" not in f"{failure.message} {failure.uri}"
