"""What is asked: path and query of a request, as the struct that an endpoint declares for it. Pure.

A field of type tuple may be given several times; any other once. Text becomes the field's type here, and what cannot
is told with the parameter's name.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeVar, get_args, get_origin

import msgspec

from ...configuration.wording import show


class BadQuestion(ValueError):
    """What is asked makes no sense; the text is for whoever asks."""


class Query(Protocol):
    """The query string's values, as `multidict` has them."""

    def getall(self, key: str, /) -> list[str]: ...
    def __iter__(self) -> Any: ...


Asked = TypeVar("Asked", bound=msgspec.Struct)


def read_asked(
    kind: type[Asked], path: Mapping[str, str], query: Query, *, free: str = "", strict: bool = True
) -> Asked:
    """free: how parameters begin that the struct takes whole, as a mapping, in the field of that name. Not `strict`:
    unknown parameters are not looked at, and of one that is given several times the first counts, as in Lens. Raises
    BadQuestion.
    """
    values: dict[str, Any] = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in dict.fromkeys(query):
        given = query.getall(name)
        if free and name.startswith(f"{free}.") and len(name) > len(free) + 1:
            values.setdefault(free, {})[name[len(free) + 1 :]] = _single(name, given)
        elif name in fields and name not in path and name != free:
            several = get_origin(_bare(fields[name].type)) is tuple
            values[name] = given if several else _single(name, given if strict else given[:1])
        elif strict:
            known = sorted((fields.keys() - path.keys() - {free}) | ({f"{free}.KEY"} if free else set()))
            raise BadQuestion(f"{show(name)}: unknown parameter; known are {', '.join(known) or 'none'}")
    values.update(path)
    for name in values:
        values[name] = _converted(fields[name].type, name, values[name])
    missing = [name for name, field in fields.items() if field.required and name not in values]
    if missing:
        raise BadQuestion(f"{', '.join(missing)}: must be given")
    return kind(**{fields[name].name: value for name, value in values.items()})


def _single(name: str, given: list[str]) -> str:
    if len(given) > 1:
        raise BadQuestion(f"{name}: is given {len(given)} times, and may be once")
    return given[0]


def _converted(kind: Any, name: str, value: Any) -> Any:
    try:
        found = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as problem:
        text = str(problem).partition(" - at")[0]
        if text.startswith("Invalid enum value"):
            text = f"must be one of: {', '.join(_words(kind))}"
        shown = show(value if isinstance(value, str) or len(value) != 1 else value[0])
        raise BadQuestion(f"{name}: {text}; it is {shown}") from None
    if found is None or (isinstance(found, float) and found != found):  # which "null" and "nan" are taken for
        raise BadQuestion(f"{name}: must be given or left out; it is {show(value)}")
    return found


def _words(kind: Any) -> list[str]:
    """What a parameter of this type may be."""
    if kind is int:
        return ["a whole number"]
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [word for inner in get_args(kind) for word in _words(inner)]


def _bare(kind: Any) -> Any:
    """A type without what is annotated."""
    return getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
