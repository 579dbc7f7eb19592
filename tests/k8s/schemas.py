"""What the API server itself refuses: Kubernetes' own kinds and pods, and KubeRay's by their CRDs."""

import importlib.util
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.k8s.rendering import Document, pod_templates

CRDS = "RAYTAD_CRDS"  # a folder of KubeRay's CRDs with `admission.py`, which judges as the API server does
_KUBERNETES = "1.34"
# Kinds of operators that bring their own schemas.
_FOREIGN = {"RayJob", "RayCluster", "PodMonitor", "PrometheusRule", "LocalQueue"}


def core_schemas(documents: list[Document]) -> Iterator[str]:
    """Unknown fields and wrong types in Kubernetes' kinds; each template of a pod is judged as a pod."""
    for document in documents:
        if document["kind"] not in _FOREIGN:
            yield from _faults(f"{document['kind']}/{document['metadata']['name']}", document)
    for where, template in pod_templates(documents):
        metadata = template.get("metadata", {}) | {"name": "pod"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        yield from _faults(where, pod)


def _faults(where: str, document: Document) -> Iterator[str]:
    try:
        kubernetes_validate.validate(document, _KUBERNETES, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.InvalidSchemaError) as error:
        yield f"{where}: {error.message if hasattr(error, 'message') else error}"


def admission(documents: list[Document]) -> Iterator[str]:
    """Unknown fields, types, patterns, list keys and CEL rules of KubeRay's CRDs."""
    crds = _crds()
    for document in documents:
        if (document["apiVersion"], document["kind"]) in crds.schemas:
            where = f"{document['kind']}/{document['metadata']['name']}"
            yield from (f"{where}: {fault}" for fault in crds.faults(document))


def has_crds() -> bool:
    """Whether there are CRDs to admit by; all other checks need none."""
    return Path(os.environ.get(CRDS, ""), "admission.py").is_file()


@cache
def _crds() -> Any:
    folder = os.environ.get(CRDS)
    if folder is None or not has_crds():
        pytest.skip(f"{CRDS} names no folder of KubeRay's CRDs")
    spec = importlib.util.spec_from_file_location("admission", Path(folder, "admission.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Crds(Path(folder))
