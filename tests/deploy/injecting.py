"""Pods that are labelled, before and after: the shapes, the plan that the chart renders, and what a webhook answers."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import jsonpatch
import yaml
from deploy.charts import Rendered, Values, render
from wayside_collector.injection.plan import Plan, read_plan
from wayside_collector.injection.pod import Operation

Pod = dict[str, Any]

SHAPES: dict[str, Pod] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((Path(__file__).parent / "shapes").glob("*.yaml"))
}
#: Those that are left as they are.
LEFT = ("windows", "host-network", "own-volume")
SERVED = [name for name in SHAPES if name not in LEFT]
INJECTING: Values = {"injection": {"enabled": True}}


def injecting(helm: Path, kubernetes: str, values: Values | None = None) -> Rendered:
    return render(helm, {**INJECTING, **(values or {})}, kubernetes=kubernetes, base={})


def rendered_plan(helm: Path, folder: Path, values: Values | None = None) -> tuple[Path, Plan]:
    """The file that the webhook is given, and what it reads there."""
    (found,) = [one for one in injecting(helm, "1.33", values).of("ConfigMap") if "injection.yaml" in one["data"]]
    path = folder / "injection.yaml"
    path.write_text(found["data"]["injection.yaml"])
    return path, read_plan(path)


def patched(pod: Pod, patch: list[Operation]) -> Pod:
    made: Pod = jsonpatch.apply_patch(copy.deepcopy(pod), patch)
    return made


def review(pod: Pod, uid: str = "5f2a") -> bytes:
    """What the API server posts."""
    request = {
        "uid": uid,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
        "requestResource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "ml",
        "operation": "CREATE",
        "userInfo": {
            "username": "system:serviceaccount:kube-system:job-controller",
            "groups": ["system:authenticated"],
        },
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def patch_of(body: bytes) -> list[Operation]:
    """The patch of an answer; nothing where there is none."""
    response = json.loads(body)["response"]
    assert response["allowed"] is True
    found: list[Operation] = json.loads(base64.b64decode(response.get("patch", "W10=")))
    return found


def variables(container: dict[str, Any]) -> dict[str, Any]:
    """Name to value, or to where the value comes from; Kubernetes refuses both at once."""
    assert not [entry["name"] for entry in container.get("env", ()) if {"value", "valueFrom"} <= set(entry)]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container.get("env", ())}
