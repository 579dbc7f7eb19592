"""What KubeRay's operator refuses beyond its CRDs, and what Ray would misread: rules of their own for the manifests."""

import re
from collections.abc import Iterator

import yaml

from tests.k8s.rendering import Document, clusters, groups, of_kind

# Names become parts of the names of pods and services, which have at most 63 letters.
_LONGEST = {"RayJob": 47, "RayCluster": 63 - 16}
_DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_MODES = {"K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"}


def names(documents: list[Document]) -> Iterator[str]:
    """Names that Kubernetes takes for what the operator makes of them, and labels that it takes."""
    for document in documents:
        metadata = document["metadata"]
        name, longest = metadata["name"], _LONGEST.get(document["kind"], 63)
        if not _DNS_LABEL.fullmatch(name) or len(name) > longest:
            yield f"{document['kind']}/{name}: is no name of at most {longest} small letters, digits and dashes"
        for key, value in metadata.get("labels", {}).items():
            if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value) or len(value) > 63:
                yield f"{document['kind']}/{name}: {key}={value!r} is no label"
    for where, cluster in clusters(documents):
        for name, group in groups(cluster).items():
            if not _DNS_LABEL.fullmatch(name):
                yield f"{where}: group {name!r} is no DNS label"
            for key, value in group.get("labels", {}).items():
                if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
                    yield f"{where} {name}: {key}={value!r} is no label"


def job_rules(documents: list[Document]) -> Iterator[str]:
    """`validation.go` of the operator, as far as RayJobs go."""
    for job in of_kind(documents, "RayJob"):
        where, spec = f"RayJob/{job['metadata']['name']}", job["spec"]
        if spec.get("submissionMode", "K8sJobMode") not in _MODES:
            yield f"{where}: submissionMode {spec['submissionMode']!r} is unknown"
        if spec.get("submissionMode") != "K8sJobMode" or "submitterPodTemplate" not in spec:
            yield f"{where}: only K8sJobMode with a template of its own keeps the submitter's pod restricted"
        if ("rayClusterSpec" in spec) == ("clusterSelector" in spec):
            yield f"{where}: needs either rayClusterSpec or clusterSelector"
        rules = spec.get("deletionStrategy", {}).get("deletionRules", [])
        if rules and (spec.get("shutdownAfterJobFinishes") or spec.get("ttlSecondsAfterFinished")):
            yield f"{where}: deletionRules exclude shutdownAfterJobFinishes and ttlSecondsAfterFinished"
        scales = spec["rayClusterSpec"].get("enableInTreeAutoscaling")
        if scales and any(rule["policy"] == "DeleteWorkers" for rule in rules):
            yield f"{where}: DeleteWorkers is refused where the cluster scales by itself"
        if not rules and not spec.get("shutdownAfterJobFinishes"):
            yield f"{where}: nothing ends the cluster after the job"
        if spec.get("ttlSecondsAfterFinished") and not spec.get("shutdownAfterJobFinishes"):
            yield f"{where}: ttlSecondsAfterFinished needs shutdownAfterJobFinishes"
        if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
            yield f"{where}: suspend needs shutdownAfterJobFinishes"
        for key in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
            if spec.get(key, 0) <= 0:
                yield f"{where}: {key} is missing or not positive"
        environment = spec.get("runtimeEnvYAML", "")
        try:
            yaml.safe_load(environment)
        except yaml.YAMLError:
            yield f"{where}: runtimeEnvYAML is no YAML"
        if "kueue.x-k8s.io/queue-name" in job["metadata"]["labels"]:
            if scales:
                yield f"{where}: Kueue takes no cluster that scales by itself"
            if len(spec["rayClusterSpec"]["workerGroupSpecs"]) > 7:
                yield f"{where}: Kueue takes at most 7 worker groups"
            if not spec.get("suspend"):
                yield f"{where}: Kueue starts only suspended jobs"


def cluster_rules(documents: list[Document]) -> Iterator[str]:
    """Rules of the operator and of Ray's autoscaler for every cluster."""
    for where, cluster in clusters(documents):
        scales = cluster.get("enableInTreeAutoscaling")
        version = cluster.get("autoscalerOptions", {}).get("version")
        if scales and version != "v2":
            yield f"{where}: autoscalerOptions.version is not v2"
        if not cluster.get("rayVersion"):
            yield f"{where}: rayVersion is missing"
        if cluster.get("authOptions", {}).get("mode") != "token":
            yield f"{where}: authOptions.mode is not token"
        head = cluster["headGroupSpec"]
        names_of_groups = [group["groupName"] for group in cluster["workerGroupSpecs"]]
        if len(set(names_of_groups)) < len(names_of_groups):
            yield f"{where}: two groups have one name"
        parts = {"head": head, **groups(cluster)}
        if {**head.get("resources", {}), **head.get("rayStartParams", {})}.get("CPU") != "0":
            yield f"{where}: the head takes work"
        for name, part in parts.items():
            for key in part.get("resources", {}):
                if key.lower() in ("cpu", "gpu", "memory") and key not in ("CPU", "GPU", "memory"):
                    yield f"{where} {name}: resources.{key} is another resource to Ray's autoscaler"
            if "labels" in part.get("rayStartParams", {}):
                yield f"{where} {name}: rayStartParams.labels is refused; labels stand beside it"
            environment = _environment(part["template"])
            if "RAY_enable_autoscaler_v2" in environment:
                yield f"{where} {name}: RAY_enable_autoscaler_v2 contradicts autoscalerOptions.version"
            if "RAY_REDIS_ADDRESS" in environment:
                yield f"{where} {name}: RAY_REDIS_ADDRESS needs gcsFaultToleranceOptions"
        for name, group in groups(cluster).items():
            least, most = group.get("minReplicas", 0), group.get("maxReplicas")
            if most is None or most > 1000:
                yield f"{where} {name}: maxReplicas is not bounded"
            elif not least <= group.get("replicas", 0) <= most:
                yield f"{where} {name}: replicas is not between minReplicas and maxReplicas"
            if not scales and ("priority" in group or "idleTimeoutSeconds" in group):
                yield f"{where} {name}: priority and idleTimeoutSeconds need a cluster that scales by itself"
            if group.get("labels", {}).get("raytad.io/pool") != name:
                yield f"{where} {name}: its label raytad.io/pool does not name it"


def _environment(template: Document) -> set[str]:
    return {each["name"] for container in template["spec"]["containers"] for each in container.get("env", [])}
