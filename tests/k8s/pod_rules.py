"""What every pod must be: restricted, sized, ending in time, and made only of what is there."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.k8s.rendering import Document, clusters, containers, groups, named, of_kind, pod_templates

_CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
_DRAIN = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
_SECONDS_AFTER_DRAIN = 10
_QUANTITY = re.compile(r"[1-9][0-9]*(Mi|Gi|Ti)?")
_SECRET_KEY = re.compile(r"SECRET|PASSWORD|TOKEN|ACCESS_KEY", re.IGNORECASE)


def security(documents: list[Document]) -> Iterator[str]:
    """The `restricted` Pod Security Standard, on every container, and no secret in the open."""
    for where, template in pod_templates(documents):
        spec = template["spec"]
        context = spec.get("securityContext", {})
        if not context.get("runAsNonRoot") or not context.get("runAsUser"):
            yield f"{where}: may run as root"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{where}: has no seccomp profile"
        if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{where}: shares the node's namespaces"
        if any("hostPath" in volume for volume in spec.get("volumes", [])):
            yield f"{where}: mounts a path of the node"
        if not where.endswith(" head") and spec.get("automountServiceAccountToken") is not False:
            yield f"{where}: gets a token of Kubernetes, which it does not need"
    autoscalers = [
        (f"{where} autoscaler", cluster["autoscalerOptions"])
        for where, cluster in clusters(documents)
        if cluster.get("enableInTreeAutoscaling")
    ]
    for where, container in (*containers(documents), *autoscalers):
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{where}: may gain privileges"
        if context.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{where}: keeps capabilities"
        if not context.get("runAsNonRoot"):
            yield f"{where}: may run as root"
        if context.get("privileged"):
            yield f"{where}: is privileged"
        for each in container.get("env", []):
            if _SECRET_KEY.search(each["name"]) and "value" in each:
                yield f"{where}: has the secret {each['name']} in the open"
    if of_kind(documents, "Secret"):
        yield "a Secret lies among the manifests"
    # The store for trying out lets everybody in, so that its keys are none.
    open_store = any(each["metadata"]["name"] == "object-store" for each in of_kind(documents, "Deployment"))
    for settings in of_kind(documents, "ConfigMap"):
        for key in settings["data"]:
            if _SECRET_KEY.search(key) and not open_store:
                yield f"ConfigMap/{settings['metadata']['name']}: has the secret {key} in the open"
    for namespace in of_kind(documents, "Namespace"):
        if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"Namespace/{namespace['metadata']['name']}: does not enforce `restricted`"


def sizes(documents: list[Document]) -> Iterator[str]:
    """Requests equal limits, whole CPUs, a bounded disk: what Ray counts is then what there is."""
    for where, container in containers(documents):
        resources = container.get("resources", {})
        limits, requests = resources.get("limits", {}), resources.get("requests", {})
        if limits != requests:
            yield f"{where}: requests are not its limits"
        for name in ("cpu", "memory", "ephemeral-storage"):
            if name not in limits:
                yield f"{where}: has no limit of {name}"
        if not re.fullmatch(r"[1-9][0-9]*", str(limits.get("cpu", ""))):
            yield f"{where}: {limits.get('cpu')} are no whole CPUs"
        for name in ("memory", "ephemeral-storage"):
            if not _QUANTITY.fullmatch(str(limits.get(name, ""))):
                yield f"{where}: {limits.get(name)!r} is no amount of {name}"


def life_cycle(documents: list[Document]) -> Iterator[str]:
    """A pod that is to go has time to drain, and nothing kills Ray before."""
    for where, cluster in clusters(documents):
        for name, part in {"head": cluster["headGroupSpec"], **groups(cluster)}.items():
            spec = part["template"]["spec"]
            (container,) = spec["containers"]
            drain = {each["name"]: each.get("value") for each in container.get("env", [])}.get(_DRAIN)
            grace = spec.get("terminationGracePeriodSeconds", 30)
            if drain is None:
                yield f"{where} {name}: {_DRAIN} is not set"
            elif name == "head" and drain != "0":
                yield f"{where} head: drains, which delays the end of every job"
            elif grace < int(drain) + _SECONDS_AFTER_DRAIN:
                yield f"{where} {name}: is killed {grace} s after SIGTERM, and drains for {drain}"
            if "ray stop" in str(container.get("lifecycle", {})):
                yield f"{where} {name}: ray stop kills what should drain"
        volumes = {volume["name"] for volume in cluster["headGroupSpec"]["template"]["spec"]["volumes"]}
        mounts = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMounts"]
        if "ray-logs" not in volumes or {"name": "ray-logs", "mountPath": "/tmp/ray"} not in mounts:
            yield f"{where} head: /tmp/ray is not the volume ray-logs, which the autoscaler shares"


def references(documents: list[Document]) -> Iterator[str]:
    """Accounts, settings, classes and volumes that pods name are among the manifests, in one namespace."""
    there = {
        kind: {each["metadata"]["name"] for each in of_kind(documents, kind)}
        for kind in ("ServiceAccount", "ConfigMap", "PriorityClass")
    }
    for where, template in pod_templates(documents):
        spec = template["spec"]
        account, priority = spec.get("serviceAccountName"), spec.get("priorityClassName")
        if where.startswith("Ray") and account not in there["ServiceAccount"]:
            yield f"{where}: there is no ServiceAccount {account}"
        if where.startswith("Ray") and priority not in there["PriorityClass"]:
            yield f"{where}: there is no PriorityClass {priority}"
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        for container in spec["containers"]:
            for source in container.get("envFrom", []):
                if source["configMapRef"]["name"] not in there["ConfigMap"]:
                    yield f"{where}: there is no ConfigMap {source['configMapRef']['name']}"
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{where}: mounts {mount['name']}, which is no volume of it"
        if where.startswith("Ray") and "submitter" not in where:
            sources = [
                source["configMapRef"]["name"] for c in spec["containers"] for source in c.get("envFrom", [])
            ]
            if "raytad-settings" not in sources:
                yield f"{where}: is not told the settings"
    for document in documents:
        cluster_wide = document["kind"] in ("Namespace", "PriorityClass")
        if not cluster_wide and document["metadata"].get("namespace") != "raytad":
            yield f"{document['kind']}/{document['metadata']['name']}: is not in namespace raytad"
        if document["metadata"].get("labels", {}).get("raytad.io/part") is None:
            yield f"{document['kind']}/{document['metadata']['name']}: belongs to no part, so that -l leaves it out"


def versions(documents: list[Document]) -> Iterator[str]:
    """One Ray, that of constraints.txt, and one image, whose tag does not float."""
    (pinned,) = re.findall(r"^ray==(\S+)$", _CONSTRAINTS.read_text(), re.MULTILINE)
    for where, cluster in clusters(documents):
        if cluster.get("rayVersion") != pinned:
            yield f"{where}: rayVersion is {cluster.get('rayVersion')}, tested is {pinned}"
    images = {container.get("image", "") for _, container in containers(documents)}
    if len(images) > 1:
        yield f"more than one image: {', '.join(sorted(images))}"
    for where, container in containers(documents):
        image = container.get("image", "")
        name, _, tag = image.rpartition(":")
        if not image:
            yield f"{where}: has no image"
        elif image != "raytad" and ("@sha256:" not in image and (not name or "/" in tag or tag == "latest")):
            yield f"{where}: {image} is not pinned"


def network(documents: list[Document]) -> Iterator[str]:
    """All is closed but for Ray itself, the operator, submitters, Prometheus, DNS, storage and the API server."""
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(documents, "NetworkPolicy")}
    closed = policies.get("raytad-closed", {})
    if closed.get("podSelector") != {} or set(closed.get("policyTypes", [])) != {"Ingress", "Egress"}:
        yield "not every pod is closed by itself"
    if "ingress" in closed or "egress" in closed:
        yield "raytad-closed opens something"

    def opens(name: str, direction: str, *wanted: str) -> Iterator[str]:
        text = str(policies.get(name, {}).get(direction))
        yield from (f"{name}: does not open {each} ({direction})" for each in wanted if each not in text)

    yield from opens("raytad-ray", "ingress", "ray.io/cluster")
    yield from opens("raytad-ray", "egress", "ray.io/cluster")
    yield from opens("raytad-dashboard", "ingress", "kuberay-system", "raytad.io/role", "'port': 8265,")
    yield from opens("raytad-submitters", "egress", "'port': 8265,")
    ports = ("'port': 8080,", "'port': 44217,", "'port': 44227,")
    yield from opens("raytad-metrics", "ingress", "monitoring", *ports)
    yield from opens(
        "raytad-dns",
        "egress",
        "kube-system",
        "'port': 53, 'protocol': 'UDP'",
        "'port': 53, 'protocol': 'TCP'",
    )
    yield from opens("raytad-outside", "egress", "'port': 443,", "'port': 6443,", "169.254.0.0/16")
    for where, template in pod_templates(documents):
        if (
            where.endswith("submitter")
            and template["metadata"]["labels"].get("raytad.io/role") != "submitter"
        ):
            yield f"{where}: no policy lets it reach the dashboard"


def disruption(documents: list[Document]) -> Iterator[str]:
    """Heads are not drained away, and go last where nodes are short."""
    budget = named(documents, "PodDisruptionBudget", "raytad-heads")["spec"]
    if (
        budget.get("maxUnavailable") != 0
        or budget["selector"]["matchLabels"].get("ray.io/node-type") != "head"
    ):
        yield "PodDisruptionBudget/raytad-heads: lets heads be drained away"
    value = {each["metadata"]["name"]: each["value"] for each in of_kind(documents, "PriorityClass")}
    if not value["raytad-head"] > value["raytad-worker"]:
        yield "workers outrank heads"
    for where, cluster in clusters(documents):
        priorities = {name: group.get("priority", 0) for name, group in groups(cluster).items()}
        if {"cpu-decode", "gpu-infer"} <= set(priorities) and cluster.get("enableInTreeAutoscaling"):
            decode, infer = priorities["cpu-decode"], priorities["gpu-infer"]
            if decode <= infer:
                yield f"{where}: GPU nodes start for what CPU nodes could do"
