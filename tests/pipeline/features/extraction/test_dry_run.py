"""How long an extraction is estimated to take, and with how many workers."""

import pytest

from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.extraction.dry_run import DryRun, Sample, StageWorkers, count_workers
from pipeline.features.extraction.settings import ExtractConfig, SizeConfig
from pipeline.features.extraction.sizing import size_of, worker_resources
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
    return DryRun(1, 1, 0, {}, 1.0, 10, 100, 0, workers, sample, None, "/s").seconds


def test_the_slowest_actors_or_all_tasks_set_the_pace() -> None:
    assert estimated("tasks", 4, 4, 1) == pytest.approx(10 * 3)  # (4 + 6) / 4 s of tasks beside 3 s of actors
    assert estimated("tasks", 2, 2, 1) == pytest.approx(10 * 5)
    assert estimated("actors", 2, 1, 1) == pytest.approx(10 * 6)
    assert estimated("actors", 1, 3, 2) == pytest.approx(10 * 4)


def test_an_archive_is_sized_from_a_sample() -> None:
    # 36 s of video took 9 s of a decoder and 1.8 s of a backbone: a quarter and a twentieth of real time.
    seconds = {"decoding": 9.0, "backbone": 1.8}
    resources = {"decoding": (1.0, 0.0), "backbone": (4.0, 0.5)}
    wanted = SizeConfig(hours=1000, within_hours=24, cpu_price=0.05, gpu_price=2.0)
    size = size_of(seconds, 0.01, 7.0, resources, wanted)
    assert [stage.worker_hours for stage in size.stages] == pytest.approx([250, 50])
    assert [stage.workers for stage in size.stages] == [11, 3]  # 250 / 24 = 10.4, 50 / 24 = 2.1
    assert (size.cpu_hours, size.gpu_hours) == pytest.approx((250 + 200, 25))
    assert size.cost == pytest.approx(450 * 0.05 + 25 * 2.0)
    as_it_is = size_of(seconds, 0.01, 7.0, resources, SizeConfig())
    assert (as_it_is.hours, as_it_is.cost) == (7.0, None)
    assert [stage.worker_hours for stage in as_it_is.stages] == pytest.approx([1.75, 0.35])
    assert [stage.workers for stage in as_it_is.stages] == [None, None]


@pytest.mark.parametrize(
    ("inputs", "words", "expected"),
    [
        (RGB, ["decode.cpus=0.5", "embed.gpus=1"], ((0.5, 0), (1, 1))),
        (FLOW, ["flow.cpus=2"], ((1, 0), (2, 0), (1, 0))),
        (FLOW, ["flow.algorithm=raft_small", "flow.gpus=0.5"], ((1, 0), (1, 0.5), (1, 0))),
    ],
)
def test_a_worker_has_what_the_settings_give_it(
    inputs: Inputs, words: list[str], expected: tuple[tuple[float, float], ...]
) -> None:
    config = compose_config("extract", ExtractConfig, ["videos=/v", "store=/s", *words])
    assert worker_resources(config, inputs) == expected


def test_a_size_without_a_dry_run_is_one_line() -> None:
    with pytest.raises(InputError, match="size: is what a dry run tells; give dry_run=true"):
        compose_config("extract", ExtractConfig, ["videos=/v", "store=/s", "size.hours=10"])
