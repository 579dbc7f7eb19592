"""Every rendering of k8s/ by every check, and each check by a manifest that only it refuses."""

from collections.abc import Callable, Iterator

import pytest

from tests.k8s import controller_rules, pod_rules
from tests.k8s.entrypoints import entrypoints
from tests.k8s.rendering import OVERLAYS, RENDERINGS, Document, clusters, groups, named, of_kind, rendered
from tests.k8s.schemas import admission, core_schemas

Check = Callable[[list[Document]], Iterator[str]]
CHECKS: tuple[Check, ...] = (
    admission,
    core_schemas,
    controller_rules.names,
    controller_rules.job_rules,
    controller_rules.cluster_rules,
    pod_rules.security,
    pod_rules.sizes,
    pod_rules.life_cycle,
    pod_rules.references,
    pod_rules.versions,
    pod_rules.network,
    pod_rules.disruption,
    entrypoints,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", RENDERINGS)
def test_nothing_is_wrong(name: str, check: Check) -> None:
    assert list(check(rendered(name))) == []


@pytest.mark.parametrize("name", [name for name in RENDERINGS if name != "base"])
def test_nothing_of_base_is_lost(name: str) -> None:
    """kustomize replaces whole lists without a word where a patch merges into a kind that it does not know."""
    before, after = rendered("base"), rendered(name)
    for document in before:
        there = named(after, document["kind"], document["metadata"]["name"])
        assert document["metadata"]["labels"].items() <= there["metadata"]["labels"].items()
    for (where, base), (_, ours) in zip(clusters(before), clusters(after), strict=True):
        assert set(groups(base)) == set(groups(ours)), where
        parts = zip(
            [base["headGroupSpec"], *base["workerGroupSpecs"]],
            [ours["headGroupSpec"], *ours["workerGroupSpecs"]],
            strict=True,
        )
        for was, now in parts:
            assert set(was) - {"priority", "idleTimeoutSeconds"} <= set(now), where
            assert was["rayStartParams"] == now["rayStartParams"]
            (was,), (now,) = (each["template"]["spec"]["containers"] for each in (was, now))
            assert set(was) == set(now)
            for key in ("env", "volumeMounts", "ports"):
                assert [each["name"] for each in was.get(key, [])] == [
                    each["name"] for each in now.get(key, [])
                ]
            assert was.get("envFrom") == now.get("envFrom")


def test_what_clusters_of_base_share_is_equal() -> None:
    """Each job can be read by itself, so that heads and pools stand five times; they differ in their part only."""
    heads, options = [], []
    pools: dict[str, list[Document]] = {}
    for where, cluster in clusters(rendered("base")):
        for part in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            assert where.lower().endswith(part["template"]["metadata"]["labels"].pop("raytad.io/part")) or (
                where == "RayCluster/raytad"
            )
        heads.append(cluster["headGroupSpec"])
        options.append(
            {key: cluster[key] for key in cluster if key not in ("headGroupSpec", "workerGroupSpecs")}
        )
        for name, group in groups(cluster).items():
            pools.setdefault(name, []).append(group)
    assert all(each == options[0] for each in options)
    assert all(head == heads[0] for head in heads)
    assert set(pools) == {"cpu-decode", "gpu-infer", "gpu-train"}
    for name, same in pools.items():
        assert len(same) > 1, name
        assert all(group == same[0] for group in same), name


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_applied_part_by_part(name: str) -> None:
    parts = {document["metadata"]["labels"]["raytad.io/part"] for document in rendered(f"overlays/{name}")}
    wanted = {"platform", "cluster", "extract", "train", "predict", "label"}
    assert parts == (wanted | {"archive"} if name == "kind" else wanted)
    assert len(of_kind(rendered(f"overlays/{name}"), "RayJob")) == 4
