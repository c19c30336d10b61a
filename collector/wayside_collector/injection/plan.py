"""What is injected: the parts of a pod, as Kubernetes writes them, from a file that the chart renders.

Nothing is made up here: the file has the sidecar as it stands in the chart's own Job. The file is read once, when the
webhook starts; the chart starts it anew when the file has changed.
"""

from pathlib import Path
from typing import Any

import msgspec
import yaml

Part = dict[str, Any]

SIDECAR = "wayside"  #: the sidecar's name, by which an injected pod is known


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """sidecar, client: init containers; the first stays, the second lays the client into its volume. env, mounts: of
    each of the training's containers. volumes, annotations: of the pod. path: the client's folder in the training's
    containers.
    """

    sidecar: Part
    client: Part
    env: list[Part]
    mounts: list[Part]
    volumes: list[Part]
    path: str
    annotations: dict[str, str] = {}


class PlanError(Exception):
    """The file cannot be used; the text says which, where, and what to do."""


def read_plan(path: Path) -> Plan:
    """Blocks on the file."""
    try:
        tree = yaml.safe_load(path.read_text("utf-8"))
        plan = msgspec.convert(tree, Plan)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as problem:
        raise PlanError(f"{path}: {problem}: it must be what the chart writes into the ConfigMap …-injection") from None
    if plan.sidecar.get("name") != SIDECAR:
        raise PlanError(f"{path}: sidecar.name: must be {SIDECAR!r}, by which injected pods are known")
    return plan
