"""Pictures of all that one can be made of, decoded again by Pillow."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from wayside.media.medium import MAX_FILE, READ_AT_ONCE, Refused
from wayside.media.pictures import MAX_SIDE, Image
from wayside.media.png import encode_png, format_of, size_of

RNG = np.random.default_rng(7)


def decoded(image: Image) -> np.ndarray[Any, Any]:
    encoded = image._encode()
    assert encoded.data is not None
    return np.array(Pillow.open(io.BytesIO(encoded.data)))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1)])
def test_pixels_are_kept_exactly(shape: tuple[int, ...]) -> None:
    """Grey, RGB and RGBA, as another reader of PNG finds them."""
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(decoded(Image(pixels)), pixels)
    encoded = Image(pixels)._encode()
    assert encoded.about == {"width": shape[1], "height": shape[0]}


def test_a_single_channel_is_grey() -> None:
    """(height, width, 1) is what (height, width) is."""
    pixels = RNG.integers(0, 256, (5, 7, 1), dtype=np.uint8)
    assert np.array_equal(decoded(Image(pixels)), pixels[:, :, 0])


@pytest.mark.parametrize(
    ("pixels", "shown"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [[0, 127, 255]]),
        (np.array([[-1.0, 0.0, 1.0]]), [[0, 127, 255]]),
        (np.array([[0.0, 100.0, 300.0]]), [[0, 100, 255]]),
        (np.array([[np.nan, 1.0]]), [[0, 255]]),
        (np.array([[np.inf, -np.inf, 0.5]], dtype=np.float16), [[255, 0, 127]]),
        (np.array([[True, False]]), [[255, 0]]),
        (np.array([[-5, 300]]), [[0, 255]]),
        (np.array([[0, 1]]), [[0, 1]]),
    ],
)
def test_other_numbers_than_bytes(pixels: Any, shown: Any) -> None:
    """Floats up to 1 are scaled, with values below zero to their whole range; whole numbers are cut to a byte."""
    assert decoded(Image(pixels)).tolist() == shown


class Tensor:
    """What is asked of a torch tensor, around an array."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.dtype = f"torch.{array.dtype}"

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> "Tensor":
        return self

    def float(self) -> "Tensor":
        return Tensor(self.array.astype("float32"))

    def numpy(self) -> Any:
        return self.array


def test_a_tensor_has_its_channels_first() -> None:
    """(channels, height, width), of bytes or of floats."""
    pixels = RNG.integers(0, 256, (3, 5, 7), dtype=np.uint8)
    assert np.array_equal(decoded(Image(Tensor(pixels))), pixels.transpose(1, 2, 0))
    assert decoded(Image(Tensor(pixels / 255.0))).shape == (5, 7, 3)


@pytest.mark.parametrize("shape", [(3,), (5, 7, 2), (2, 5, 7, 3), (0, 7), (5, 7, 3, 3)])
def test_what_is_no_picture_says_its_shape(shape: tuple[int, ...]) -> None:
    """As wandb does, with the shape that is needed."""
    with pytest.raises(ValueError, match=r"Un-supported shape for image conversion \[.*is needed"):
        Image(np.ones(shape))


@pytest.mark.parametrize("given", [object(), 5, None, np.array([["a"]])])
def test_what_is_no_picture_at_all(given: Any) -> None:
    """Is a TypeError or ValueError with what one is made of."""
    with pytest.raises((TypeError, ValueError)):
        Image(given)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_bytes_and_files_are_kept_as_they_are(form: str, tmp_path: Path) -> None:
    """Whatever its name says: the format is what the first bytes say, and sizes are told where they are easily read."""
    out = io.BytesIO()
    Pillow.new("RGB", (30, 20), (1, 2, 3)).save(out, form)
    data = out.getvalue()
    path = tmp_path / "picture.xyz"
    path.write_bytes(data)
    for given in (data, path, str(path)):
        encoded = Image(given)._encode()
        assert encoded.data == data
        assert encoded.format == {"JPEG": "jpg", "TIFF": "tif"}.get(form, form.lower())
        if form in ("PNG", "JPEG", "GIF"):
            assert encoded.about == {"width": 30, "height": 20}


def test_pillows_own(tmp_path: Path) -> None:
    """A copy is made at once, encoded later, in the format that was asked for."""
    picture = Pillow.new("RGB", (4, 3), (10, 20, 30))
    image, jpeg = Image(picture), Image(picture, file_type="jpg")
    picture.paste((0, 0, 0), (0, 0, 4, 3))
    assert decoded(image)[0, 0].tolist() == [10, 20, 30]
    assert jpeg._encode().format == "jpg"
    assert format_of(jpeg._encode().data or b"") == "jpg"
    assert decoded(Image(picture, mode="L")).shape == (3, 4)


def test_an_image_of_an_image() -> None:
    """Is the same picture, with another caption if one is given."""
    image = Image(np.ones((2, 2)), caption="one")
    assert Image(image)._encode().about["caption"] == "one"
    assert Image(image, caption="two")._encode().about["caption"] == "two"


class Figure:
    """matplotlib's, by what is asked of it."""

    def savefig(self, out: Any, format: str) -> None:
        Pillow.new("RGB", (6, 4)).save(out, format)


class Axes:
    def get_figure(self) -> Figure:
        return Figure()


Axes.__module__ = Figure.__module__ = "matplotlib.figure"


@pytest.mark.parametrize("given", [Figure(), Axes()])
def test_figures_are_drawn_at_once(given: Any) -> None:
    """A figure, or the figure of its axes."""
    assert Image(given)._encode().about == {"width": 6, "height": 4}


def test_a_file_that_is_gone_afterwards(tmp_path: Path) -> None:
    """A small one was read, of a large one the open file is kept; one beyond the limit is refused with what to do."""
    for size in (10, READ_AT_ONCE + 10):
        path = tmp_path / "one.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(size))
        image = Image(path)
        path.unlink()
        assert len(image._encode().data or b"") == size + 8
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(MAX_FILE))
    with pytest.raises(Refused, match="larger than 32 MiB; log_artifact"):
        Image(path)._encode()


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    """Is an OSError at once, as with wandb, and a folder is no file."""
    with pytest.raises(FileNotFoundError):
        Image(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        Image(tmp_path)


def test_a_side_has_so_many_pixels() -> None:
    """Beyond PIL's and W&B's limit it is refused when it is encoded."""
    with pytest.raises(Refused, match=f"more than {MAX_SIDE} pixels"):
        Image(np.zeros((1, MAX_SIDE + 1), dtype=np.uint8))._encode()


def test_a_format_that_is_none() -> None:
    """`file_type` is one of wandb's."""
    with pytest.raises(ValueError, match="file_type must be one of"):
        Image(np.ones((2, 2)), file_type="exe")


def test_what_is_no_picture_inside(tmp_path: Path) -> None:
    """Bytes and files say so where they are given, whatever their name is."""
    path = tmp_path / "page.png"
    path.write_text("hello")
    with pytest.raises(ValueError, match="these bytes are no picture"):
        Image(b"hello")
    with pytest.raises(ValueError, match="is no picture"):
        Image(path)


def test_the_first_bytes_of_broken_files() -> None:
    """Whatever they are: never an error."""
    for length in range(40):
        for start in (b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0", b"RIFF"):
            data = (start + bytes(RNG.integers(0, 256, 40, dtype=np.uint8)))[:length]
            format_of(data)
            size_of(data)


def test_png_is_deterministic() -> None:
    """The same pixels are the same bytes, so that a digest says whether a picture changed."""
    assert encode_png(bytes(12), 2, 2, 3) == encode_png(bytes(12), 2, 2, 3)
