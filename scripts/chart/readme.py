"""The chart's README: a text written by hand, and a table of all values with their defaults and comments.

A value's comment is what stands above it in `values.yaml`; a value without one is told of by the group it stands in.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

SECTION = re.compile(r"^# --- (.+?) -+$")
KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):(.*)$")
PLACE = "<!-- values -->\n"


class Value(NamedTuple):
    """One value. path: from the root, with dots. comment: its lines, joined."""

    section: str
    path: str
    default: str
    comment: str


def make_readme(values: str, by_hand: str) -> str:
    """The file's text. by_hand: with a place for the table."""
    lines: list[str] = []
    section = None
    for value in read_values(values):
        if value.section != section:
            section = value.section
            lines += ["", f"### {section.capitalize()}", "", "| value | default | |", "|---|---|---|"]
        comment = value.comment.replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| `{value.path}` | {value.default} | {comment} |")
    return by_hand.replace(PLACE, "\n".join(lines).lstrip() + "\n")


def read_values(text: str) -> Iterator[Value]:
    """Every value down to the second level, and what stands in a group of its own below."""
    tree = yaml.safe_load(text)
    section, comment, above = "names and image", [], [""]
    for line in text.splitlines():
        if found := SECTION.match(line):
            section = found[1]
        elif line.lstrip().startswith("#"):
            comment.append(line.strip("# "))
        elif not line.strip():
            comment = []
        elif found := KEY.match(line):
            depth = len(found[1]) // 2
            above = [*above[: depth + 1], found[2]]
            default = _at(tree, above[1:])
            if depth < 2 and default is not _NOTHING:
                shown = "" if depth == 0 and isinstance(default, dict) and default else _shown(default)
                yield Value(section, ".".join(above[1:]), shown, " ".join(comment))
            comment = []
        else:
            comment = []


_NOTHING = object()


def _at(tree: object, keys: list[str]) -> object:
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            return _NOTHING
        tree = tree[key]
    return tree


def _shown(value: object) -> str:
    """A default in a cell; a group of values has none of its own."""
    if isinstance(value, dict) and len(str(value)) > 60:
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("\n...").strip()
    return "" if value in ("", None) else f"`{text}`"
