"""The public surface: command-line keys, table schemas and metric names. Changing it is a decision (CHANGELOG.md).

After a deliberate change: python -m tests.test_public_surface > tests/public_surface.txt
"""

from pathlib import Path

import pyarrow as pa
from pydantic.fields import FieldInfo

from models.detectors import DETECTORS
from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.compaction.settings import CompactConfig
from pipeline.comparison.settings import CompareConfig
from pipeline.demo.settings import DemoConfig
from pipeline.evaluation.evaluate import score
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.failures import FAILURES_SCHEMA, FailureKind
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.index_rows import INDEX_SCHEMA
from pipeline.features.published.settings import ExportFeaturesConfig, ImportFeaturesConfig
from pipeline.features.schema import FEATURES_SCHEMA, PLAN_SCHEMA
from pipeline.inference.settings import DetectHereConfig, NameConfig, PredictConfig
from pipeline.keys import choices_of, described_keys
from pipeline.labelling.settings import LabelConfig
from pipeline.lost.settings import FailuresConfig
from pipeline.report.settings import ReportConfig
from pipeline.segments.schema import PREDICTIONS_SCHEMA, SEGMENTS_SCHEMA
from pipeline.segments.settings import ExportSegmentsConfig
from pipeline.splits.settings import SplitsConfig
from pipeline.training.settings import TrainConfig

JOBS = {
    "extract": ExtractConfig,
    "import_features": ImportFeaturesConfig,
    "export_features": ExportFeaturesConfig,
    "train": TrainConfig,
    "splits": SplitsConfig,
    "predict": PredictConfig,
    "name": NameConfig,
    "label": LabelConfig,
    "detect": DetectHereConfig,
    "evaluate": EvaluateConfig,
    "report": ReportConfig,
    "export_segments": ExportSegmentsConfig,
    "compare": CompareConfig,
    "demo": DemoConfig,
    "failures": FailuresConfig,
    "compact": CompactConfig,
}
SCHEMAS = {
    "plan": PLAN_SCHEMA,
    "features": FEATURES_SCHEMA,
    "index": INDEX_SCHEMA,
    "failures": FAILURES_SCHEMA,
    "predictions": PREDICTIONS_SCHEMA,
    "segments": SEGMENTS_SCHEMA,
    "videos": VIDEOS_SCHEMA,
    "instances": INSTANCES_SCHEMA,
}


def surface() -> str:
    """The public surface as text, one name a line."""
    lines = [f"key {job} {key}" for job, config in JOBS.items() for key, _ in described_keys(config)]
    for name, kind in DETECTORS.items():
        for group, config_type in (("model", kind.config), ("loss", kind.loss)):
            lines += [
                f"hyperparameter {name} {key}{_choices(field)}"
                for key, field in described_keys(config_type, prefix=f"{group}.")
            ]
    for name, schema in SCHEMAS.items():
        lines += [f"column {name} {_column(field)}" for field in schema]
    lines += [f"failure {kind}" for kind in FailureKind]
    lines += [f"metric {name}" for name in _names(_evaluation())]
    return "\n".join(lines) + "\n"


def _choices(field: FieldInfo) -> str:
    return f": {', '.join(choices_of(field))}" if choices_of(field) else ""


def _column(field: pa.Field) -> str:
    return f"{field.name}: {field.type}{'' if field.nullable else ' not null'}"


def _evaluation() -> dict[str, object]:
    """metrics.json of one true instance of class `c`, 1 s long and found."""
    config = EvaluateConfig(
        predictions="predictions",
        dataset={"name": "multithumos", "annotations": "truth"},
        thresholds=(0.5,),
        length_edges=(3.0,),
    )
    video = {"video_id": ["v"]}
    segment = video | {"t_start": [0.0], "t_end": [1.0], "label": ["c"]}
    truth = Annotations(
        pa.table(video | {"subset": ["test"], "duration": [4.0], "fps": [None]}, schema=VIDEOS_SCHEMA),
        pa.table(segment, schema=INSTANCES_SCHEMA),
        ("c",),
    )
    return score(pa.table(segment | {"score": [1.0]}, schema=SEGMENTS_SCHEMA), truth, config).to_json()


def _names(metrics: dict[str, object], prefix: str = "") -> list[str]:
    names = []
    for name, value in metrics.items():
        names += _names(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return names


def test_the_public_surface_is_as_decided() -> None:
    decided = (Path(__file__).parent / "public_surface.txt").read_text()
    assert surface().splitlines() == decided.splitlines()


if __name__ == "__main__":
    print(surface(), end="")
