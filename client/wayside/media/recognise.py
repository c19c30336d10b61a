"""Whether something in a `log()` call is a medium: an object of ours, of wandb's own, or of a library that draws.

By class name and module alone: nothing is imported to find out.
"""

from functools import lru_cache
from types import ModuleType
from typing import Any, List, NamedTuple, Optional

from .medium import Medium

MAX_LIST = 108  #: media under one name of a call, as W&B takes them

LIBRARIES = frozenset(("wandb", "matplotlib", "plotly", "PIL", "pandas"))
TOO_MANY = f"media beyond the first {MAX_LIST} of a list"


class Found(NamedTuple):
    """One medium of a call, as it was then. nth, of: its place in a list, and how many there are; 0 for one alone."""

    name: str
    medium: Medium
    nth: int = 0
    of: int = 0


@lru_cache(maxsize=256)
def library_of(kind: type) -> str:
    """The library that a class, or one that it is made of, comes from, where it is one that makes media."""
    for base in kind.__mro__:
        library = str(getattr(base, "__module__", "")).partition(".")[0]
        if library in LIBRARIES:
            return library
    return "builtins" if kind is ModuleType else ""


def media_in(name: str, value: Any) -> List[Found]:
    """What a value has of media, as it is now; empty when it is none. Raises what a user's object raises."""
    medium = medium_of(value)
    if medium is not None:
        return [Found(name, medium._snapshot())]
    first = medium_of(value[0]) if isinstance(value, (list, tuple)) and value else None
    if first is None:
        return []
    found = [first, *(medium for medium in map(medium_of, value[1:MAX_LIST]) if medium is not None)]
    return [Found(name, one._snapshot(), nth, len(value)) for nth, one in enumerate(found)]


def medium_of(value: Any) -> Optional[Medium]:
    """A value as a medium of ours; None when it is none."""
    if isinstance(value, Medium):
        return value
    kind: Any = type(value)
    library = library_of(kind)
    if library == "wandb":
        from .foreign import of_wandb

        return of_wandb(value)
    if library == "builtins" and isinstance(value, ModuleType) and value.__name__ == "matplotlib.pyplot":
        library = "matplotlib"  # `log({"chart": plt})` means its current figure
    if library == "matplotlib" and (hasattr(value, "savefig") or hasattr(value, "get_figure")):
        from .pictures import Image

        return Image(value)
    if library == "PIL":
        from .pictures import Image

        return Image(value)
    if library == "plotly" and hasattr(value, "to_plotly_json"):
        from .recordings import Plotly

        return Plotly(value)
    if library == "pandas" and kind.__name__ == "DataFrame":
        from .tables import Table

        return Table(dataframe=value)
    return None
