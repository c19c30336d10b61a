"""The report of which framework a run uses, as Lens wants it. Pure.

A client's `detection` event holds it nearly as it goes; Lens decodes it strictly, and one value of the wrong type, or a
bare NaN, refuses the whole. So what does not fit is left out here, and the rest goes. Hardware that the training could
not name is filled in from what the samplers of its pod see, where the sink takes their rows.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from wayside.detect import architecture_of
from wayside.row import DETECTION, Event, Row

from ...session import Session
from ...strict import strict
from ..base import Part
from .encode import Header, clean
from .kept import Kept

REPORT = "report/"  #: how keys of reports that wait begin, in the kept state; a session's id follows
HARDWARE = "hardware/"  #: likewise, of what a pod's samplers have seen
DEVICE = "device"  #: the samplers' event with what each GPU is
MAX_BODY = 256 << 10  #: bytes; a larger report goes without the run's config

_TEXTS = {"*": str}
_EVIDENCE: dict[str, Any] = {
    "wandb": {"project": str, "name": str, "id": str, "config": {"*": object}, "tags": [str]},
    "environment": _TEXTS,
    "pytorch": {
        **{"available": bool, "version": str, "cuda_available": bool, "cuda_version": str},
        "detected_modules": {"*": bool},
    },
    "wrapper_frameworks": {"*": {"*": object}},
    "base_frameworks": {"*": {"*": object}},
    "system": {"*": object},
    "hardware": {
        **{"gpu_arch": str, "gpu_count": int, "gpu_memory_gb": float, "gpu_name": str},
        **{"rocm_version": str, "cuda_version": str},
    },
    "software": {"rocm_version": str, "packages": _TEXTS},
    "build": _TEXTS,
}
_HINTS: dict[str, Any] = {
    **{key: [str] for key in ("wrapper_frameworks", "base_frameworks", "possible_frameworks", "primary_indicators")},
    "confidence": str,
    "framework_layers": {"*": {"*": object}},
}


def put_report(kept: Kept, part: Part, event: Event, header: Header, now: float) -> None:
    """Keep a session's report until it is sent, in the place of an earlier one."""
    if event.kind == DETECTION and part.primary and header.workload != ("", ""):
        kept.put(REPORT + part.session.id, encode_report(part.session, event, header, kept, now))


def encode_report(session: Session, event: Event, header: Header, kept: Kept, now: float) -> bytes:
    """The body of a request to `/wandb/detection`."""
    evidence = fit(event.data.get("evidence"), _EVIDENCE) or {}
    evidence["hardware"] = _filled(evidence.get("hardware") or {}, kept.get(HARDWARE + _pod(session)))
    hints = fit(event.data.get("hints"), _HINTS) or {}
    body = {
        **{"source": "wandb", "type": "framework_detection_raw", "version": "1.0"},
        **{"workload_uid": header.workload_uid, "pod_uid": header.pod_uid, "pod_name": header.pod_name},
        "namespace": clean(session.pod.namespace or ""),
        "evidence": evidence,
        "hints": {**hints, "timestamp": event.time},
        "timestamp": now,
    }
    encoded = msgspec.json.encode(body)
    if len(encoded) > MAX_BODY and "wandb" in evidence:
        evidence["wandb"].pop("config", None)
        encoded = msgspec.json.encode(body)
    return encoded


def fit(value: Any, shape: Any) -> Any:
    """What of a value has this shape; None where nothing has. A shape is a type, a list of one, or members by name,
    `*` for any.
    """
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return None
        found = {clean(key): fit(inner, shape.get(key, shape.get("*"))) for key, inner in value.items()}
        return {key: inner for key, inner in found.items() if inner is not None}
    if isinstance(shape, list):
        fitted = [fit(one, shape[0]) for one in value] if isinstance(value, list) else []
        return [one for one in fitted if one is not None]
    if shape is object:
        return _cleaned(strict(value))
    if shape is None or (isinstance(value, bool) and shape is not bool):
        return None
    if shape is float:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    if shape is str:
        return clean(value) if isinstance(value, str) else None
    return value if isinstance(value, shape) else None


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): _cleaned(inner) for key, inner in value.items()}
    return [_cleaned(inner) for inner in value] if isinstance(value, list) else value


# --- hardware, as the samplers see it --------------------------------------------------------------------------------


def put_hardware(kept: Kept, sampler: Session, record: Row | Event) -> None:
    """Keep what a pod's samplers say its GPUs are."""
    key = HARDWARE + _pod(sampler)
    seen = msgspec.json.decode(kept.get(key) or b"{}")
    found = dict(seen)
    if isinstance(record, Event) and record.kind == DEVICE:
        gpus = {name: about for name, about in record.data.items() if name.startswith("gpu/") and name.count("/") == 1}
        names = [about["name"] for about in gpus.values() if isinstance(about, dict) and "name" in about]
        found["gpu_count"] = max(len(gpus), found.get("gpu_count", 0))
        if names and isinstance(names[0], str):
            found["gpu_name"] = names[0]
    elif isinstance(record, Row):
        memory = record.metrics.get("gpu/0/memory_total_bytes", math.nan)
        if math.isfinite(memory):
            found["gpu_memory_gb"] = round(memory / (1 << 30), 1)
    if found and found != seen:
        kept.put(key, msgspec.json.encode(found))


def _filled(told: dict[str, Any], seen: bytes | None) -> dict[str, Any]:
    """What the training told, and where it told nothing what the samplers saw; nothing where nobody knows."""
    more: Mapping[str, Any] = msgspec.json.decode(seen or b"{}")
    empty = {"gpu_arch": None, "gpu_count": 0, "gpu_memory_gb": None, "gpu_name": None}
    full = {**empty, **{key: value for key, value in more.items() if not told.get(key)}, **_said(told)}
    full["gpu_arch"] = full["gpu_arch"] or architecture_of(full["gpu_name"])
    return full


def _said(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if value}


def _pod(session: Session) -> str:
    return session.pod.uid or session.pod.name or session.host
