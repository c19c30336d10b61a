"""Metrics under the names they were logged with, in one of the schemes that a scraper may ask for. Pure.

The schemes are those of Prometheus ("UTF-8 metric and label name escaping schemes"); as in its own libraries they touch
only names that the legacy character set does not have.
"""

import re
from collections.abc import Iterable

from ..names import candidates, claims, escape
from .page import Shot

_LEGACY = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_FIT = re.compile(r"[a-zA-Z0-9:]")


def renamed(shots: Iterable[Shot], scheme: str) -> list[Shot]:
    """The page with metrics as `scheme` has them. Two of which a scheme makes one are kept apart by a suffix."""
    shots = list(shots)
    taken = {name for shot in shots if shot.exact is None for name in claims(shot.name, "gauge")}
    found = []
    for shot in shots:
        if shot.exact is not None:
            names = candidates(escape_name(shot.exact, scheme), "gauge", shot.exact)
            name = next(name for name in names if name not in taken)
            taken.add(name)
            shot = _with_name(shot, name)
        found.append(shot)
    return found


def escape_name(name: str, scheme: str) -> str:
    if scheme == "allow-utf-8" or _LEGACY.fullmatch(name):
        return name
    if scheme == "values":
        return "U__" + "".join(_value(letter) for letter in name)
    return "".join(_dotted(letter) for letter in name)


def _value(letter: str) -> str:
    return letter if _FIT.match(letter) else "__" if letter == "_" else f"_{ord(letter):x}_"


def _dotted(letter: str) -> str:
    return letter if _FIT.match(letter) else "_dot_" if letter == "." else "__"


def _with_name(shot: Shot, name: str) -> Shot:
    if _LEGACY.fullmatch(name):
        shown, begun, series = name, name, shot.series
    else:  # the name stands in quotes, and of a sample among the labels
        shown = f'"{escape(name)}"'
        begun = "{" + shown
        series = {_behind(labels): value for labels, value in shot.series.items()}
    text, openmetrics = (_headed(header, shot.name, shown) for header in shot.headers)
    return Shot((text, openmetrics), begun, series, shot.exact)


def _behind(labels: str) -> str:
    return "," + labels[1:] if labels.startswith("{") else "} "


def _headed(header: str, old: str, new: str) -> str:
    return header.replace(f"# HELP {old} ", f"# HELP {new} ", 1).replace(f"# TYPE {old} ", f"# TYPE {new} ", 1)
