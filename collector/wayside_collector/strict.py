"""Values as strict JSON holds them, which has no number for what is not finite. Pure."""

from typing import Any

from wayside import wire


def strict(value: Any) -> Any:
    """The same with "NaN", "Infinity" and "-Infinity" as text. Raises RecursionError for what is nested hundreds of
    levels deep, which `wire` lets nobody send.
    """
    if isinstance(value, float) and value - value != 0:
        return wire.spell(value)
    if isinstance(value, dict):
        return {key: strict(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [strict(inner) for inner in value]
    return value
