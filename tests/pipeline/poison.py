"""What hostile files do to the process that reads them, done for real by readers that stand in for the decoder."""

import ctypes
import os
import signal
import struct
import threading
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pipeline.features.extraction.decode import ChunkReader


def hang() -> None:
    """In C and with Python's lock held, so that no thread of the process can do anything about it."""
    ctypes.PyDLL(None).pause()


def swallow_memory() -> None:
    """More than any limit of these tests, in the pieces that a decoder would take."""
    hoard = []
    while True:
        hoard.append(bytearray(2**24))


def corrupt_memory() -> None:
    ctypes.string_at(8)


POISONS: dict[str, Callable[[], object]] = {
    "hang": hang,
    "swallow": swallow_memory,
    "segfault": corrupt_memory,
    "abort": os.abort,
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(0),
    "stall": lambda: threading.Event().wait(),
}


class PoisonedReader(ChunkReader):
    """A chunk reader to which a video named `<poison>_at_<k>` does its harm in chunk `k`.

    One named `<poison>_once_at_<k>` does so only the first time.
    """

    def __call__(self, chunk: dict[str, Any] | None, out: memoryview) -> None:
        if chunk is not None:
            name, _, place = chunk["video_id"].partition("_at_")
            poison, _, once = name.partition("_")
            scar = Path(chunk["uri"] + ".harmed")
            if poison in POISONS and place == str(chunk["chunk_index"]) and not (once and scar.exists()):
                scar.touch()
                POISONS[poison]()
        super().__call__(chunk, out)


class PoisonedAnswer:
    """A handler that does the harm that it is asked for; else it fills the memory and counts its calls."""

    def __init__(self, first: int) -> None:
        self.count = first

    def __call__(self, request: Any, out: memoryview) -> int:
        if isinstance(
            request, tuple
        ):  # ("killed_once", scar): kills this process unless the scar is there already
            scar: Path = request[1]
            if not scar.exists():
                scar.touch()
                POISONS["killed"]()
            request = 1
        if request in POISONS:
            POISONS[request]()
        if isinstance(request, Exception):
            raise request
        out[:] = bytes([request]) * len(out)
        self.count += 1
        return self.count


def write_bomb(path: Path, side: int = 12_000) -> None:
    """A video of a few hundred kilobytes whose one picture takes `3 * side ** 2` bytes: PNG packs zeros well."""
    packer = zlib.compressobj()
    row = bytes(1 + 3 * side)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    with av.open(str(path), "w") as output:
        stream = output.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = side, side, "rgb24"
        packet = av.Packet(b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks))
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        packet.time_base, packet.duration, packet.is_keyframe = Fraction(1, 25), 25, True
        output.mux(packet)


def _png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
