"""An event on its way into the journal: what is said beside the numbers, masked, as a frame."""

from typing import Any, Dict, Optional

from . import wire
from .packing import Frame


def event_frame(
    time: float, step: Optional[int], kind: str, data: Dict[str, Any], exact: Optional[Dict[str, Any]] = None
) -> Frame:
    """exact: what stays as it is beside `data`, such as paths. Raises wire.WireError, ValueError, TypeError or
    RecursionError for what is too large, or not JSON.
    """
    return Frame(None, (), time, step, 0, wire.event_frame(time, step, kind, dict(masked(data), **(exact or {}))))


def masked(data: Dict[str, Any]) -> Dict[str, Any]:
    """What is said beside the numbers, without keys and passwords: scripts log all their arguments."""
    if not _has_text(data):
        return data
    from .masking import known_secrets, mask_values  # when first needed: it makes regular expressions

    found: Dict[str, Any] = mask_values(data, known=known_secrets())
    return found


def _has_text(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_text, value.values()))
    return isinstance(value, str) or (isinstance(value, list) and any(map(_has_text, value)))
