"""Files that cannot be read, or only in part, and what is said of them."""

import io
import pickle
import socket
from fractions import Fraction
from pathlib import Path

import av
import pytest

from pipeline.failures import FailureKind
from pipeline.video.errors import VideoError
from pipeline.video.picture import FrameSize
from pipeline.video.probe import probe
from pipeline.video.reader import FrameReader
from pipeline.video.source import open_source
from tests.pipeline.video.numbered import Recipe, draw, mux_silence, read_number

SIZE = FrameSize(64, 64)


def read_until_error(reader: FrameReader, indices: range) -> tuple[list[int], VideoError]:
    """The numbers read before the error, and the error."""
    numbers: list[int] = []
    try:
        for picture in reader.read(indices):
            numbers.append(read_number(picture))
    except VideoError as error:
        return numbers, error
    raise AssertionError("no error")


def test_an_error_crosses_processes_whole() -> None:
    error = pickle.loads(pickle.dumps(VideoError(FailureKind.TRUNCATED, "ends at 3 s,\nnot at 5 s", 3.0)))  # noqa: S301
    assert error.kind is FailureKind.TRUNCATED
    assert error.message == str(error) == "ends at 3 s, not at 5 s"
    assert error.end == 3.0


def kind_of(source: Path | io.BytesIO) -> set[FailureKind]:
    """The kinds with which a probe and a reader refuse a source."""
    kinds = set()
    for refuse in (probe, lambda source: FrameReader(source, fps=25, size=SIZE)):
        with pytest.raises(VideoError) as caught:
            refuse(source)
        assert caught.value.message
        assert "\n" not in caught.value.message
        kinds.add(caught.value.kind)
    return kinds


def test_what_is_no_video_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n" * 500)
    (tmp_path / "empty.mp4").touch()
    whole = Recipe("whole.mp4").make(tmp_path).read_bytes()
    assert whole.index(b"mdat") < whole.index(b"moov")
    (tmp_path / "no_index.mp4").write_bytes(whole[: len(whole) // 2])
    for name in ("text.mp4", "empty.mp4", "no_index.mp4", "missing.mp4", "."):
        assert kind_of(tmp_path / name) == {FailureKind.UNREADABLE}
    assert kind_of(io.BytesIO(b"")) == {FailureKind.UNREADABLE}


def test_sound_and_cover_art_are_no_video(tmp_path: Path) -> None:
    for name, cover in (("sound.m4a", False), ("cover.m4a", True)):
        with av.open(str(tmp_path / name), "w", format="mp4") as output:
            sound = output.add_stream("aac", rate=16000, layout="mono")
            if cover:
                art = output.add_stream("mjpeg", rate=1)
                art.width, art.height, art.pix_fmt = 64, 48, "yuvj420p"
                art.disposition = av.stream.Disposition.attached_pic
                output.mux(art.encode(av.VideoFrame.from_ndarray(draw(0, 64, 48))))
                output.mux(art.encode())
            mux_silence(output, sound, Fraction(2))
        assert kind_of(tmp_path / name) == {FailureKind.NO_VIDEO_STREAM}


@pytest.fixture
def cut_off(tmp_path: Path) -> Path:
    """Ten seconds by its header, of which the last third of the bytes is missing."""
    recipe = Recipe("whole.mp4", count=250, options={"g": "25", "bf": "0"}, muxer={"movflags": "faststart"})
    data = recipe.make(tmp_path).read_bytes()
    path = tmp_path / "cut_off.mp4"
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def test_a_truncated_video_gives_what_it_has(cut_off: Path) -> None:
    assert probe(cut_off).duration == pytest.approx(10)
    with FrameReader(cut_off, fps=25, size=SIZE) as reader:
        numbers, error = read_until_error(reader, range(250))
        assert error.kind is FailureKind.TRUNCATED
        last = max(numbers)
        reached, missed = (last + 1) / 25, (last + 26) / 25
        assert error.message == f"the video ends at {reached:.2f} s, before {missed:.2f} s"
        assert 50 < last < 220
        held = 25  # a second of the last picture
        assert numbers == [*range(last), *[last] * (1 + held)]

        for later in (last + 60, 249, last + 27):  # however far behind the end, and in whatever order
            with pytest.raises(VideoError) as caught:
                next(reader.read([later]))
            assert caught.value.kind is FailureKind.TRUNCATED
        assert [read_number(picture) for picture in reader.read([40, last])] == [40, last]
    with FrameReader(cut_off, fps=25, size=SIZE) as reader, pytest.raises(VideoError) as caught:
        next(reader.read([249]))
    assert caught.value.kind is FailureKind.TRUNCATED


def test_the_last_picture_is_held_for_a_second(tmp_path: Path) -> None:
    with FrameReader(Recipe("short.mp4", count=10).make(tmp_path), fps=25, size=SIZE) as reader:
        assert [read_number(picture) for picture in reader.read(range(35))] == [*range(10), *[9] * 25]
        with pytest.raises(VideoError, match=r"ends at 0\.40 s"):
            list(reader.read([35]))


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Four seconds in four closed groups of pictures; picture 40, in the second, is overwritten."""
    path = Recipe("damaged.mp4", options={"g": "25", "bf": "0"}).make(tmp_path)
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][40]
        position, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def test_damage_costs_its_group_of_pictures_and_not_the_rest(damaged: Path) -> None:
    with FrameReader(damaged, fps=25, size=SIZE) as reader:
        numbers, error = read_until_error(reader, range(60))
        assert error.kind is FailureKind.DECODE_ERROR
        assert "Invalid data" in error.message
        assert numbers == list(range(39))  # the 39th stays until a next one comes, and none is known
        assert [read_number(picture) for picture in reader.read(range(60, 100))] == list(range(60, 100))
        assert [read_number(picture) for picture in reader.read(range(30))] == list(range(30))


def test_damage_that_lasts_to_the_end_is_an_end(tmp_path: Path) -> None:
    path = Recipe("rotten.mp4", options={"g": "25", "bf": "0"}).make(tmp_path)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in packets[60:]:
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    with FrameReader(path, fps=25, size=SIZE) as reader:
        numbers, error = read_until_error(reader, range(100))
        assert (error.kind, error.end) == (FailureKind.TRUNCATED, pytest.approx(60 / 25))
        assert numbers == [*range(60), *[59] * 25]
        with pytest.raises(VideoError, match=r"ends at 2\.40 s") as caught:
            next(reader.read([95]))  # by a seek to a key frame that is damaged
        assert caught.value.end == pytest.approx(60 / 25)


class Unreliable(io.BytesIO):
    """A connection that breaks once it is told to."""

    broken = False

    def read(self, size: int | None = -1) -> bytes:
        if self.broken:
            raise ConnectionResetError("the bucket hung up")
        return super().read(size)


def test_an_error_of_the_storage_is_not_blamed_on_the_video(tmp_path: Path) -> None:
    recipe = Recipe("plain.mp4", "mjpeg", pixels="yuvj420p", width=320, height=240, count=60)
    stream = Unreliable(recipe.make(tmp_path).read_bytes())
    with FrameReader(stream, fps=25, size=SIZE) as reader:
        stream.broken = True
        with pytest.raises(ConnectionResetError, match="hung up"):
            list(reader.read(range(60)))
        stream.broken = False
        assert [read_number(picture) for picture in reader.read(range(60))] == list(range(60))


def test_a_playlist_does_not_reach_for_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = "http://{}:{}/video.ts".format(*server.getsockname())
        path = tmp_path / "list.m3u8"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(VideoError):
            probe(path)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_url_of_no_known_kind_is_unreadable() -> None:
    with pytest.raises(VideoError, match="nowhere://") as caught, open_source("nowhere://video.mp4"):
        pass
    assert caught.value.kind is FailureKind.UNREADABLE


def test_a_name_with_a_colon_is_a_path(tmp_path: Path) -> None:
    path = Recipe("part:1.mp4", count=5).make(tmp_path)
    assert probe(path).duration == pytest.approx(0.2)
