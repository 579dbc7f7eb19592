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
import pickle
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract_memory import family
from measure import record

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the tests are, which know how to serve S3

from tests.s3_server import NUM_PORTS, environment, free_ports, serving

SIZES = (1_000, 10_000)
PLACES = ("local", "s3")
_SECONDS_BETWEEN_LOOKS = 0.3
_RAY = ["ray.cpus=4", "ray.object_store_mb=200"]
_DATASET = ["dataset.train_subset=all", "dataset.test_subset=all"]
_COUNTED = {"requests": "SeaweedFS_s3_request_total", "sent": "SeaweedFS_s3_bucket_traffic_sent_bytes_total"}
_RECEIVED = "SeaweedFS_s3_bucket_traffic_received_bytes_total"

Work = Callable[[], Any]


def open_store(at: str) -> Work:
    from pipeline.features.store import FeatureStore

    return lambda: FeatureStore(f"{at}/store")


def index(at: str) -> Work:
    from pipeline.features.store import FeatureStore

    store = FeatureStore(f"{at}/store")
    return lambda: store.index()


def plan(at: str) -> Work:
    from pipeline.features.extraction.planning import plan_store
    from pipeline.features.sources import list_videos
    from pipeline.features.store import FeatureStore

    store = FeatureStore(f"{at}/store")
    return lambda: plan_store(store, list_videos(f"{at}/videos.jsonl"), 512)


def extract_nothing(at: str) -> Work:
    from synthetic_archive import TIMELINE

    from pipeline.compose import compose_config
    from pipeline.features.extraction.run import extract
    from pipeline.features.extraction.settings import ExtractConfig

    words = [f"videos={at}/videos.jsonl", f"store={at}/store", "backbone=tiny", *TIMELINE, *_RAY]
    config = compose_config("extract", ExtractConfig, words)
    return lambda: extract(config)


def extract_last_percent(at: str) -> Work:
    """Without decoding: what lies around it, from the store as it is to its rows."""
    import numpy as np
    import pyarrow as pa
    from synthetic_archive import DIM, SNIPPETS

    from pipeline.cluster.runtime import connect
    from pipeline.cluster.settings import RayConfig
    from pipeline.features.schema import CHUNK_SCHEMA, FEATURES_SCHEMA
    from pipeline.features.store import FeatureStore
    from pipeline.features.writing import write_features

    store, schema = FeatureStore(f"{at}/left"), FEATURES_SCHEMA

    def filled(rows: pa.Table) -> pa.Table:
        vectors = np.full(SNIPPETS * DIM, 1, np.float16).tobytes()
        made = {"dim": DIM, "features": vectors, "error": None}
        columns = [rows[name] for name in CHUNK_SCHEMA.names]
        columns += [
            pa.array([value] * rows.num_rows, schema.field(name).type) for name, value in made.items()
        ]
        return pa.table(columns, schema=schema)

    connect(RayConfig(cpus=4, object_store_mb=200))
    return lambda: write_features(
        store,
        lambda plan_rows, tally: plan_rows.map_batches(filled, batch_format="pyarrow", batch_size=None),
        chunk_snippets=SNIPPETS,
        shard_mb=128,
        rows_per_task=4,
        pending=store.pending(),
        retry_failed=False,
    )


def import_published(at: str) -> Work:
    from synthetic_archive import TIMELINE

    from pipeline.compose import compose_config
    from pipeline.features.published.importing import import_features
    from pipeline.features.published.settings import ImportFeaturesConfig

    words = [f"source={at}/npy", f"store={at}/imported", "name=ones", r"id_pattern=.*$", *TIMELINE, *_RAY]
    config = compose_config("import_features", ImportFeaturesConfig, words)
    return lambda: import_features(config)


def predict_all(at: str) -> Work:
    from pipeline.compose import compose_config
    from pipeline.inference.predict import predict
    from pipeline.inference.settings import PredictConfig

    words = [f"run={at}/run", f"store={at}/store", f"out={at}/found", "detect.videos_per_task=64", *_RAY]
    config = compose_config("predict", PredictConfig, words)
    return lambda: predict(config)


def write_segments(at: str) -> Work:
    return _prediction_folder(f"{at}/predicted").write_segments


def write_one_more(at: str) -> Work:
    """One new file of one video beside all that is flattened already."""
    import pyarrow as pa

    from pipeline import parquet
    from pipeline.segments.schema import PREDICTIONS_SCHEMA

    folder = _prediction_folder(f"{at}/predicted")
    folder.write_segments()
    row = pa.Table.from_pylist([{"video_id": "new", "segments": [], "error": None}], PREDICTIONS_SCHEMA)
    parquet.write_table(f"{at}/predicted/predictions/new-000000.parquet", row)
    return folder.write_segments


def plan_training(at: str) -> Work:
    """What the driver does before its workers start, the sending of it included."""
    from pipeline.compose import compose_config
    from pipeline.features.store import FeatureStore
    from pipeline.training.plan import make_plan
    from pipeline.training.settings import TrainConfig

    words = [f"run={at}/trained", f"store={at}/store", f"dataset.annotations={at}/train.json", *_DATASET]
    config = compose_config("train", TrainConfig, [*words, "model=dualdetr_tiny", "windows.length=8"])
    return lambda: pickle.dumps(make_plan(config, FeatureStore(config.store)))


def det_map(at: str) -> Work:
    return _evaluation(at, "det_map", "best_f1", "ar_at_an", "recall_by_length")


def seg_map(at: str) -> Work:
    return _evaluation(at, "seg_map", "det_map")


STEPS: dict[str, Callable[[str], Work]] = {
    "open": open_store,
    "index": index,
    "plan": plan,
    "extract_nothing": extract_nothing,
    "extract_last_percent": extract_last_percent,
    "import": import_published,
    "predict": predict_all,
    "write_segments": write_segments,
    "write_one_more": write_one_more,
    "plan_training": plan_training,
    "det_map": det_map,
    "seg_map": seg_map,
}


def _prediction_folder(url: str) -> Any:
    """A folder of predict's, which gets a provenance that fits nothing else."""
    from pipeline.detector.settings import MergeConfig
    from pipeline.inference.output import PredictionFolder, Provenance

    return PredictionFolder(url, Provenance("c", "0", "0", 8, 8, MergeConfig()))


def _evaluation(at: str, *metrics: str) -> Work:
    from pipeline.compose import compose_config
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.evaluation.settings import EvaluateConfig

    words = [f"predictions={at}/flat", f"dataset.annotations={at}/truth.json", *_DATASET, f"out={at}/metrics"]
    words += [f"metrics=[{','.join(metrics)}]", "protocol=multithumos"]
    config = compose_config("evaluate", EvaluateConfig, words)
    return lambda: evaluate(config)


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
    memory = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    wall, cpu = time.monotonic(), time.process_time()
    work()
    row = {"cpu_s": time.process_time() - cpu, "wall_s": time.monotonic() - wall}
    row["peak_mib"] = _memory("VmHWM") - memory
    if before is not None:
        row |= vars(asked(metrics_port) - before)
    return row


def _memory(name: str, pid: int | str = "self") -> float:
    """MiB of `VmRSS`, what a process has, or `VmHWM`, the most that it had; 0 of one that is gone."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


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
        largest = max([largest, *(_memory("VmHWM", pid) for pid in workers)])
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
