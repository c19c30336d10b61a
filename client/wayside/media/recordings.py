"""Files that are shown as they are: video, sound, pages, three-dimensional objects, molecules."""

import io
import os
import sys
import wave
from array import array
from typing import Any, Dict, Optional, Tuple, Union

from .medium import Encoded, Medium, Refused, Source, caption_of

VIDEO = ("gif", "mp4", "webm", "ogg")
OBJECT = ("obj", "gltf", "glb", "babylon", "stl", "pts.json")
MOLECULE = ("pdb", "pqr", "mmcif", "mcif", "cif", "sdf", "sd", "gro", "mol2", "mmtf")


class Recording(Medium):
    """Bytes of a known format, from a file or from memory."""

    def __init__(self, data: Union[bytes, Source], form: str, caption: Any = None) -> None:
        self._data = data
        self._format = form
        self._caption = caption

    def _held(self) -> int:
        return 1024 + (self._data.held if isinstance(self._data, Source) else len(self._data))

    def _encode(self) -> Encoded:
        data = self._data.read() if isinstance(self._data, Source) else self._data
        return Encoded(self._about(), self._format, data)

    def _about(self) -> Dict[str, Any]:
        return caption_of(self._caption)


class Video(Recording):
    """A video (`wandb.Video`): a path or a BytesIO of gif, mp4, webm or ogg. Arrays of frames are not encoded here, as
    that needs moviepy: write a file first.
    """

    EXTS = VIDEO
    _type = "video"

    def __init__(
        self, data_or_path: Any, caption: Optional[str] = None, fps: Optional[int] = None, format: Optional[str] = None
    ) -> None:
        if isinstance(data_or_path, io.BytesIO):
            data: Union[bytes, Source] = data_or_path.read()
        elif _is_path(data_or_path):
            data = Source(data_or_path)
            format = data.format
        else:
            raise TypeError(
                f"a Video is made of a path or a BytesIO, not of {type(data_or_path).__name__}: write the frames to a "
                "file first (moviepy, imageio or torchvision.io.write_video), and give its path"
            )
        if format not in VIDEO:
            raise ValueError(f"wandb.Video accepts {', '.join(VIDEO)} formats")
        super().__init__(data, format, caption)


class Audio(Recording):
    """Sound (`wandb.Audio`): a path, or samples from -1 to 1 (an array or list, (samples,) or (samples, channels)) with
    their sample_rate, which become a WAV file of 16 bits.
    """

    _type = "audio"

    def __init__(self, data_or_path: Any, sample_rate: Optional[int] = None, caption: Optional[str] = None) -> None:
        self._sample_rate = sample_rate
        self._samples: Any = None
        if _is_path(data_or_path):
            source = Source(data_or_path)
            super().__init__(source, source.format or "wav", caption)
            return
        if sample_rate is None:
            raise ValueError('Argument "sample_rate" is required when instantiating wandb.Audio with raw data.')
        samples = data_or_path.detach().cpu().numpy() if hasattr(data_or_path, "detach") else data_or_path
        self._samples = samples.copy() if hasattr(samples, "tolist") else list(samples)
        super().__init__(b"", "wav", caption)

    def _held(self) -> int:
        samples = self._samples
        return super()._held() + (0 if samples is None else int(getattr(samples, "nbytes", 32 * len(samples))))

    def _encode(self) -> Encoded:
        if self._samples is not None:
            self._data, self._samples = _wav(self._samples, int(self._sample_rate or 1)), None
        return super()._encode()

    def _about(self) -> Dict[str, Any]:
        about = super()._about()
        return dict(about, sample_rate=self._sample_rate) if self._sample_rate else about


class Html(Recording):
    """A page (`wandb.Html`): HTML itself, a file object, or the path of a file that ends in .html. `inject` is taken,
    and the page stays as it is.
    """

    _type = "html"

    def __init__(self, data: Any, inject: bool = True, data_is_not_path: bool = False) -> None:
        if isinstance(data, str) or hasattr(data, "__fspath__"):
            if not data_is_not_path and str(data).endswith(".html") and os.path.isfile(data):
                super().__init__(Source(data), "html")
                return
            text: Any = str(data)
        elif hasattr(data, "read"):
            if hasattr(data, "seek"):
                data.seek(0)
            text = data.read()
        else:
            raise ValueError("data must be a string or an io object")
        self.html = text
        super().__init__(text if isinstance(text, bytes) else text.encode("utf-8", "replace"), "html")


class Object3D(Recording):
    """A three-dimensional object (`wandb.Object3D`) from a file; clouds of points as arrays are not encoded here."""

    SUPPORTED_TYPES = frozenset(OBJECT)
    _type = "object3d"

    def __init__(self, data_or_path: Any, caption: Optional[str] = None, **kwargs: Any) -> None:
        super().__init__(*_file(data_or_path, kwargs.get("file_type"), OBJECT, "Object3D"), caption)


class Molecule(Recording):
    """A molecule (`wandb.Molecule`) from a file."""

    SUPPORTED_TYPES = frozenset(MOLECULE)
    _type = "object3d"

    def __init__(self, data_or_path: Any, caption: Optional[str] = None, **kwargs: Any) -> None:
        super().__init__(*_file(data_or_path, kwargs.get("file_type"), MOLECULE, "Molecule"), caption)


class Plotly(Recording):
    """A chart of plotly's, kept as plotly's own JSON; one of matplotlib's, kept as a picture."""

    _type = "plot"

    def __init__(self, val: Any) -> None:
        if hasattr(val, "to_plotly_json") and hasattr(val, "to_json"):
            super().__init__(val.to_json().encode("utf-8", "replace"), "plotly.json")
            return
        from .pictures import figure_bytes

        self._type = "image"
        super().__init__(figure_bytes(val), "png")


def _is_path(given: Any) -> bool:
    return isinstance(given, str) or hasattr(given, "__fspath__")


def _file(given: Any, form: Any, known: Tuple[str, ...], name: str) -> Tuple[Union[bytes, Source], str]:
    if _is_path(given):
        source = Source(given)
        form = next((ending for ending in known if source.path.endswith(f".{ending}")), None)
        if form is None:
            raise ValueError(f"{name} accepts only files of the types {', '.join(known)}")
        return source, form
    if hasattr(given, "read"):
        if form not in known:
            raise ValueError(f"{name} of a file object needs file_type=, one of {', '.join(known)}")
        data = given.read()
        return data if isinstance(data, bytes) else data.encode("utf-8", "replace"), form
    raise TypeError(f"{name} is made of a path or a file object here, not of {type(given).__name__}")


def _wav(samples: Any, rate: int) -> bytes:
    """Samples from -1 to 1, clipped, as 16 bits."""
    try:
        channels, data = _packed(samples)
    except (TypeError, ValueError, OverflowError) as problem:
        raise Refused(f"samples that are no numbers: {problem}") from problem
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(data)
    return out.getvalue()


def _packed(samples: Any) -> Tuple[int, bytes]:
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        found = numpy.asarray(samples)
        if found.ndim not in (1, 2):
            raise ValueError(f"(samples,) or (samples, channels) is needed, not {found.shape}")
        channels = found.shape[1] if found.ndim > 1 else 1
        if found.dtype.kind not in "iu":
            found = found.astype(float) * 32767
        return channels, found.clip(-32768, 32767).astype("<i2").tobytes()
    several = bool(samples) and isinstance(samples[0], (list, tuple))
    flat = [value for frame in samples for value in frame] if several else samples
    whole = all(isinstance(value, int) for value in flat)
    packed = array("h", (_sixteen(value if whole else value * 32767) for value in flat))
    if sys.byteorder == "big":
        packed.byteswap()
    return len(samples[0]) if several else 1, packed.tobytes()


def _sixteen(value: float) -> int:
    return max(-32768, min(32767, int(value)))
