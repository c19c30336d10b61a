"""From a snapshot to bytes, and from several pages to one. Pure.

The speed lies in what is not done: a series costs one concatenation, inside one `join` for each family, and its number
comes from msgspec, whose JSON text of a list of floats takes a sixth of the time of `repr` (bench/scrape.py measures
all of it beside prometheus_client).
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import add

import msgspec

from .page import Shot

PIECE = 500  #: series of a piece, between which a thread that renders can let others run: about 0.3 ms

_JSON = msgspec.json.Encoder()
_EOF = b"# EOF\n"
_NAME = rb'"(?:[^"\\]|\\.)*"|[^\s"]\S*'  # in quotes where it is such as only UTF-8 has
_TYPE = re.compile(rb"# TYPE (" + _NAME + rb") (\S+)")  # without a `^`: a literal is found fourteen times as fast
_COMMENT = re.compile(rb"# (?:HELP|TYPE|UNIT) (" + _NAME + rb") ")


def pieces(shots: Iterable[Shot], openmetrics: bool) -> Iterator[str]:
    """The page as text, in pieces of about `PIECE` series."""
    ready: list[str] = []
    series = 0
    for shot in shots:
        ready.append(shot.headers[openmetrics])
        for lines, count in _lines(shot):
            ready.append(lines)
            series += count
            if series >= PIECE:
                yield "".join(ready)
                ready, series = [], 0
    ready.append("# EOF\n" if openmetrics else "")
    yield "".join(ready)


def _lines(shot: Shot) -> Iterator[tuple[str, int]]:
    name, series = shot.name, shot.series
    labels, values = iter(series), iter(series.values())
    while few := list(islice(values, PIECE)):
        lines = map(add, islice(labels, PIECE), spell_all(few))
        yield name + f"\n{name}".join(lines) + "\n", len(few)


def spell_all(values: list[float]) -> list[str]:
    """Numbers as both formats write them, shortest text that reads back as the same float."""
    if math.isfinite(sum(values)):  # a sum that overflows only costs the slower way
        return _JSON.encode(values).decode()[1:-1].split(",")
    return list(map(spell, values))


def spell(value: float) -> str:
    """A number as both formats write it."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"


def join(pages: Sequence[bytes]) -> bytes:
    """Several pages of one format as one: `# EOF` once and last, and no family twice.

    A family that an earlier page has, too, is left out of the later one, with its samples: a family must stand in one
    piece, and a page on which it stands twice would be refused whole.
    """
    known: set[bytes] = set()
    joined = []
    for page in pages:
        body = page.removesuffix(_EOF)
        types = _types(body)
        if not known.isdisjoint(_taken(types)):
            body, types = _without(body, known)
        known.update(_taken(types))
        joined.append(body if body.endswith(b"\n") or not body else body + b"\n")
    ended = any(page.endswith(_EOF) for page in pages)
    return b"".join(joined) + (_EOF if ended else b"")


def _types(body: bytes) -> list[tuple[bytes, bytes]]:
    """Name and type of each family; only at the start of a line, since a label's value may look like one."""
    return [
        (found[1], found[2])
        for found in _TYPE.finditer(body)
        if body[max(0, found.start() - 1) : found.start()] in (b"", b"\n")
    ]


def _taken(types: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Names under which the families' samples can stand, whichever format it is."""
    found = []
    for name, kind in types:
        base = name.removesuffix(b"_total") if kind == b"counter" else name
        found.append(base if kind != b"info" else base.removesuffix(b"_info"))
        found.append(name)
    return found


def _without(body: bytes, known: set[bytes]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The families of a page that are not `known`; a family begins at its first `# HELP` or `# TYPE`."""
    kept: list[bytes] = []
    types: list[tuple[bytes, bytes]] = []
    for block in _families(body):
        found = _types(block)
        if known.isdisjoint(_taken(found)):
            kept.append(block)
            types += found
    return b"".join(kept), types


def _families(body: bytes) -> Iterator[bytes]:
    """The page cut where a comment names another family than the line before it."""
    block: list[bytes] = []
    current = b""
    for line in re.findall(rb"[^\n]*\n|[^\n]+", body):
        comment = _COMMENT.match(line)
        if comment is not None and comment[1] != current:
            if block:
                yield b"".join(block)
            block, current = [], comment[1]
        block.append(line)
    if block:
        yield b"".join(block)
