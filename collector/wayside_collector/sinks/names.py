"""Names and labels as Prometheus takes them: pure functions of text.

The rules are those of Prometheus' data model and text format, and of OpenMetrics 1.0: names of [a-zA-Z0-9_], label
values of any text with backslash, quote and line feed escaped, an empty label the same as none.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Literal

Kind = Literal["gauge", "counter", "info"]

PREFIX = "wayside_"
_UNFIT = re.compile(r"[^a-zA-Z0-9_]")
_UNSOUND = re.compile("[\x00\ud800-\udfff]")  # NUL ends a line for some parsers; lone surrogates are no UTF-8
_HASHED = 9  # "~" and eight hexadecimal digits
_SUFFIXES: dict[Kind, str] = {"gauge": "", "counter": "_total", "info": "_info"}


def sound(text: str) -> str:
    """`text` without what no UTF-8 page can carry."""
    return _UNSOUND.sub("\ufffd", text)


def escape(text: str) -> str:
    """A label's value, or OpenMetrics help, between quotes."""
    return sound(text).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def escape_help(text: str) -> str:
    """Help of the text format, where a quote stands for itself."""
    return sound(text).replace("\\", "\\\\").replace("\n", "\\n")


def cut(value: str, limit: int) -> str:
    """A label's value of at most `limit` characters; a longer one ends in a hash of the whole, so that two that begin
    alike stay two.
    """
    if len(value) <= limit:
        return value
    return f"{value[: limit - _HASHED]}~{_digest(value)[: _HASHED - 1]}"


def label_text(pairs: Iterable[tuple[str, str | None]], limit: int) -> str:
    """`{run="r1",rank="0"} `, what stands between a sample's name and its value; empty labels are left out."""
    text = ",".join(f'{_UNFIT.sub("_", name)}="{escape(cut(value, limit))}"' for name, value in pairs if value)
    return f"{{{text}}} " if text else " "


def plain_name(original: str) -> str:
    """`train/loss` → `wayside_train_loss`."""
    return PREFIX + _UNFIT.sub("_", original)


def base_name(name: str, kind: Kind) -> str:
    """The family's name in OpenMetrics: a counter's without `_total`, an info's without `_info`."""
    return name.removesuffix(_SUFFIXES[kind])


def claims(name: str, kind: Kind) -> tuple[str, ...]:
    """Every name a family takes for itself in either format; two families of a page must not share one."""
    base = base_name(name, kind)
    if kind == "counter":
        return (base, name, f"{base}_created")
    return (base, name) if base != name else (name,)


def foreign_claims(name: str) -> tuple[str, ...]:
    """Every name that a family of unknown kind on another page may take."""
    base = name.removesuffix("_total").removesuffix("_info")
    return (base, *(base + ending for ending in ("_total", "_created", "_info", "_count", "_sum", "_bucket")))


def candidates(plain: str, kind: Kind, original: str) -> Iterator[str]:
    """The names to try for `original`, in order: as it is, then with four hexadecimal digits of its hash, then more."""
    yield plain
    base, digest = base_name(plain, kind), _digest(original)
    for digits in (4, 8, 40):
        yield f"{base}_x{digest[:digits]}{_SUFFIXES[kind]}"
    for number in itertools.count(2):  # only names made to collide get here
        yield f"{base}_x{digest}_{number}{_SUFFIXES[kind]}"


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
