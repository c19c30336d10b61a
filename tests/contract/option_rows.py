"""The rows that `docs/configuration.md` must hold: every option of every struct in the code, with type, default and
variable, as the page writes them.
"""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from wayside_collector.configuration.config import load_name
from wayside_collector.configuration.sections import Top
from wayside_collector.configuration.units import MAX_BYTES, MAX_SECONDS
from wayside_collector.sinks import SINKS
from wayside_collector.sinks.base import SinkOptions
from wayside_collector.sinks.http_options import HttpOptions
from wayside_collector.sources import SAMPLERS, SOURCES

#: What parts inherit has a table of its own, and is not repeated in theirs.
SHARED = {"Options every sink has": SinkOptions, "Options every HTTP sink has": HttpOptions}

_SIZES = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_TIMES = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


class OptionRow(NamedTuple):
    """One option: the cells before the one that says what it does."""

    option: str
    type: str
    default: str
    variable: str

    def __str__(self) -> str:
        return f"| `{self.option}` | {self.type} | {self.default} | {self.variable} |"


def sections() -> dict[str, list[OptionRow]]:
    """Heading to rows."""
    found = dict(_of_tree("", Top))
    for title, kind in SHARED.items():
        found[title] = _rows(kind, "SINKS__NAME")
    for name, source in {**SAMPLERS, **SOURCES}.items():
        found[f"sources.{name}"] = _rows(load_name(source.options), f"SOURCES__{name.upper()}")
    for name, sink in SINKS.items():
        found[f"sinks.{name}"] = _rows(load_name(sink.options), f"SINKS__{name.upper()}")
    return found


def _of_tree(path: str, kind: type[msgspec.Struct]) -> Iterator[tuple[str, list[OptionRow]]]:
    """A struct's own options, then those of the structs in it."""
    yield path or "Top level", _rows(kind, path.upper().replace(".", "__"))
    for field in msgspec.structs.fields(kind):
        if _is_struct(field.type):
            yield from _of_tree(f"{path}.{field.name}" if path else field.name, field.type)


def _rows(kind: type[msgspec.Struct], prefix: str) -> list[OptionRow]:
    inherited: dict[str, str] = {}
    for base in kind.__mro__[1:]:
        if base in SHARED.values():
            inherited.update((field.name, _default(field)) for field in msgspec.structs.fields(base))
    found = []
    for field in msgspec.structs.fields(kind):
        if not _is_struct(field.type) and inherited.get(field.name) != _default(field):
            variable = "__".join(
                ["WAYSIDE_" + prefix, field.name.upper()] if prefix else ["WAYSIDE_" + field.name.upper()]
            )
            found.append(OptionRow(field.name, _type(field.type), _default(field), f"`{variable}`"))
    return found


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _type(kind: Any) -> str:
    """A type in the page's words, with its bounds."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *metas = get_args(kind)
        (meta,) = [found for found in metas if isinstance(found, msgspec.Meta)]
        unit = (meta.extra or {}).get("unit")
        word = {"bytes": "size", "seconds": "time"}.get(unit or "", _type(inner))
        if word == "time" and inner is int:
            word = "time in whole seconds"
        return word + _bounds(meta, unit)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in get_args(kind) if one is not types.NoneType)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in get_args(kind))
    if origin is tuple:
        return f"list of {_type(get_args(kind)[0])}"
    if origin is dict:
        return "names and values"
    return {str: "text", int: "number", float: "number", bool: "`true`, `false`"}[kind]


def _bounds(meta: msgspec.Meta, unit: str | None) -> str:
    """The bounds that mean something to a reader: what is merely above zero, or below a slip of the pen, does not."""
    low = next((one for one in (meta.ge, meta.min_length) if one is not None), None)
    high = next((one for one in (meta.le, meta.max_length) if one is not None), None)
    low = None if unit == "bytes" and low == 1 else low
    high = None if high in (MAX_BYTES, MAX_SECONDS) else high
    if low is None and high is None:
        return ""
    of = " characters" if meta.max_length is not None else ""
    if high is None:
        return f", from {_number(low, unit)}{of}"
    return f", {_number(low, unit)} to {_number(high, unit)}{of}" if low else f", up to {_number(high, unit)}{of}"


def _default(field: Any) -> str:
    """A default in the page's words; empty for none at all, which the page explains."""
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    unit = None
    if get_origin(field.type) is Annotated:
        unit = next(((found.extra or {}).get("unit") for found in get_args(field.type)[1:]), None)
    if value is None or value in ({}, (), ""):
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{name}: {inner}" for name, inner in value.items()) + "}`"
    return f"`{str(value).lower() if isinstance(value, bool) else _number(value, unit)}`"


def _number(value: Any, unit: str | None) -> str:
    for word, size in {"bytes": _SIZES, "seconds": _TIMES}.get(unit or "", ()):
        if value >= size and value % size == 0:
            return f"{value // size:.0f}{word}"
    if unit == "seconds":
        return f"{value * 1000:.0f}ms"
    return f"{value:g}" if isinstance(value, float) else str(value)
