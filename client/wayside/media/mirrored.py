"""Media of a run that wandb uploads itself: counted, and neither copied nor drawn, which wandb does already."""

from typing import Any, Dict, Mapping

from .medium import Medium
from .recognise import LIBRARIES, library_of

UPLOADED = "media: wandb itself uploads them"

_PLAIN = frozenset((float, int, bool, str))


def without_media(data: Mapping[Any, Any], refused: Dict[str, int]) -> Mapping[Any, Any]:
    """A row without its media, which are counted in `refused`; the very same where it has none. Asks no object more
    than what class it is of.
    """
    if _PLAIN.issuperset(map(type, data.values())):
        return data
    kept: Dict[Any, Any] = {}
    left_out = 0
    changed = False
    for name, value in list(data.items()):
        kind = type(value)
        if kind in _PLAIN:
            kept[name] = value
        elif _is_medium(value) or (kind in (list, tuple) and value and _is_medium(value[0])):
            left_out += 1
        elif kind is dict:
            kept[name] = without_media(value, refused)
            changed = changed or kept[name] is not value
        else:
            kept[name] = value
    if left_out:
        refused[UPLOADED] = refused.get(UPLOADED, 0) + left_out
    return kept if left_out or changed else data


def _is_medium(value: Any) -> bool:
    kind: Any = type(value)
    library = library_of(kind)
    if library in LIBRARIES or issubclass(kind, Medium):
        return True
    return bool(library) and value.__name__ == "matplotlib.pyplot"
