"""YAML, read so that no text can harm: what cannot be read is one kind of error that says where, and repeats nothing of
the text, since a key may stand in it. Names that stand twice are refused: YAML's own reader takes the last in silence.
"""

import re
from typing import Any

import yaml

MAX_TEXT = 256 << 10  #: characters of a configuration: hundreds of times one that people write, and seconds to read
MAX_VALUES = 20_000  #: names and values in it, those that aliases repeat included: a few lines can stand for billions
MAX_DEPTH = 20  #: of nested values; our own options are five deep

#: What YAML's reader lets through of Python's own, for `2001-99-99`, `!!int ""`, `!!timestamp x` and their like.
_READERS_OWN = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)


class BadYaml(ValueError):
    """The text is no YAML, or none for us; the message says what is wrong and where."""


class _Loader(yaml.SafeLoader):
    """PyYAML's, which also refuses what stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, "a name stands here twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(text: str) -> Any:
    """What the text says; raises BadYaml."""
    if len(text) > MAX_TEXT:
        raise BadYaml(f"{len(text)} characters long, more than the limit of {MAX_TEXT}")
    try:
        value = yaml.load(text, _Loader)  # a SafeLoader that refuses more
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
        raise BadYaml(f"{_said(problem)}{where}") from None
    except _READERS_OWN as problem:
        raise BadYaml(f"a value in it cannot be read ({type(problem).__name__})") from None
    _count(value)
    return value


def lines_of(text: str) -> dict[str, int]:
    """The line of each name in a text that `load_yaml` took: its path, with dots, to where it stands, from 1. What
    `<<` brings in stands where it was written.
    """
    found: dict[str, int] = {}
    waiting = [("", yaml.compose(text, _Loader))]
    while waiting:
        path, node = waiting.pop()
        if not isinstance(node, yaml.MappingNode):
            continue
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                waiting += [(path, one) for one in (value.value if isinstance(value, yaml.SequenceNode) else [value])]
            elif isinstance(key, yaml.ScalarNode):
                here = f"{path}.{key.value}" if path else key.value
                if here not in found:
                    found[here] = key.start_mark.line + 1
                    waiting.append((here, value))
    return found


def _said(problem: yaml.YAMLError) -> str:
    """What PyYAML says, up to where it quotes more than a mark: a key that begins with `*` or `!` would stand there."""
    text = str(getattr(problem, "problem", None) or "unreadable")
    marks_kept = re.sub(r"'(\\?.|<[a-z ]+>)'", r"`\1`", text)
    return re.split("['\"]", marks_kept)[0].rstrip(" ,;:") or "unreadable"


def _count(value: Any) -> None:
    """Walk a value as if it were copied out, without recursion; raises BadYaml at the limits."""
    count = 0
    waiting = [(value, 1)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > MAX_VALUES or depth > MAX_DEPTH:
            raise BadYaml(f"more than {MAX_VALUES} values in it, or more than {MAX_DEPTH} of them nested")
        if isinstance(value, dict):
            waiting += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list | tuple | set):
            waiting += [(inner, depth + 1) for inner in value]
