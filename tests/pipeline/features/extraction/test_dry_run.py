"""How long an extraction is estimated to take, and with how many workers."""

import pytest

from pipeline.compose import compose_config
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.extraction.dry_run import DryRun, Sample, StageWorkers, count_workers
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.pictures import PictureSize

RGB = Inputs(PictureSize(256, 224))
FLOW = Inputs(PictureSize(256, 224), flow=True)


@pytest.mark.parametrize(
    ("inputs", "words", "cpus", "gpus", "expected"),
    [
        (RGB, [], 4, 0, [3, 1]),
        (RGB, [], 1, 0, [1, 1]),  # at least one of each
        (RGB, ["embed.max_actors=9", "embed.gpus=0.5"], 16, 2, [12, 4]),
        (RGB, ["decode.cpus=0.5", "embed.cpus=2"], 8, 0, [12, 1]),
        (FLOW, ["flow.cpus=2"], 9, 0, [8, 4, 1]),
        (FLOW, ["flow.algorithm=raft_small", "flow.gpus=1", "embed.gpus=0.5", "embed.max_actors=9"], 16, 2,
         [13, 1, 2]),
        (FLOW, ["flow.algorithm=raft_small", "flow.max_actors=3"], 8, 0, [4, 3, 1]),
    ],
)  # fmt: skip
def test_actors_take_what_they_may_and_tasks_the_rest(
    inputs: Inputs, words: list[str], cpus: float, gpus: float, expected: list[int]
) -> None:
    config = compose_config("extract", ExtractConfig, ["videos=/v", "store=/s", *words])
    workers = count_workers(config, inputs, {"CPU": cpus, "GPU": gpus, "memory": 1e9})
    assert [w.count for w in workers] == expected
    assert [w.stage for w in workers] == ["decoding", *["optical flow"] * inputs.flow, "backbone"]


def estimated(flow: str, *counts: int) -> float | None:
    units = ("tasks", flow, "actors")
    workers = tuple(map(StageWorkers, ("decoding", "optical flow", "backbone"), units, counts))
    sample = Sample(10, {"decoding": 4.0, "optical flow": 6.0, "backbone": 3.0})
    return DryRun(1, 1, 0, {}, 1.0, 10, 100, 0, workers, sample, "/s").seconds


def test_the_slowest_actors_or_all_tasks_set_the_pace() -> None:
    assert estimated("tasks", 4, 4, 1) == pytest.approx(10 * 3)  # (4 + 6) / 4 s of tasks beside 3 s of actors
    assert estimated("tasks", 2, 2, 1) == pytest.approx(10 * 5)
    assert estimated("actors", 2, 1, 1) == pytest.approx(10 * 6)
    assert estimated("actors", 1, 3, 2) == pytest.approx(10 * 4)
