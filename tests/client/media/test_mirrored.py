"""What a mirrored row holds besides numbers is counted, and asked nothing."""

from typing import Any

import numpy as np
import wandb
from wayside.media.mirrored import UPLOADED, without_media


class Figure:
    """matplotlib's, which must not be drawn a second time."""

    __module__ = "matplotlib.figure"

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")


def test_a_row_without_media_is_the_same_object() -> None:
    """Nothing is copied where nothing is left out."""
    for row in ({"a": 1.0, "b": "x", "c": True}, {"a": np.float32(1), "b": {"c": 1}, "d": [1, 2], "e": None}):
        refused: dict[str, int] = {}
        assert without_media(row, refused) is row
        assert refused == {}


def test_media_are_counted_and_numbers_stay() -> None:
    """In nested dictionaries and lists, too; the script's own dictionary is not touched."""
    image = wandb.Image(np.zeros((2, 2), dtype=np.uint8))
    row = {"loss": 0.5, "img": image, "many": [image, image], "in": {"x": 1, "fig": Figure()}, "plain": {"y": 2}}
    before = dict(row)
    refused = {UPLOADED: 1}
    assert without_media(row, refused) == {"loss": 0.5, "in": {"x": 1}, "plain": {"y": 2}}
    assert refused == {UPLOADED: 4}
    assert row == before
