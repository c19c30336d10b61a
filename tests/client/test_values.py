"""What may be logged, and what becomes of it."""

import datetime
import decimal
import enum
import fractions
import math
from collections import OrderedDict, UserDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins.tensors import Hostile, JaxArray, OfOddClass, Raising, Tensor, UnshowableError
from wayside import wire
from wayside.values import (
    MAX_DEPTH,
    MAX_NAMES,
    MAX_STEP,
    MAX_TEXT,
    MAX_TEXTS,
    as_float,
    as_step,
    on_device,
    shown,
    take,
    text_of,
)


class Colour(enum.IntEnum):
    """An enumeration that is a number."""

    RED = 3


class Word(str):
    """A text of a class of its own, which would not be one when added to another."""

    def __radd__(self, other: object) -> str:
        raise ZeroDivisionError


NUMBERS: list[tuple[Any, float]] = [
    (0.5, 0.5),
    (3, 3.0),
    (True, 1.0),
    (math.inf, math.inf),
    (np.float32(0.5), 0.5),
    (np.float64(0.5), 0.5),
    (np.float16(0.5), 0.5),
    (np.int64(7), 7.0),
    (np.uint64(2**63), float(2**63)),
    (np.bool_(True), 1.0),
    (np.array(0.25), 0.25),
    (np.array([0.25]), 0.25),
    (np.array([[2]]), 2.0),
    (Tensor(0.125), 0.125),
    (Tensor(3), 3.0),
    (Tensor(True), 1.0),
    (JaxArray(0.5, "cpu"), 0.5),
    (fractions.Fraction(1, 4), 0.25),
    (decimal.Decimal("0.25"), 0.25),
    (Colour.RED, 3.0),
    (2**53 + 1, float(2**53)),
]


@pytest.mark.parametrize(("value", "number"), NUMBERS, ids=lambda value: repr(value)[:30])
def test_numbers_of_every_kind_are_points(value: Any, number: float) -> None:
    """Python's numbers, numpy's scalars, and arrays and tensors of one element on the CPU."""
    taken = take({"a": value})
    assert taken.names == ("a",)
    assert taken.values == (number,)
    assert type(taken.values[0]) is float
    assert taken.refused == []


REFUSED: list[tuple[Any, str]] = [
    (None, "None is not a number"),
    (b"1", "bytes is not a number"),
    ([1, 2], "list is not a number"),
    (object(), "object is not a number"),
    (1j, "complex"),
    (np.complex64(1j), "no real number"),
    (np.array([1.0, 2.0]), "2 elements"),
    (np.array([]), "0 elements"),
    (np.datetime64("2026-01-01"), "not a number"),
    (np.array("text"), "str is not a number"),
    (Tensor(1.0, count=4), "4 elements"),
    (Tensor(1j), "no real number"),
    (Tensor(0.5, device="cuda"), "would have to be waited for"),
    (Tensor(0.5, device="mps"), "would have to be waited for"),
    (Tensor(0.5, device="xpu"), "would have to be waited for"),
    (JaxArray(0.5, "gpu"), "would have to be waited for"),
    (10**400, "too large"),
    (datetime.timedelta(1), "timedelta is not a number"),
    (Raising(UnshowableError()), "UnshowableError"),
    (Raising(RuntimeError()), "RuntimeError"),
    (Raising(RuntimeError("the reason")), "the reason"),
]


@pytest.mark.parametrize(("value", "why"), REFUSED, ids=lambda value: type(value).__name__)
def test_what_is_no_number_is_refused_and_its_neighbours_are_kept(value: Any, why: str) -> None:
    """The refusal names the metric and the reason; the rest of the row goes on."""
    taken = take({"a": 1.0, "bad": value, "b": 2.0})
    assert taken.names == ("a", "b")
    assert taken.values == (1.0, 2.0)
    ((name, reason),) = taken.refused
    assert name == "bad"
    assert why in reason


def test_objects_that_raise_on_everything_are_refused() -> None:
    """Even when they have no class to be asked for, or one that cannot be hashed."""
    taken = take({"a": 1.0, "bad": Hostile(), "odd": OfOddClass(), "b": 2.0})
    assert taken.names == ("a", "b")
    assert [name for name, _ in taken.refused] == ["bad", "odd"]
    with pytest.raises(ZeroDivisionError):
        as_step(Hostile())


def test_a_tensor_on_an_accelerator_is_never_read() -> None:
    """No conversion of it is called, since any of them waits for the device: as a value, as a step, in a message."""
    for device in ("cuda", "xpu", "hpu"):
        tensor = Tensor(1.0, device=device)
        take({"a": tensor})
        with pytest.raises(TypeError):
            as_step(tensor)
        assert tensor.reads == 0
    assert not on_device(Tensor(1.0))
    assert not on_device(np.float32(1.0))


def test_nested_dictionaries_become_names_with_slashes() -> None:
    """At any depth and of any mapping, in order."""
    data = {"train": {"loss": 1, "by": OrderedDict(layer=UserDict({"0": 2}))}, "lr": 3}
    taken = take(data)
    assert dict(zip(taken.names, taken.values, strict=True)) == {"train/loss": 1, "train/by/layer/0": 2, "lr": 3}
    assert taken.names == ("train/loss", "train/by/layer/0", "lr")


def test_nesting_has_an_end() -> None:
    """A dictionary that holds itself is refused where it becomes too deep, and what is beside it is kept."""
    endless: dict[str, Any] = {"x": 1.0}
    endless["again"] = endless
    taken = take({"a": endless, "b": 2.0})
    assert len(taken.names) == MAX_DEPTH + 1
    assert taken.names[-1] == "b"
    ((name, why),) = taken.refused
    assert name.startswith("a/again/again")
    assert "deep" in why


class HostileMapping(UserDict[str, Any]):
    """A dictionary that raises when it is asked for its entries."""

    def items(self) -> Any:
        raise ZeroDivisionError("no items")


def test_a_hostile_dictionary_inside_is_one_refusal() -> None:
    """It costs its own entries, not the row."""
    taken = take({"a": 1.0, "b": HostileMapping()})
    assert taken.names == ("a",)
    assert taken.refused == [("b", "no items")]


def test_text_is_taken_beside_the_numbers() -> None:
    """Strings of any class are texts, cut where they are too long."""
    taken = take({"a": 1.0, "note": "hello", "np": np.str_("x"), "long": "y" * (MAX_TEXT + 9), "own": Word("w")})
    assert taken.names == ("a",)
    assert taken.texts == {"note": "hello", "np": "x", "long": "y" * MAX_TEXT + "…", "own": "w"}
    assert all(type(text) is str for text in taken.texts.values())


def test_names_are_text_of_bounded_length() -> None:
    """Keys that are no text, empty or endless are refused; lone surrogates are replaced."""
    taken = take({1: 1.0, "": 1.0, "x" * 1025: 1.0, ("a",): 1.0, None: 1.0, "ok": 1.0, "b\ud800": 1.0, Word("w"): 1.0})
    assert taken.names == ("ok", "b?", "w")
    assert all(type(name) is str for name in taken.names)
    assert [name for name, _ in taken.refused] == ["1", "", "x" * 40 + "…", "('a',)", "None"]


def test_a_key_that_cannot_be_shown_is_refused_all_the_same() -> None:
    """Its class stands in for it."""
    taken = take({Hostile(): 1.0, "a": 1.0})
    assert taken.names == ("a",)
    assert taken.refused == [("<Hostile>", "a metric's name must be text, not Hostile")]


def test_a_row_has_limits() -> None:
    """So many points, so many characters of names, so much text: what is over is refused and the rest kept."""
    wide = take({f"m{n}": float(n) for n in range(wire.MAX_WIDTH + 3)})
    assert len(wide.names) == wire.MAX_WIDTH
    assert [why for _, why in wide.refused] == [f"more than {wire.MAX_WIDTH} points in one row"] * 3
    long = take({f"{n:04d}" + "x" * 996: 1.0 for n in range(MAX_NAMES // 1000 + 2)})  # characters of one byte
    assert len(long.names) == MAX_NAMES // 1000
    assert len(long.refused) == 2
    texts = take({f"t{n}": "y" * 50_000 for n in range(12)})
    assert sum(map(len, texts.texts.values())) <= MAX_TEXTS
    assert len(texts.texts) + len(texts.refused) == 12
    assert texts.refused


def test_the_widest_row_and_the_most_text_fit_a_frame() -> None:
    """Whatever `take` lets through can be written: names and texts at their limits, in characters that cost most."""
    number = -1.2345678901234567e-300
    worst = ["\x01" * 1000, '"' * 1000, "é" * 1000, "x" * 1000]
    for filler in worst:
        names = {f"{n:x}": number for n in range(wire.MAX_WIDTH - 1000)}
        names.update({filler + f"{n:03d}": number for n in range(1000)})
        taken = take(names)
        assert len(taken.names) < wire.MAX_WIDTH
        assert sum(map(len, taken.names)) > MAX_NAMES // 3 - 3000
        wire.named_row_frame(1.0, 1, dict(zip(taken.names, taken.values, strict=True)))
        wire.schema_frame(0, taken.names)
    texts = take({f"t{n}": "\x01" * 65_000 for n in range(20)}).texts
    assert len(texts) == 7
    wire.event_frame(1.0, 1, "text", {"values": texts})


def test_a_number_beyond_exact_whole_numbers_is_told() -> None:
    """What a 64-bit float cannot hold exactly is rounded, and named; what it can is not."""
    assert take({"a": 2**53 + 1, "b": 2**53, "c": 2**60, "d": -(2**53) - 1}).rounded == ["a", "d"]


def test_a_name_that_comes_twice_is_one_point() -> None:
    """Flattening may meet a name again: the last value stands, in the place of the first."""
    taken = take({"a/b": 1.0, "a": {"b": 2.0}, "c": 3.0})
    assert dict(zip(taken.names, taken.values, strict=True)) == {"a/b": 2.0, "c": 3.0}


STEPS: list[tuple[Any, int]] = [
    (3, 3),
    (-3, -3),
    (True, 1),
    (3.0, 3),
    (np.int64(3), 3),
    (np.float32(3.0), 3),
    (np.array(3), 3),
    (Tensor(3), 3),
    (fractions.Fraction(6, 2), 3),
    (MAX_STEP, MAX_STEP),
    (-MAX_STEP, -MAX_STEP),
]


@pytest.mark.parametrize(("asked", "step"), STEPS, ids=lambda value: repr(value)[:30])
def test_whole_numbers_of_every_kind_are_steps(asked: Any, step: int) -> None:
    """Also floats that are whole, as some training loops count."""
    assert as_step(asked) == step
    assert type(as_step(asked)) is int


@pytest.mark.parametrize(
    "asked", [3.5, math.nan, math.inf, "3", None, [3], 2**63, -(2**63), 10**30, Tensor(3, device="cuda")]
)
def test_anything_else_is_no_step(asked: Any) -> None:
    """Fractions, text, what does not fit 64 bits, and the one number that means no step."""
    with pytest.raises(Exception, match=r".*"):
        as_step(asked)


@given(
    st.recursive(
        st.none() | st.floats() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    )
)
def test_any_value_is_taken_or_refused(value: Any) -> None:
    """Points, texts and refusals are all there is, and points are plain floats with plain names."""
    taken = take({"a": value})
    assert len(taken.names) == len(taken.values)
    assert all(type(name) is str for name in taken.names)
    assert all(type(value) is float for value in taken.values)


def test_any_object_can_be_shown() -> None:
    """Even one without a text."""
    assert text_of(Hostile()) == "<Hostile that cannot be shown: ZeroDivisionError>"
    assert shown(Hostile()) == "<Hostile>"
    assert shown("x" * 100) == "'" + "x" * 39 + "…"
    assert text_of(Word("w")) == "w"
    assert as_float(Colour.RED) == 3.0


def test_a_tensor_without_data_is_told_so() -> None:
    """On torch's device `meta` there is no value to wait for, nor an `.item()` to log."""
    tensor = Tensor(0.5, device="meta")
    with pytest.raises(TypeError, match="`meta` has no value"):
        as_float(tensor)
    assert tensor.reads == 0
