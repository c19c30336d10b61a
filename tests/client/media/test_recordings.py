"""Video, sound, pages, objects: bytes as they are, in a format that is known."""

import io
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wayside.media.medium import Refused
from wayside.media.recordings import Audio, Html, Molecule, Object3D, Plotly, Video


def data_of(medium: Any) -> bytes:
    data = medium._encode().data
    assert isinstance(data, bytes)
    return data


def test_video_of_a_path_and_of_bytes(tmp_path: Path) -> None:
    """Is kept as it is, in the format of its name, or the one that is said."""
    path = tmp_path / "run.mp4"
    path.write_bytes(b"frames")
    for video in (Video(str(path), caption="c"), Video(path), Video(io.BytesIO(b"frames"), format="mp4")):
        assert data_of(video) == b"frames"
        assert video._encode().format == "mp4"
    with pytest.raises(ValueError, match="gif, mp4, webm, ogg"):
        Video(io.BytesIO(b"frames"))
    with pytest.raises(TypeError, match="write the frames to a file first"):
        Video(np.zeros((2, 3, 4, 4)))


@pytest.mark.parametrize(
    ("samples", "channels"),
    [(np.array([0.0, 0.5, -1.0, 2.0]), 1), ([0.0, 0.5, -1.0, 2.0], 1), (np.array([[0.0, 0.5], [-1.0, 2.0]]), 2)],
)
def test_samples_become_wav(samples: Any, channels: int) -> None:
    """Of 16 bits, clipped, with rate and channels."""
    audio = Audio(samples, sample_rate=8000, caption="c")
    encoded = audio._encode()
    assert encoded.about == {"caption": "c", "sample_rate": 8000}
    with wave.open(io.BytesIO(encoded.data or b"")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, channels, 2)
        found = np.frombuffer(file.readframes(10), dtype="<i2")
    assert found.tolist() == [0, 16383, -32767, 32767]
    assert audio._encode().data == encoded.data


@pytest.mark.parametrize("samples", [[0.0, 0.5, -1.0, 2.0], [[0.0, 0.5], [-1.0, 2.0]], [0, 1, -40000, 40000], []])
def test_samples_are_packed_alike_without_numpy(samples: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has loaded no numpy gets the same bytes."""
    expected = Audio(samples, sample_rate=8000)._encode()
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "numpy")
        assert Audio(samples, sample_rate=8000)._encode() == expected


def test_samples_need_a_rate_and_numbers() -> None:
    """As wandb says it; what are no numbers are refused when it is encoded."""
    with pytest.raises(ValueError, match='"sample_rate" is required'):
        Audio([0.0])
    with pytest.raises(Refused, match="no numbers"):
        Audio(["a"], sample_rate=1)._encode()


def test_a_sound_of_a_path(tmp_path: Path) -> None:
    """Is kept as it is."""
    path = tmp_path / "a.flac"
    path.write_bytes(b"sound")
    assert (data_of(Audio(path)), Audio(path)._encode().format) == (b"sound", "flac")


def test_pages(tmp_path: Path) -> None:
    """HTML itself, a file object, a path that ends in .html; a text that only looks like a path is HTML."""
    path = tmp_path / "page.html"
    path.write_text("<b>é</b>", encoding="utf-8")
    assert data_of(Html(str(path))).decode() == "<b>é</b>"
    assert data_of(Html("<b>é</b>")).decode() == "<b>é</b>"
    assert data_of(Html(io.StringIO("<b>é</b>"))).decode() == "<b>é</b>"
    assert data_of(Html(str(path), data_is_not_path=True)).decode() == str(path)
    assert data_of(Html("none.html")).decode() == "none.html"
    with pytest.raises(ValueError, match="must be a string or an io object"):
        Html(5)


@pytest.mark.parametrize(("kind", "name"), [(Object3D, "a.glb"), (Object3D, "a.pts.json"), (Molecule, "a.pdb")])
def test_objects_from_files(kind: Any, name: str, tmp_path: Path) -> None:
    """By the endings W&B knows."""
    path = tmp_path / name
    path.write_bytes(b"points")
    other = tmp_path / "a.exe"
    other.write_bytes(b"MZ")
    encoded = kind(path, caption="c")._encode()
    assert (encoded.data, encoded.format) == (b"points", name[2:])
    assert kind(io.StringIO("points"), file_type=name[2:])._encode().data == b"points"
    with pytest.raises(ValueError, match="only files of the types"):
        kind(other)
    with pytest.raises(TypeError, match="made of a path or a file object here"):
        kind(np.zeros((3, 3)))


class Chart:
    """plotly's figure, by what is asked of it."""

    def to_plotly_json(self) -> dict[str, Any]:
        return {}

    def to_json(self) -> str:
        return '{"data": []}'


def test_plotlys_json() -> None:
    """Is kept under the ending that says whose it is."""
    encoded = Plotly(Chart())._encode()
    assert (encoded.data, encoded.format) == (b'{"data": []}', "plotly.json")
