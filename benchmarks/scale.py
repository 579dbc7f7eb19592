"""What each step of the jobs costs as the archive grows; the exponent between sizes tells, 1 is in proportion.

For each size a synthetic archive is built (`synthetic_archive.py`), and each step runs in a process of its own: CPU
seconds of that process, its peak memory on top of what was there before, the largest worker of its Ray, and, where the
archive lies on S3, the requests and bytes that the server counted, those of all workers included. Linux only.

    python benchmarks/scale.py                          1,000 and 10,000 videos, here and on a local S3 server
    python benchmarks/scale.py --videos 100000 1000000 --places local --steps open index plan
    python benchmarks/scale.py --videos 1000000 --chunks 10 --places local --steps index
"""

import argparse
import itertools
import logging
import math
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract_memory import family
from measure import record
from scale_steps import STEPS, memory_mib

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the tests are, which know how to serve S3

from tests.s3_server import NUM_PORTS, environment, free_ports, serving

SIZES = (1_000, 10_000)
PLACES = ("local", "s3")
_SECONDS_BETWEEN_LOOKS = 0.3
_COUNTED = {"requests": "SeaweedFS_s3_request_total", "sent": "SeaweedFS_s3_bucket_traffic_sent_bytes_total"}
_RECEIVED = "SeaweedFS_s3_bucket_traffic_received_bytes_total"


@dataclass(frozen=True)
class Asked:
    """What a server was asked: requests, and bytes that it sent and received."""

    requests: int
    sent: int
    received: int

    def __sub__(self, before: "Asked") -> "Asked":
        return Asked(
            self.requests - before.requests, self.sent - before.sent, self.received - before.received
        )


def asked(metrics_port: int) -> Asked:
    """What the S3 server was asked so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics") as answer:
        lines = answer.read().decode().splitlines()

    def total(name: str) -> int:
        return int(sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[{{ ]", line)))

    return Asked(*(total(name) for name in _COUNTED.values()), total(_RECEIVED))


def _in_child(step: str, at: str, metrics_port: int | None, answer: Any) -> None:
    logging.disable(logging.WARNING)
    with open(os.devnull, "w") as nowhere:  # tables, and what Ray says
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    try:
        answer.send(_figures(step, at, metrics_port))
    except Exception as error:
        answer.send({"failed": f"{type(error).__name__}: {error}"[:200]})
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def _figures(step: str, at: str, metrics_port: int | None) -> dict[str, Any]:
    from pipeline import storage

    work = STEPS[step](at)
    storage.exists(at)  # so that no step pays for the first connection
    before = asked(metrics_port) if metrics_port else None
    memory = memory_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    wall, cpu = time.monotonic(), time.process_time()
    result = work()
    row = {"cpu_s": time.process_time() - cpu, "wall_s": time.monotonic() - wall}
    row |= result if isinstance(result, dict) else {}
    row["peak_mib"] = memory_mib("VmHWM") - memory
    if before is not None:
        row |= vars(asked(metrics_port) - before)
    return row


def measured(step: str, at: str, metrics_port: int | None) -> dict[str, Any]:
    """The figures of one step in a process of its own, or `failed` with the reason."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_in_child, args=(step, at, metrics_port, sender))
    process.start()
    sender.close()
    assert process.pid is not None
    largest = 0.0
    row = None
    while row is None:
        try:
            row = receiver.recv() if receiver.poll(_SECONDS_BETWEEN_LOOKS) else None
        except EOFError:
            break
        workers = [pid for pid in family(process.pid) if _name(pid).startswith("ray::")]
        largest = max([largest, *(memory_mib("VmHWM", pid) for pid in workers)])
    process.join()
    return (row or {"failed": "the process died"}) | ({"worker_mib": largest} if largest else {})


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


def count_files(folder: Path) -> int:
    """Files of the store."""
    return sum(path.is_file() for path in (folder / "store").rglob("*"))


def upload(folder: Path, url: str) -> None:
    """Bring an archive to S3, its published files left out; its URIs stay those of this machine."""
    import s3fs

    target = s3fs.S3FileSystem(use_listings_cache=False)
    for path in folder.iterdir():
        if path.name != "npy":
            target.put(str(path), f"{url}/{path.name}", recursive=path.is_dir())


def exponents(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """For each step and place, the exponent with which each figure grows from one size to the next."""
    for key, group in itertools.groupby(
        sorted(rows, key=lambda row: (row["place"], row["step"])), key=lambda row: (row["place"], row["step"])
    ):
        for small, large in itertools.pairwise(sorted(group, key=lambda row: row["videos"])):
            growth = math.log(large["videos"] / small["videos"])
            found = {
                f"{name}_exponent": math.log(large[name] / small[name]) / growth
                for name in ("cpu_s", "peak_mib", "requests", "sent")
                if small.get(name, 0) > 0 and large.get(name, 0) > 0
            }
            yield {"place": key[0], "step": key[1], "videos": large["videos"], **found}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, nargs="+", default=SIZES, help="sizes of the archives")
    parser.add_argument("--chunks", type=int, default=1, help="chunks of each video")
    parser.add_argument("--places", nargs="+", choices=PLACES, default=PLACES, help="where they lie")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=tuple(STEPS), help="what is measured")
    parser.add_argument("--name", default="scale", help="of the file in results/")
    choice = parser.parse_args()

    rows: list[dict[str, Any]] = []
    ports = free_ports(NUM_PORTS + 1)
    os.environ |= environment(ports) | {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="raytad-scale-")))
        (scratch / "s3").mkdir()
        if "s3" in choice.places:
            bucket = stack.enter_context(serving(scratch / "s3", ports, metrics_port=ports[NUM_PORTS]))
        for videos in sorted(choice.videos):
            folder = scratch / str(videos)
            _build_elsewhere(folder, videos, choice.chunks, "import" in choice.steps)
            sizes = {"videos": videos, "chunks": videos * choice.chunks, "files": count_files(folder)}
            places = {"local": (str(folder), None)}
            if "s3" in choice.places:
                upload(folder, f"{bucket}/{videos}")
                places["s3"] = (f"{bucket}/{videos}", ports[NUM_PORTS])
            for place, step in itertools.product(choice.places, choice.steps):
                at, metrics_port = places[place]
                if place == "s3" and step == "import":
                    continue  # the files stay here
                row = sizes | {"place": place, "step": step} | measured(step, at, metrics_port)
                print("  ".join(_shown(row)), flush=True)
                rows.append(row)
            shutil.rmtree(folder)
    growths = list(exponents(rows))
    for growth in growths:
        print("  ".join(_shown(growth)))
    by_key = {(growth["place"], growth["step"], growth["videos"]): growth for growth in growths}
    record(choice.name, [row | by_key.get((row["place"], row["step"], row["videos"]), {}) for row in rows])


def _build_elsewhere(folder: Path, videos: int, chunks: int, with_npy: bool) -> None:
    """In a process of its own, so that this one, whose size its children inherit, stays small."""
    from synthetic_archive import build_archive

    context = multiprocessing.get_context("spawn")
    process = context.Process(target=build_archive, args=(folder, videos, chunks, with_npy))
    process.start()
    process.join()
    assert process.exitcode == 0, "the archive could not be built"


def _shown(row: dict[str, Any]) -> Iterator[str]:
    return (
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in row.items()
    )


if __name__ == "__main__":
    main()
