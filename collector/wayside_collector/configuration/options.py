"""Values as they stand in a file or the environment, turned into the frozen options of one part, with all that is wrong
with them found at once. Pure; which parts there are, and where values come from, is the business of `config.py`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from .units import parse_duration, parse_size, unit_of
from .wording import form_of, kind_of, known_names, show, unlike
from .yaml_text import BadYaml, load_yaml

#: Options whose values no error repeats.
SECRET = re.compile(r"key|token|secret|password|header|proxy|\burl$", re.IGNORECASE)


class Text(str):
    """A value from the environment: text, or what YAML reads in it, whichever the option takes."""


@dataclass(slots=True)
class Problems:
    found: list[str] = field(default_factory=list)

    def add(self, path: str, message: str) -> None:
        self.found.append(f"{path}: {message}" if path else message)


def read_struct(kind: type[msgspec.Struct], values: Any, path: str, problems: Problems) -> msgspec.Struct | None:
    """A struct from a mapping, field by field, so that one problem does not hide the next; None when there was one."""
    if isinstance(values, Text):
        values = read_text(values)
    if not isinstance(values, dict):
        problems.add(path, f"must be names and values, not {kind_of(values)}")
        return None
    before = len(problems.found)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for key in values:
        if key not in fields:
            problems.add(_join(path, key), f"unknown option; {known_names(key, list(fields))}")
    given: dict[str, Any] = {}
    for name, known in fields.items():
        if name in values:
            count = len(problems.found)
            value = _value(known.type, values[name], _join(path, name), problems)
            if len(problems.found) == count:
                given[name] = value
        elif known.required:
            problems.add(_join(path, name), "is required")
    return _checked(kind, given, path, problems, clean=len(problems.found) == before)


def _checked(
    kind: type[msgspec.Struct], given: dict[str, Any], path: str, problems: Problems, *, clean: bool
) -> msgspec.Struct | None:
    """The struct of these values, and what the part knows of them beyond their types. Not `clean`: some could not be
    taken, and only what is said of those that could is told.
    """
    try:
        built = kind(**given)
    except (ValueError, TypeError) as problem:
        if clean:
            problems.add(path, str(problem))
        return None
    check = getattr(built, "check", None)
    for message in check() if check is not None else ():
        if clean or message.partition(":")[0] in given:  # each text begins with an option's name
            problems.add("", _join(path, message))
    return built if clean else None


def _value(kind: Any, value: Any, path: str, problems: Problems) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return read_struct(kind, value, path, problems)
    candidates = [value]
    if isinstance(value, Text):
        candidates = [str(value), read_text(value)]
    for candidate in candidates:
        try:
            return msgspec.convert(_with_unit(kind, candidate), kind)
        except ValueError:  # msgspec's own is one
            continue
    found = "what it is, is not shown" if SECRET.search(path) else unlike(kind, candidates[-1])
    problems.add(path, f"must be {form_of(kind)}; {found}")
    return None


def read_text(text: str) -> Any:
    """What YAML reads in a text; the text itself where it reads nothing, as in `[::]:9750`, which is a good address."""
    try:
        return load_yaml(text)
    except BadYaml:
        return str(text)


def _with_unit(kind: Any, value: Any) -> Any:
    """A value as a plain number where the option is a size or a time; raises ValueError."""
    unit = unit_of(kind)
    if unit is None or not isinstance(value, str):
        return value
    if unit == "bytes":
        return parse_size(value)
    number = parse_duration(value)
    return int(number) if number.is_integer() else number  # whole, since an option may take whole seconds only


def _join(path: str, key: object) -> str:
    name = key if isinstance(key, str) else show(key)
    return f"{path}.{name}" if path else name


def is_below(option: str, branches: Iterable[str]) -> bool:
    """Whether an option stands in one of these branches."""
    return any(option.startswith(f"{branch}.") for branch in branches)


def with_place(problem: str, places: Mapping[str, str]) -> str:
    """A problem with the place of its option: its own, or that of the branch it should stand in."""
    path, colon, said = problem.partition(": ")
    above = path
    while above and above not in places:
        above = above.rpartition(".")[0]
    return f"{path} ({places[above]}){colon}{said}" if above else problem
