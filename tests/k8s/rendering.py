"""What kustomize makes of the manifests, as documents, and how to walk through them."""

import copy
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

K8S = Path(__file__).parents[2] / "k8s"
OVERLAYS = ("kind", "aws", "gke")
COMPONENTS = tuple(sorted(path.name for path in (K8S / "components").iterdir()))
# Components that exclude each other or that one overlay has already are rendered on base alone.
RENDERINGS = (
    "base",
    *(f"overlays/{name}" for name in OVERLAYS),
    *(f"components/{name}" for name in COMPONENTS),
)
Document = dict[str, Any]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def _rendered(name: str) -> tuple[Document, ...]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, whose kustomize renders the manifests, is not on PATH")
    if not name.startswith("components/"):
        return _kustomize(K8S / name)
    with TemporaryDirectory() as folder:
        base, component = (os.path.relpath(K8S / part, os.path.realpath(folder)) for part in ("base", name))
        content = {"resources": [base], "components": [component]}
        head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(head | content))
        return _kustomize(Path(folder))


def _kustomize(folder: Path) -> tuple[Document, ...]:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder.name}: {done.stderr}"
    return tuple(yaml.load_all(done.stdout, Loader=_LOADER))


def rendered(name: str) -> list[Document]:
    """The documents of `base`, `overlays/<name>`, or of base with `components/<name>`; the caller may change them."""
    return copy.deepcopy(list(_rendered(name)))


def named(documents: list[Document], kind: str, name: str) -> Document:
    """The one document of this kind and name."""
    (found,) = (each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name)
    return found


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    """All documents of a kind."""
    return [each for each in documents if each["kind"] == kind]


def clusters(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """(where, spec) of each Ray cluster, those of jobs included."""
    for document in documents:
        where = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] == "RayCluster":
            yield where, document["spec"]
        elif document["kind"] == "RayJob":
            yield where, document["spec"]["rayClusterSpec"]


def groups(cluster: Document) -> dict[str, Document]:
    """The worker groups of a cluster by name."""
    return {group["groupName"]: group for group in cluster["workerGroupSpecs"]}


def pod_templates(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """(where, template) of each pod that anything makes: heads, workers, submitters, jobs and deployments."""
    for where, cluster in clusters(documents):
        yield f"{where} head", cluster["headGroupSpec"]["template"]
        for name, group in groups(cluster).items():
            yield f"{where} {name}", group["template"]
    for document in documents:
        where = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] == "RayJob":
            yield f"{where} submitter", document["spec"]["submitterPodTemplate"]
        elif document["kind"] in ("Deployment", "Job"):
            yield where, document["spec"]["template"]


def containers(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """(where, container) of each container of each pod."""
    for where, template in pod_templates(documents):
        for container in template["spec"]["containers"]:
            yield f"{where} {container['name']}", container
