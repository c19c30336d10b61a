"""Reading back what delivery keeps in the spool as JSON: of the shape it was written in, or damaged. Pure."""

from typing import TypeVar

import msgspec

Shape = TypeVar("Shape")


class BadText(Exception):
    """A kept text that nobody wrote like that; the message says where it is wrong."""


def parse(text: str | bytes, shape: type[Shape]) -> Shape:
    """Raises BadText."""
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as problem:
        raise BadText(str(problem)) from None
