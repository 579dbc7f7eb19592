"""The steps of the jobs that `scale.py` measures: each is given a synthetic archive and prepares what is to be done."""

import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_RAY = ["ray.cpus=4", "ray.object_store_mb=200"]
_DATASET = ["dataset.train_subset=all", "dataset.test_subset=all"]

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


def compact(at: str) -> Work:
    """The store's small files merged, as a run does at its end, so that what follows finds it as runs leave it."""
    from pipeline.features.compacting import compact_store
    from pipeline.features.store import FeatureStore

    store = FeatureStore(f"{at}/store")
    return lambda: compact_store(store, 128)


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


def _training_plan(at: str) -> Any:
    from pipeline.compose import compose_config
    from pipeline.features.store import FeatureStore
    from pipeline.training.plan import make_plan
    from pipeline.training.settings import TrainConfig

    words = [f"run={at}/trained", f"store={at}/store", f"dataset.annotations={at}/train.json", *_DATASET]
    config = compose_config("train", TrainConfig, [*words, "model=dualdetr_tiny", "windows.length=8"])
    return make_plan(config, FeatureStore(config.store))


def plan_training(at: str) -> Work:
    """What the driver does before its workers start, the sending of it included: Ray copies each column once."""
    import pipeline.training.plan  # noqa: F401 - what a driver has imported already

    def planned() -> list[bytes]:
        columns: list[pickle.PickleBuffer] = []
        rest = pickle.dumps(_training_plan(at), protocol=5, buffer_callback=columns.append)
        return [rest, *(column.raw().tobytes() for column in columns)]

    return planned


def hold_plan(at: str) -> Work:
    """What each training worker keeps of the driver's plan; its columns are the node's, which its workers share."""
    import ray

    from pipeline.cluster.runtime import connect
    from pipeline.cluster.settings import RayConfig

    connect(RayConfig(cpus=4, object_store_mb=800))
    plan = ray.put(_training_plan(at))

    @ray.remote
    def held() -> float:
        """MiB of this process's own that the plan takes."""
        import pipeline.training.loop  # noqa: F401 - what a worker has imported already

        before = memory_mib("RssAnon")
        kept = ray.get(plan)
        growth = memory_mib("RssAnon") - before
        del kept
        return growth

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker finds this folder's modules
    return lambda: {"held_mib": ray.get(held.remote())}


def det_map(at: str) -> Work:
    return _evaluation(at, "det_map", "best_f1", "ar_at_an", "recall_by_length")


def seg_map(at: str) -> Work:
    return _evaluation(at, "seg_map", "det_map")


STEPS: dict[str, Callable[[str], Work]] = {
    "open": open_store,
    "index": index,
    "plan": plan,
    "compact": compact,
    "extract_nothing": extract_nothing,
    "extract_last_percent": extract_last_percent,
    "import": import_published,
    "predict": predict_all,
    "write_segments": write_segments,
    "write_one_more": write_one_more,
    "plan_training": plan_training,
    "hold_plan": hold_plan,
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


def memory_mib(name: str, pid: int | str = "self") -> float:
    """MiB of `VmRSS`, what a process has, `RssAnon`, its own, or `VmHWM`, the most it had; 0 of one that is gone."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
