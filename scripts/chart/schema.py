"""The chart's schema: what is written by hand for the chart's own values, and of the collector's configuration what its
options' structs say. What is required is left out: the chart adds some of it, and Secrets bring the rest.
"""

import json
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from wayside_collector.configuration.config import load_name
from wayside_collector.configuration.sections import Top
from wayside_collector.configuration.units import unit_of
from wayside_collector.sinks import SINKS
from wayside_collector.sources import SAMPLERS, SOURCES

Schema = dict[str, Any]

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_LENGTHS = {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}

UNITS: Schema = {
    "size": {
        "type": ["integer", "string"],
        "minimum": 1,
        "pattern": r"^\s*[0-9]*\.?[0-9]+\s*([kKmMgGtT]?([iI]?[bB])?)\s*$",
    },
    "time": {
        "type": ["number", "string"],
        "exclusiveMinimum": 0,
        "pattern": r"^\s*[0-9]*\.?[0-9]+\s*(ms|s|m|min|h|d|w)?\s*$",
    },
}


def make_schema(by_hand: str) -> str:
    """The file's text. by_hand: the chart's own part, which refers to #/definitions/collectorConfig."""
    schema = json.loads(by_hand)
    schema["definitions"] |= UNITS
    config = _struct(Top)
    for word, table in (("sink", SINKS), ("source", {**SAMPLERS, **SOURCES})):
        schema["definitions"] |= {**_kinds(word, table), f"any.{word}": _any(word, table)}
        config["properties"][f"{word}s"] = _parts(word, table)
    schema["definitions"]["collectorConfig"] = config
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _kinds(word: str, table: Mapping[str, Any]) -> Schema:
    """A definition of each kind's options; `kind` may be said with them."""
    found = {}
    for name, kind in table.items():
        options = _struct(load_name(kind.options))
        options["properties"]["kind"] = {"const": name}
        found[f"{word}.{name}"] = options
    return found


def _any(word: str, table: Mapping[str, Any]) -> Schema:
    """A part that says its kind."""
    kinds = [
        {
            "if": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": name}}},
            "then": {"$ref": f"#/definitions/{word}.{name}"},
        }
        for name in table
    ]
    said = {"if": {"type": "object"}, "then": {"required": ["kind"], "properties": {"kind": {"enum": [*table]}}}}
    return {"type": ["object", "boolean", "null"], "allOf": [*kinds, said]}


def _parts(word: str, table: Mapping[str, Any]) -> Schema:
    """Named parts: those named like their kind, and others."""
    known = {
        name: {
            "type": ["object", "boolean", "null"],
            "if": {"not": {"required": ["kind"]}},
            "then": {"$ref": f"#/definitions/{word}.{name}"},
            "else": {"$ref": f"#/definitions/any.{word}"},
        }
        for name in table
    }
    rest = {"$ref": f"#/definitions/any.{word}"}
    return {"type": ["object", "null"], "properties": known, "additionalProperties": rest}


def _struct(kind: type[msgspec.Struct]) -> Schema:
    # No `type` of its own: with `false` or nothing a part is left out or taken as it is.
    fields = {field.name: _value(field.type) for field in msgspec.structs.fields(kind)}
    return {"properties": fields, "additionalProperties": False}


def _value(kind: Any) -> Schema:
    unit = unit_of(kind)
    if unit is not None:
        return {"$ref": f"#/definitions/{'size' if unit == 'bytes' else 'time'}"}
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _value(inner[0]) | _limits(inner[1:])
    if origin in (Union, types.UnionType):
        forms = [{"type": "null"} if one is types.NoneType else _value(one) for one in inner]
        return {"anyOf": forms}
    if origin is Literal:
        return {"enum": [*inner]}
    if origin is tuple or origin is list:
        return {"type": "array", "items": _value(inner[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(inner[1])}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {"type": ["object", "null"], **_struct(kind)}
    return {"type": _PLAIN[kind]} if kind in _PLAIN else {}


def _limits(metas: tuple[Any, ...]) -> Schema:
    found: Schema = {}
    for meta in metas:
        for names in (_LIMITS, _LENGTHS):
            found |= {
                theirs: value for ours, theirs in names.items() if (value := getattr(meta, ours, None)) is not None
            }
    return found
