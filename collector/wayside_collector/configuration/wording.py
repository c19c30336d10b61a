"""What an option may be, and what it was given, in the words of those who write configurations: text and lists, sizes
and times, never the names of a language's types. Pure.
"""

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from wayside.variables import nearest

from .units import MAX_BYTES, MAX_SECONDS, show_seconds, show_size, unit_of

_PLAIN = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_MANY = {str: "texts", int: "whole numbers", float: "numbers"}
_LIMITS = {MAX_BYTES, MAX_SECONDS, 0, 2**31 - 1}  # against slips of the pen: nobody asked for them


def form_of(kind: Any) -> str:
    """What an option of this type must be."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _annotated(kind, inner[0], next(meta for meta in inner[1:] if isinstance(meta, msgspec.Meta)))
    if origin in (Union, types.UnionType):
        forms = [form_of(one) for one in inner if one is not types.NoneType]
        return " or ".join(dict.fromkeys(forms))
    if origin is Literal:
        return _either([str(one) for one in inner])
    if origin is tuple:
        return f"a list of {_many(inner[0])}"
    if origin is dict:
        return "names and values, like {name: value}"
    return _PLAIN.get(kind, "text")


def words_of(kind: Any) -> list[str]:
    """The words that an option of this type is chosen from; none where it is no such option."""
    if get_origin(kind) is Literal:
        return [str(one) for one in get_args(kind)]
    return [word for inner in get_args(kind) for word in words_of(inner)] if get_args(kind) else []


def unlike(kind: Any, value: Any) -> str:
    """What such an option was given instead, without repeating any of it but a number, or a text that is short."""
    for number, item, form in _items(kind, value):
        if not _fits(item, form):
            return f"{number} is {show(item)}"
    near = nearest(value, words_of(kind)) if isinstance(value, str) else None
    return f"it is {show(value)}" + (f": did you mean {near}?" if near else "")


def kind_of(value: Any) -> str:
    """What a value is, without saying it: whole branches stand here, and a key may be in them."""
    words = {dict: "names and values", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return words.get(type(value), "a number" if isinstance(value, int | float) else "a date or the like")


def show(value: Any) -> str:
    """A value for an error text; nothing long, and nothing that may be a secret's whole."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, dict | list | tuple | set):
        return kind_of(value)
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of more than 64 bits"  # which Python may refuse to write out
    if not isinstance(value, str | int | float):
        return kind_of(value)
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def known_names(asked: object, known: Sequence[str]) -> str:
    """What names there are, the one first that was probably meant."""
    near = nearest(asked, known) if isinstance(asked, str) else None
    hint = f"did you mean {near}? " if near else ""
    return f"{hint}known are {', '.join(sorted(known))}"


def _annotated(kind: Any, inner: Any, meta: msgspec.Meta) -> str:
    unit = unit_of(kind)
    example = {"bytes": "a size like 256MiB", "seconds": "a time like 30s"}.get(unit or "")
    form = meta.description or example or (f"text of the form {meta.pattern}" if meta.pattern else form_of(inner))

    def number(value: float) -> str:
        shown = {"bytes": show_size, "seconds": show_seconds}.get(unit or "", str)(value)
        return shown.replace(".0 ", "").replace(" ", "")  # as one may write it there

    shortest, longest = (str(one) if one is not None else None for one in (meta.min_length, meta.max_length))
    low = next((number(one) for one in (meta.ge, meta.gt) if one is not None and one not in _LIMITS), shortest)
    low = None if unit == "bytes" and meta.ge == 1 else low
    high = next((number(one) for one in (meta.le, meta.lt) if one is not None and one not in _LIMITS), longest)
    of = " characters" if meta.max_length is not None else ""
    if low is not None and high is not None:
        return f"{form}, {low} to {high}{of}"
    if meta.gt == 0 and high is None:
        return f"{form}, more than zero"
    return form + (f", at least {low}{of}" if low is not None else f", at most {high}{of}" if high is not None else "")


def _many(kind: Any) -> str:
    """Several of a kind."""
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_many(one) for one in get_args(kind))
    inner = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return _MANY.get(inner, "values")


def _items(kind: Any, value: Any) -> list[tuple[str, Any, Any]]:
    """The parts of a list or a mapping: what each is called, the part, and what it must be."""
    inner = get_args(kind)
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        return [(f"item {number} of the list", item, inner[0]) for number, item in enumerate(value, 1)]
    if get_origin(kind) is dict and isinstance(value, Mapping):
        keys = [(f"name {number}", key, inner[0]) for number, key in enumerate(value, 1)]
        return keys + [(f"the value of name {number}", one, inner[1]) for number, one in enumerate(value.values(), 1)]
    return []


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
