"""The checks can fail: each bad variant of the manifests is refused by the check that it was made for alone."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.rendering import Document, named, rendered
from tests.k8s.schemas import admission, has_crds
from tests.k8s.test_manifests import CHECKS

_VARIANTS: dict[str, dict[str, Document]] = yaml.safe_load(
    Path(__file__).with_name("mutations.yaml").read_text()
)
_GROUP = "spec.rayClusterSpec.workerGroupSpecs.0"
_PATHS = {
    "$cluster": "spec.rayClusterSpec",
    "$group": _GROUP,
    "$pod": f"{_GROUP}.template.spec",
    "$worker": f"{_GROUP}.template.spec.containers.0",
    "$head": "spec.rayClusterSpec.headGroupSpec.template.spec",
    "$head_container": "spec.rayClusterSpec.headGroupSpec.template.spec.containers.0",
    "$submitter": "spec.submitterPodTemplate",
}


def _mutated(variant: Document) -> list[Document]:
    documents = rendered(variant.get("rendering", "base"))
    kind, _, name = variant.get("of", "RayJob/raytad-extract").partition("/")
    document = named(documents, kind, name)
    for path in variant.get("drop", []):
        parent, key = _place(document, path)
        del parent[key]
    for path, value in variant.get("set", {}).items():
        parent, key = _place(document, path)
        parent[key] = value
    for path, value in variant.get("append", {}).items():
        parent, key = _place(document, path)
        parent[key] = [*parent[key], value]
    for path, (old, new) in variant.get("replace", {}).items():
        parent, key = _place(document, path)
        assert old in parent[key]
        parent[key] = parent[key].replace(old, new)
    return documents


def _place(document: Document, path: str) -> tuple[Any, Any]:
    """The parent of a dotted path and the last key; `\\.` is a dot of a key."""
    first, dot, rest = path.partition(".")
    keys = [key.replace("\\.", ".") for key in re.split(r"(?<!\\)\.", _PATHS.get(first, first) + dot + rest)]
    parent: Any = document
    for key in keys[:-1]:
        parent = parent[int(key) if isinstance(parent, list) else key]
    return parent, int(keys[-1]) if isinstance(parent, list) else keys[-1]


@pytest.mark.parametrize(
    ("check", "wrong"), [(check, wrong) for check, variants in _VARIANTS.items() for wrong in variants]
)
def test_a_bad_variant_is_refused_by_its_check_alone(check: str, wrong: str) -> None:
    variant = _VARIANTS[check][wrong]
    documents = _mutated(variant)
    assert documents != rendered(variant.get("rendering", "base"))
    able = [each for each in CHECKS if each is not admission or has_crds() or check == "admission"]
    faulty = {each.__name__ for each in able if list(each(documents))}
    assert check in faulty
    # What a schema refuses, rules may misread, and the other way round.
    schemas = {"admission", "core_schemas"}
    assert faulty <= {check, *variant.get("also", [])} | schemas or check in schemas


def test_every_check_has_a_variant_that_it_refuses() -> None:
    assert set(_VARIANTS) == {check.__name__ for check in CHECKS}
