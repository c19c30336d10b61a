"""Answers as bytes: what is not finite is spelled, everything else stays as it is; compressed for who wants it."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.web.api.encoding import accepts_gzip, encode, spelled
from web.api.asking import asking
from web.api.history import filled

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=30,
)


class Told(msgspec.Struct, rename={"begin": "from"}):
    begin: Any
    values: Any


def plainly(value: Any) -> Any:
    """The same, number by number."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [plainly(one) for one in value]
    if isinstance(value, dict):
        return {key: plainly(one) for key, one in value.items()}
    return value


@given(VALUES)
def test_any_value(value: Any) -> None:
    """Whatever an answer is made of comes out as strict JSON that says the same."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    body = encode(Told(value, [value]))
    assert json.loads(body, parse_constant=refuse) == {"from": plainly(value), "values": [plainly(value)]}


def test_finite_numbers_are_not_copied() -> None:
    """A long list of finite numbers goes to the encoder as it is; great ones, whose sum is infinite, too."""
    values = [0.5] * 1000
    told = Told(1, values)
    assert spelled(told) is told
    assert spelled([1e308] * 10) == [1e308] * 10
    assert spelled((math.inf, -math.inf, None, 1)) == ["Infinity", "-Infinity", None, 1]


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("gzip;q=0", False), ("gzip;q=0.0", False), ("br", False),
     ("", False), ("identity", False), ("gzip; q=1", True), ("*, gzip;q=0", False), ("*;q=0, gzip", True)],
)  # fmt: skip
def test_who_accepts_gzip(accepted: str, zipped: bool) -> None:
    """By the header, its weights included."""
    assert accepts_gzip(accepted) is zipped


@pytest.mark.asyncio
async def test_long_answers_are_compressed_for_who_wants_it(tmp_path: Path) -> None:
    """The same bytes come, smaller, and caches are told what they depend on; short ones are not worth it."""
    async with asking(filled(tmp_path)) as ask:
        path = "/workloads/job/metrics/data"
        options: dict[str, Any] = {"headers": {"Accept-Encoding": "identity"}}
        _, plain, body = await ask.raw(path, **options)
        assert "Content-Encoding" not in plain
        reply = await ask.served.asking.get(ask.base + path, headers={"Accept-Encoding": "gzip"}, auto_decompress=False)
        async with reply as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert answer.headers["Cache-Control"] == "no-store"
            packed = await answer.read()
        assert gzip.decompress(packed) == body
        assert len(packed) < len(body) / 3
        _, short, _ = await ask.raw("/runs/r1/summary", headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in short
