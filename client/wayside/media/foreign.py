"""wandb's own media objects as ours, for a script whose wandb is diverted: by class name and the few attributes that
wandb 0.13 to 0.31 share. wandb has written the bytes of most of them to a temporary file when they were made.
"""

from typing import Any, Callable, Dict, Optional

from .histogram import Histogram
from .medium import Medium, Source
from .pictures import Image
from .recordings import Recording
from .tables import Snapshot


def of_wandb(value: Any) -> Optional[Medium]:
    """An object of wandb's as a medium; None when it is none, or one that wandb cannot show either."""
    for kind in type(value).__mro__:
        make = _KINDS.get(kind.__name__)
        if make is not None:
            return make(value)
    return None


def _image(value: Any) -> Medium:
    image = Image(value._path, caption=getattr(value, "_caption", None))
    image._width, image._height = getattr(value, "_width", None), getattr(value, "_height", None)
    return image


def _histogram(value: Any) -> Medium:
    return Histogram(np_histogram=(value.histogram, value.bins))


def _table(value: Any) -> Medium:
    return Snapshot(value.columns, value.data)


def _chart(value: Any) -> Medium:
    spec = value.spec
    plot: Dict[str, Any] = {"spec": getattr(spec, "spec_name", ""), "fields": dict(getattr(spec, "fields", {}))}
    plot["strings"] = dict(getattr(spec, "string_fields", {}))
    return Snapshot(value.table.columns, value.table.data, plot)


def _old_chart(value: Any) -> Medium:
    """Before wandb 0.18 a chart was a `Visualize`-like object with its table as `table` and no spec object."""
    return Snapshot(value.table.columns, value.table.data, {"spec": getattr(value, "id", ""), "fields": {}})


def _recorded(kind: str, form: Optional[str] = None) -> Callable[[Any], Medium]:
    def make(value: Any) -> Medium:
        source = Source(value._path)
        found = Recording(source, form or source.format, getattr(value, "_caption", None))
        found._type = kind
        return found

    return make


_KINDS: Dict[str, Callable[[Any], Medium]] = {
    "Image": _image,
    "Histogram": _histogram,
    "Table": _table,
    "CustomChart": _chart,
    "Visualize": _old_chart,
    "Video": _recorded("video"),
    "Audio": _recorded("audio"),
    "Html": _recorded("html", "html"),
    "Object3D": _recorded("object3d"),
    "Molecule": _recorded("object3d"),
    "Plotly": _recorded("plot", "plotly.json"),
}
