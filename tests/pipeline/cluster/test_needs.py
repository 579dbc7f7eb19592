"""What workers ask for, against what nodes have."""

import pytest

from pipeline.cluster.needs import Need, check_needs, needs_of, unmet
from pipeline.cluster.settings import Placement
from pipeline.errors import InputError

SMALL = ({"CPU": 4.0}, {"pool": "decode"})
LARGE = ({"CPU": 16.0, "GPU": 2.0, "accelerator_type:H100": 1.0}, {"pool": "infer"})
ANYWHERE, DECODE_ONLY = Placement(), Placement(labels={"pool": "decode"})


@pytest.mark.parametrize(
    ("need", "nodes", "problem"),
    [
        (needs_of("embed", ANYWHERE, cpus=4), [SMALL], None),
        (needs_of("embed", ANYWHERE, cpus=8), [SMALL, LARGE], None),
        (
            needs_of("embed", ANYWHERE, cpus=8),
            [SMALL],
            "embed.cpus=8: no node of this Ray has more than 4 CPUs",
        ),
        (
            needs_of("embed", ANYWHERE, cpus=1, gpus=0.5),
            [SMALL],
            "embed.gpus=0.5: no node of this Ray has a GPU",
        ),
        (
            needs_of("embed", ANYWHERE, cpus=1, gpus=4),
            [LARGE],
            "embed.gpus=4: no node of this Ray has more than 2 GPUs",
        ),
        (needs_of("embed", ANYWHERE, cpus=1, accelerator_type="H100"), [SMALL, LARGE], None),
        (
            needs_of("embed", ANYWHERE, cpus=1, accelerator_type="A100"),
            [LARGE],
            "embed.accelerator_type=A100: no node of this Ray has such a GPU",
        ),
        (
            needs_of("decode", Placement(resources={"disk": 1}), cpus=1),
            [LARGE],
            "decode.resources.disk=1: no node of this Ray has a disk",
        ),
        (needs_of("decode", DECODE_ONLY, cpus=4), [SMALL, LARGE], None),
        (
            needs_of("decode", DECODE_ONLY, cpus=8),
            [SMALL, LARGE],
            "decode.cpus=8: no node of this Ray has more than 4 CPUs",
        ),
        (
            needs_of("decode", DECODE_ONLY, cpus=1),
            [LARGE],
            "decode.labels={pool: decode}: no node of this Ray has such labels",
        ),
        # What Ray takes as a condition is Ray's to judge.
        (needs_of("decode", Placement(labels={"pool": "!decode"}), cpus=1), [LARGE], None),
        # Four halves of a GPU fit on two GPUs, five do not; CPUs for all are there.
        (
            needs_of("detect", ANYWHERE, cpus=1, gpus=0.5, workers=4, workers_key="detect.min_actors"),
            [LARGE],
            None,
        ),
        (
            needs_of("detect", ANYWHERE, cpus=1, gpus=0.5, workers=5, workers_key="detect.min_actors"),
            [SMALL, LARGE],
            "detect.min_actors=5: the nodes of this Ray have room for 4 of them",
        ),
        (
            Need({"cpus_per_worker": ("CPU", 3.0)}, workers=7, workers_key="workers"),
            [SMALL, LARGE],
            "workers=7: the nodes of this Ray have room for 6 of them",
        ),
    ],
)
def test_the_first_thing_in_the_way_is_named(
    need: Need, nodes: list[tuple[dict[str, float], dict[str, str]]], problem: str | None
) -> None:
    assert unmet(need, nodes) == problem


def test_a_ray_of_ones_own_never_gets_more(ray_local: None) -> None:
    check_needs([needs_of("embed", ANYWHERE, cpus=4)])
    with pytest.raises(
        InputError, match=r"^embed\.cpus=5: no node of this Ray has more than 4 CPUs; lower it"
    ):
        check_needs([needs_of("embed", ANYWHERE, cpus=5)])
