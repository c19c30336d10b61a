"""Pictures: pixels, files, and what PIL, matplotlib and torch hold, each copied when its object is made."""

import io
import sys
from typing import Any, Dict, Optional, Tuple

from ..importing import importing
from ..told import told_once
from .medium import MAX_FILE, Encoded, Medium, Refused, Source, caption_of
from .png import encode_png, format_of, size_of

MAX_SIDE = 65500  #: pixels of a side, as PIL and W&B have it
FORMATS = ("png", "jpg", "jpeg", "bmp")  #: what `file_type` may ask for
OTHERS = ("avif", "heic", "ico", "jp2", "pbm", "pgm", "ppm", "tga")  #: pictures whose first bytes are not looked at


class Image(Medium):
    """One picture (`wandb.Image`): a path, the bytes of a file, an array (height, width[, 1, 3 or 4 channels]), a torch
    tensor (channels, height, width), a PIL picture or a matplotlib figure.

    Arrays of floats between 0 and 1 are scaled to 255. Masks, boxes, classes and grouping are accepted and not kept.
    """

    MAX_ITEMS = 108
    MAX_DIMENSION = MAX_SIDE
    _type = "image"

    def __init__(  # noqa: PLR0913 -- wandb's own arguments
        self,
        data_or_path: Any,
        mode: Optional[str] = None,
        caption: Optional[str] = None,
        grouping: Optional[int] = None,
        classes: Any = None,
        boxes: Any = None,
        masks: Any = None,
        file_type: Optional[str] = None,
    ) -> None:
        """Raises OSError for a path that cannot be read, ValueError or TypeError for what is no picture."""
        if file_type is not None and file_type not in FORMATS:
            raise ValueError(f"file_type must be one of {list(FORMATS)}")
        for name, given in {"grouping": grouping, "classes": classes, "boxes": boxes, "masks": masks}.items():
            if given is not None:
                told_once(f"Image {name}", f"Image({name}=) is accepted and not kept: the picture alone is")
        self._caption = caption
        self._mode = mode
        self.format = file_type or "png"
        self._width: Optional[int] = None
        self._height: Optional[int] = None
        self._data: Any = None  # bytes of a file, a Source, a PIL picture of our own, or an array of our own
        self._take(data_or_path)

    def _take(self, given: Any) -> None:
        kind = type(given).__module__.partition(".")[0]
        if isinstance(given, Image):
            self._data, self.format, self._caption = given._data, given.format, self._caption or given._caption
            self._width, self._height = given._width, given._height
        elif isinstance(given, (bytes, bytearray, memoryview)):
            self._take_bytes(bytes(given))
        elif isinstance(given, str) or hasattr(given, "__fspath__"):
            self._data = Source(given)
            self.format = format_of(self._data.head) or self._data.format
            if format_of(self._data.head) is None and self.format not in OTHERS:
                raise ValueError(f"{self._data.path} is no picture (png, jpg, gif, bmp, tif, webp or svg)")
        elif kind == "matplotlib" or hasattr(given, "savefig"):
            self._take_bytes(figure_bytes(given, self.format))
        elif kind == "PIL" or (hasattr(given, "tobytes") and hasattr(given, "getbands")):
            self._data, (self._width, self._height) = given.copy(), given.size
        else:
            self._data = _own_array(given)
            self._height, self._width = self._data.shape[:2]

    def _take_bytes(self, data: bytes) -> None:
        found = format_of(data)
        if found is None:
            raise ValueError("these bytes are no picture (png, jpg, gif, bmp, tif, webp or svg)")
        self._data, self.format = data, found

    def _held(self) -> int:
        data = self._data
        if isinstance(data, Source):
            return data.held
        size = getattr(data, "nbytes", None)
        if size is None:
            size = len(data) if isinstance(data, bytes) else 4 * (self._width or 0) * (self._height or 0)
        return int(size) + 1024

    def _encode(self) -> Encoded:
        width, height = self._width or 0, self._height or 0
        if max(width, height) > MAX_SIDE:
            raise Refused(f"a picture has more than {MAX_SIDE} pixels on a side")
        data, form = self._bytes()
        found = size_of(data) or (width, height)
        about: Dict[str, Any] = caption_of(self._caption)
        if all(found):
            about.update(width=found[0], height=found[1])
        return Encoded(about, form, data)

    def _bytes(self) -> Tuple[bytes, str]:
        data = self._data
        if isinstance(data, Source):
            return data.read(), self.format
        if isinstance(data, bytes):
            return data, self.format
        if hasattr(data, "getbands"):
            return _saved(data, self._mode, self.format), self.format
        pixels = _to_bytes(data)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        pil = sys.modules.get("PIL.Image")
        if pil is not None and (self.format != "png" or self._mode is not None):
            return _saved(pil.fromarray(pixels), self._mode, self.format), self.format
        return encode_png(pixels.tobytes(), pixels.shape[1], pixels.shape[0], channels), "png"


def figure_bytes(figure: Any, form: str = "png") -> bytes:
    """A matplotlib figure, or the figure of its axes or of pyplot, as a picture. Drawn now: the script may go on
    drawing into it, and matplotlib is not made for two threads.
    """
    if hasattr(figure, "gcf"):
        figure = figure.gcf()
    elif not hasattr(figure, "savefig"):
        figure = figure.get_figure()
    out = io.BytesIO()
    figure.savefig(out, format=form)
    return out.getvalue()


def _saved(picture: Any, mode: Optional[str], form: str) -> bytes:
    """A PIL picture as a file. PIL imports what it needs for that when it first needs it."""
    with importing():
        return _save(picture, mode, form)


def _save(picture: Any, mode: Optional[str], form: str) -> bytes:
    if mode is not None and picture.mode != mode:
        picture = picture.convert(mode)
    elif form in ("jpg", "jpeg") and picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    out = io.BytesIO()
    picture.save(out, format={"jpg": "jpeg"}.get(form, form))
    data = out.getvalue()
    if len(data) > MAX_FILE:
        raise Refused(f"a picture is larger than {MAX_FILE >> 20} MiB")
    return data


def _own_array(given: Any) -> Any:
    """A copy of an array or tensor, as (height, width) or (height, width, channels)."""
    numpy = sys.modules.get("numpy")
    tensor = hasattr(given, "detach")
    if tensor:
        given = given.detach().cpu()
        given = (given if "uint8" in str(given.dtype) else given.float()).numpy()
        numpy = sys.modules.get("numpy")
    if numpy is None or not (hasattr(given, "shape") or hasattr(given, "__array__")):
        wanted = "a path, bytes, an array, a tensor, a PIL picture or a matplotlib figure"
        raise TypeError(f"an Image is made of {wanted}, not of {type(given).__name__}")
    found = numpy.array(given, copy=True)
    if found.dtype.kind not in "buif":
        raise TypeError(f"the pixels of an Image are numbers, not {found.dtype}")
    if tensor and found.ndim == 3:
        found = found.transpose(1, 2, 0)
    if found.ndim > 3:
        found = found.squeeze()
    if found.ndim == 3 and found.shape[2] == 1:
        found = found[:, :, 0]
    if found.ndim not in (2, 3) or (found.ndim == 3 and found.shape[2] not in (3, 4)) or 0 in found.shape:
        told = "(channels, height, width)" if tensor else "(height, width) or (height, width, 3 or 4)"
        raise ValueError(f"Un-supported shape for image conversion {list(found.shape)}: {told} is needed")
    return found


def _to_bytes(found: Any) -> Any:
    """Pixels of 0 to 255. Floats that stay within 0 and 1 are scaled; with values below zero, to their whole range."""
    numpy = sys.modules["numpy"]
    if found.dtype == bool:
        return found.astype(numpy.uint8) * 255
    if found.dtype.kind == "f":
        found = numpy.nan_to_num(found.astype(float), nan=0.0, posinf=1.0, neginf=0.0)
        if found.min() < 0:
            found = (found - found.min()) / (float(numpy.ptp(found)) or 1.0)
        if found.max() <= 1.0:
            found = found * 255
    return numpy.ascontiguousarray(found.clip(0, 255).astype(numpy.uint8))
