"""What an endpoint is: one declaration, from which come its routes, its checks and its part of the OpenAPI document."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from ...store import Reader

COMMAS = "x-commas"  #: in the schema of a parameter of several values: they stand in one, with commas between
Lens = Literal["configured", "envelope"]


class Endpoint(NamedTuple):
    """A question that may be asked by GET. path: below `/api/v1`. asked: a struct of its path's and query's
    parameters. told: the type of its answer. answer: called in a thread; raises what `Reader` does, and BadQuestion.
    heavy: it may take seconds. free: see `read_asked`. lens: one of Primus Lens's, with its manners; and how its body
    comes when nobody says.
    """

    path: str
    summary: str
    asked: type[msgspec.Struct]
    told: Any
    answer: Callable[[Reader, Any], Any]
    heavy: bool = False
    free: str = ""
    lens: Lens | None = None
