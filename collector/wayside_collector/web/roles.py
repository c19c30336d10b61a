"""What a caller may do, and the table of routes in which each names the role it needs."""

import enum
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web


class Role(enum.Flag):
    """What a caller may do. A route needs one of them, or NONE: then it is everybody's."""

    NONE = 0
    READER = enum.auto()  #: see everything
    WRITER = enum.auto()  #: send rows
    OPERATOR = enum.auto()  #: change what the collector does; only its own machine may


class Route(NamedTuple):
    """One route. needs: the role without which it is refused, on either listener. max_body: bytes its requests' bodies
    may have, decompressed; with it, the handler finds the body at `request[BODY]` (`body.py`). scoped: whether the
    handler keeps to the caller's namespace (`request[NAMESPACE]`, `access.py`); callers with one are refused elsewhere.
    """

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    needs: Role
    max_body: int | None = None
    scoped: bool = False
