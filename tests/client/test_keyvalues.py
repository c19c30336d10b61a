"""`config` and `summary`: dictionaries whose every change is told, in values that JSON can hold."""

import argparse
import copy
import datetime
import json
import math
import types
from collections import UserDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins.tensors import Hostile, OfOddClass, Raising, Tensor, UnshowableError
from wayside.keyvalues import KeyValues, plain


@pytest.fixture
def told() -> list[tuple[dict[str, Any], list[str]]]:
    return []


@pytest.fixture
def values(told: list[tuple[dict[str, Any], list[str]]]) -> KeyValues:
    return KeyValues(lambda found, gone: told.append((found, gone)))


def test_every_change_is_told(values: KeyValues, told: list[tuple[dict[str, Any], list[str]]]) -> None:
    """Items, attributes, updates, deletions: each is one change, and what did not change is not told again."""
    values["lr"] = 0.1
    values.hidden = 64
    values.update({"a": 1, "b": 2}, allow_val_change=True)
    values.update(c=3)
    values.setdefaults({"a": 9, "d": 4})
    del values["a"]
    values.update({})
    assert told == [
        ({"lr": 0.1}, []),
        ({"hidden": 64}, []),
        ({"a": 1, "b": 2}, []),
        ({"c": 3}, []),
        ({"d": 4}, []),
        ({}, ["a"]),
    ]
    assert values.as_dict() == {"lr": 0.1, "hidden": 64, "b": 2, "c": 3, "d": 4}


def test_it_reads_like_a_dictionary_and_like_an_object(values: KeyValues) -> None:
    """By item, by attribute, `get`, `in`, `len`, iteration; what is not there is a KeyError or an AttributeError."""
    values.update({"lr": 0.1, "layers": [1, 2]})
    assert values["lr"] == values.lr == 0.1
    assert dict(values) == {"lr": 0.1, "layers": [1, 2]}
    assert (len(values), "lr" in values, values.get("x"), list(values)) == (2, True, None, ["lr", "layers"])
    assert repr(values) == "{'lr': 0.1, 'layers': [1, 2]}"
    with pytest.raises(KeyError):
        values["x"]
    with pytest.raises(AttributeError, match="no 'x' has been set"):
        _ = values.x
    with pytest.raises(KeyError):
        del values["x"]


def test_anything_with_names_can_be_a_config(values: KeyValues) -> None:
    """argparse's namespaces, mappings of any class, pairs; a sentence is a TypeError that says so."""
    for source in (
        argparse.Namespace(lr=0.1),
        types.SimpleNamespace(lr=0.1),
        UserDict(lr=0.1),
        [("lr", 0.1)],
        {"lr": 0.1},
    ):
        values.update(source)
        assert values.as_dict() == {"lr": 0.1}
    values.update(None)
    for wrong in ("a sentence", 3, [1, 2]):
        with pytest.raises(TypeError, match="a config is a dictionary"):
            values.update(wrong)


def test_what_a_user_goes_on_changing_is_told_as_it_was(
    values: KeyValues, told: list[tuple[dict[str, Any], list[str]]]
) -> None:
    """A value is made plain when it is set."""
    layers = [1, 2]
    values["layers"] = layers
    layers.append(3)
    assert values["layers"] == [1, 2]
    assert told == [({"layers": [1, 2]}, [])]


def test_it_can_be_copied(values: KeyValues) -> None:
    """A copy, which asks for attributes before there are any, ends."""
    values["lr"] = 0.1
    assert copy.copy(values).as_dict() == {"lr": 0.1}
    assert not hasattr(KeyValues.__new__(KeyValues), "lr")


PLAIN: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (3, 3),
    (0.5, 0.5),
    (math.nan, "NaN"),
    (-math.inf, "-Infinity"),
    ("text", "text"),
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (np.array(2.5), 2.5),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (np.array([1, 2]), "[1 2]"),
    (Tensor(0.5), 0.5),
    (Tensor(0.5, device="cuda"), 0.5),
    (Tensor(math.nan), "NaN"),
    ((1, (2,)), [1, [2]]),
    ({3}, [3]),
    ({1: {"a": None}}, {"1": {"a": None}}),
    (Path("/x"), "/x"),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (Raising(ValueError()), None),
]


@pytest.mark.parametrize(("value", "expected"), PLAIN, ids=lambda value: repr(value)[:30])
def test_values_become_what_json_can_hold(value: Any, expected: Any) -> None:
    """Numbers and text as they are, arrays' scalars as numbers, collections as lists and objects, the rest as text."""
    found = plain(value)
    if expected is not None or value is None:
        assert found == expected
        assert type(found) is type(expected)
    json.dumps(found, allow_nan=False)


def test_nothing_that_is_set_can_raise() -> None:
    """Objects that cannot be shown say what they are instead, and endless structures end."""
    assert plain(Hostile()) == "<Hostile that cannot be shown: ZeroDivisionError>"
    assert plain([Hostile(), 1]) == ["<Hostile that cannot be shown: ZeroDivisionError>", 1]
    assert plain({Hostile(): 1}) == {"<Hostile that cannot be shown: ZeroDivisionError>": 1}
    assert isinstance(plain(OfOddClass()), str)
    assert plain(Raising(UnshowableError())).startswith("<Raising")
    endless: list[Any] = []
    endless.append(endless)
    json.dumps(plain(endless))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary() | st.complex_numbers(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner)
        ),
    )
)
def test_any_value_becomes_strict_json(value: Any) -> None:
    """Whatever is set can be written, without NaN or infinity as bare words, and read back as the same."""
    found = plain(value)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
