"""A pod and a plan become a JSON patch. Pure.

The patch only adds, but for one value: a PYTHONPATH that is there gets our folders around it. What a container says of
itself wins over ours, name by name. A pod that cannot be served is left as it was, and a sentence says why.
"""

from typing import Any, NamedTuple

from .plan import SIDECAR, Part, Plan

LABEL = "wayside.dev/inject"  #: on a namespace "true"; on a pod "true", or "false" to leave it out
CONTAINERS = "wayside.dev/containers"  #: annotation: names of the containers that log, with commas between them
HOOK = "wayside.dev/hook"  #: annotation: mirror, divert or off
PYTHON_PATH = "wayside.dev/python-path"  #: annotation: the PYTHONPATH that the image sets, which no manifest shows
HOOKS = ("mirror", "divert", "off")
#: Annotations that become a variable, where the container has none of that name.
VARIABLES = {"wayside.dev/project": "WAYSIDE_PROJECT", "wayside.dev/name": "WAYSIDE_NAME", HOOK: "WAYSIDE_WANDB_HOOK"}
#: Whose uid is the training's. A RayCluster or a Workflow has many trainings.
TRAININGS = ("Job", "PyTorchJob", "TFJob", "MPIJob", "JAXJob", "PaddleJob", "XGBoostJob")
#: Labels with the training's uid, the widest first.
UID_LABELS = ("jobset.sigs.k8s.io/jobset-uid", "batch.kubernetes.io/controller-uid")

Operation = dict[str, Any]


class Answer(NamedTuple):
    """The patch, and what to tell whoever creates the pod."""

    patch: list[Operation]
    warnings: list[str]


def inject(pod: Part, plan: Plan) -> Answer:
    """What is to be done to a pod that was asked for. It is not changed itself."""
    spec = pod.get("spec") or {}
    metadata = pod.get("metadata") or {}
    if (metadata.get("labels") or {}).get(LABEL) == "false" or _names(spec.get("initContainers"), SIDECAR):
        return Answer([], [])
    why = _unfit(spec, plan)
    if why is not None:
        return Answer([], [f"wayside: no collector is put beside this pod: {why}"])
    annotations: dict[str, str] = metadata.get("annotations") or {}
    warnings: list[str] = []
    env = [*_told(annotations, warnings), *plan.env, *_workload(metadata)]
    patch: list[Operation] = []
    for kind, index, container in _chosen(spec, annotations, warnings):
        patch += _container(f"/spec/{kind}/{index}", container, env, annotations, (plan, warnings))
    if not patch:
        return Answer([], warnings)
    # After the containers: their numbers in the list are those of before.
    patch += _grown("/spec", "volumes", spec, plan.volumes)
    patch += _first("/spec", "initContainers", spec, _beside(spec, plan))
    patch += _annotated(metadata, plan)
    return Answer(patch, warnings)


def _names(parts: list[Part] | None, name: str) -> bool:
    return any(part.get("name") == name for part in parts or ())


def _unfit(spec: Part, plan: Plan) -> str | None:
    """Why a pod is left alone."""
    system = (spec.get("os") or {}).get("name") or (spec.get("nodeSelector") or {}).get("kubernetes.io/os")
    if system == "windows":
        return "it runs on Windows, and the collector on Linux only"
    if spec.get("hostNetwork"):
        return (
            "it uses its node's network, where pods would contend for the collector's ports; use the node's collector"
        )
    taken = [part["name"] for part in plan.volumes if _names(spec.get("volumes"), part["name"])]
    if taken:
        return f"it has a volume {taken[0]} of its own; rename it"
    mine = [part["name"] for part in (plan.sidecar, plan.client)]
    both = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    used = [name for name in mine if _names(both, name)]
    return f"it has a container {used[0]} of its own; rename it" if used else None


def _chosen(spec: Part, annotations: dict[str, str], warnings: list[str]) -> list[tuple[str, int, Part]]:
    """The containers that log: list, place in it, container."""
    apps = [("containers", index, one) for index, one in enumerate(spec.get("containers") or ())]
    if CONTAINERS not in annotations:
        return apps
    asked = [name.strip() for name in annotations[CONTAINERS].split(",") if name.strip()]
    known = [*apps, *(("initContainers", index, one) for index, one in enumerate(spec.get("initContainers") or ()))]
    names = [one.get("name") for _, _, one in known]
    warnings += [
        f"wayside: {CONTAINERS}: there is no container {name!r}; there are {', '.join(map(str, names))}"
        for name in asked
        if name not in names
    ]
    return [found for found in known if found[2].get("name") in asked]


def _told(annotations: dict[str, str], warnings: list[str]) -> list[Part]:
    """Variables that the pod's annotations ask for."""
    found = {}
    for key, variable in VARIABLES.items():
        value = annotations.get(key)
        if value is None:
            continue
        if key == HOOK and value not in HOOKS:
            warnings.append(f"wayside: {HOOK}: {value!r} is none of {', '.join(HOOKS)}; the usual one is taken")
            continue
        found[variable] = value.replace("$(", "$$(")  # Kubernetes would put variables in their place
    return [{"name": name, "value": value} for name, value in found.items()]


def _workload(metadata: Part) -> list[Part]:
    """The training's uid: by a label where there is one, else by who made the pod; a pod of nobody's has none."""
    labels = metadata.get("labels") or {}
    for label in UID_LABELS:
        if labels.get(label):
            path = f"metadata.labels['{label}']"
            return [{"name": "WORKLOAD_UID", "valueFrom": {"fieldRef": {"fieldPath": path}}}]
    owners = [one for one in metadata.get("ownerReferences") or () if one.get("controller")]
    uids = [one["uid"] for one in owners if one.get("kind") in TRAININGS]
    return [{"name": "WORKLOAD_UID", "value": uid} for uid in uids[:1]]


def _container(
    at: str, container: Part, env: list[Part], annotations: dict[str, str], about: tuple[Plan, list[str]]
) -> list[Operation]:
    """What one of the training's containers gets; nothing where it mounts something of its own in our place."""
    plan, warnings = about
    name = container.get("name")
    paths = [mount.get("mountPath", "").rstrip("/") for mount in container.get("volumeMounts") or ()]
    taken = [mount["mountPath"] for mount in plan.mounts if mount["mountPath"] in paths]
    if taken:
        warnings.append(f"wayside: container {name} mounts {taken[0]} itself, and is left as it is; mount it elsewhere")
        return []
    there = {entry.get("name"): index for index, entry in enumerate(container.get("env") or ())}
    own = {entry["name"]: entry for entry in env}  # of two of ours the later wins
    added = [entry for variable, entry in own.items() if variable not in there]
    patch = []
    if "PYTHONPATH" not in there:
        added.append({"name": "PYTHONPATH", "value": _python_path(plan, annotations.get(PYTHON_PATH, ""))})
    elif "valueFrom" in container["env"][there["PYTHONPATH"]]:
        warnings.append(
            f"wayside: container {name} has its PYTHONPATH by valueFrom, which cannot be added to, and keeps it: "
            f"wandb is not heard there unless {_site(plan)} is on it"
        )
    else:
        index = there["PYTHONPATH"]
        value = _python_path(plan, container["env"][index].get("value") or "")
        patch.append({"op": "replace", "path": f"{at}/env/{index}/value", "value": value})
        if "value" not in container["env"][index]:
            patch[-1]["op"] = "add"
    return [*patch, *_grown(at, "env", container, added), *_grown(at, "volumeMounts", container, plan.mounts)]


def _site(plan: Plan) -> str:
    return f"{plan.path}/wayside/hook/site"


def _python_path(plan: Plan, there: str) -> str:
    """Ours around it: the hook must come first, and the package last, so that an image's own client wins."""
    return ":".join(part for part in (_site(plan), there.strip(":"), plan.path) if part)


def _beside(spec: Part, plan: Plan) -> list[Part]:
    """Our init containers; in a pod of the class Guaranteed with limits equal to requests, so that it stays one."""
    if not _guaranteed(spec):
        return [plan.sidecar, plan.client]
    return [_equal(plan.sidecar), _equal(plan.client)]


def _guaranteed(spec: Part) -> bool:
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        if any(name not in limits or requests.get(name, limits[name]) != limits[name] for name in ("cpu", "memory")):
            return False
    return True


def _equal(container: Part) -> Part:
    resources = container.get("resources") or {}
    both = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    return {**container, "resources": {**resources, "requests": both, "limits": both}}


def _annotated(metadata: Part, plan: Plan) -> list[Operation]:
    """For Prometheus, unless the pod says anything about that itself: its own exporter goes first."""
    there = metadata.get("annotations")
    if not plan.annotations or any(key in (there or ()) for key in plan.annotations):
        return []
    if there is None:
        return [{"op": "add", "path": "/metadata/annotations", "value": plan.annotations}]
    return [
        {"op": "add", "path": f"/metadata/annotations/{key.replace('~', '~0').replace('/', '~1')}", "value": value}
        for key, value in plan.annotations.items()
    ]


def _grown(at: str, key: str, holder: Part, parts: list[Part]) -> list[Operation]:
    """Adds to the end of a list that may not be there."""
    if not parts:
        return []
    if not holder.get(key):
        return [{"op": "add", "path": f"{at}/{key}", "value": parts}]
    return [{"op": "add", "path": f"{at}/{key}/-", "value": part} for part in parts]


def _first(at: str, key: str, holder: Part, parts: list[Part]) -> list[Operation]:
    """Puts before all others: the training's own init containers may log, and find the collector there."""
    if not holder.get(key):
        return [{"op": "add", "path": f"{at}/{key}", "value": parts}]
    return [{"op": "add", "path": f"{at}/{key}/{index}", "value": part} for index, part in enumerate(parts)]
