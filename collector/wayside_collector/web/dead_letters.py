"""Dead letters over HTTP, for `wayside-collector dead-letters` beside a running collector: `/api/v1/dead-letters`.

    GET  /api/v1/dead-letters?sink=&run=&reason=&since=&until=&limit=    the oldest of them, and how many there are
    GET  /api/v1/dead-letters/{id}                                       one of them, with what was refused
    POST /api/v1/dead-letters/replay   {"sink": …, "ids": […], …}        they go to their sink once more
    POST /api/v1/dead-letters/drop     likewise                          they are removed for good

A body that names nothing means all of them, and must say so: {"all": true}.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from ..delivery.dead_letters import DeadLetters, Impossible, Wanted
from ..spool import SpoolError
from .roles import Role, Route

LIMIT = 100  #: letters in an answer, when nothing else is asked for

_PATH = "/api/v1/dead-letters"


def dead_letter_routes(letters: DeadLetters) -> list[Route]:
    async def list_them(request: web.Request) -> web.Response:
        query: dict[str, Any] = dict(request.query)
        limit = msgspec.convert(query.pop("limit", LIMIT), int, strict=False)
        return _json(await letters.find(msgspec.convert(query, Wanted, strict=False), limit))

    async def show(request: web.Request) -> web.Response:
        return _json(await letters.show(int(request.match_info["id"])))

    async def replay(request: web.Request) -> web.Response:
        return _json(await letters.replay(await _wanted(request)))

    async def drop(request: web.Request) -> web.Response:
        return _json(await letters.drop(await _wanted(request)))

    return [
        Route("GET", _PATH, _answering(list_them), Role.READER),
        Route("GET", _PATH + r"/{id:[0-9]{1,18}}", _answering(show), Role.READER),
        Route("POST", f"{_PATH}/replay", _answering(replay), Role.OPERATOR),
        Route("POST", f"{_PATH}/drop", _answering(drop), Role.OPERATOR),
    ]


async def _wanted(request: web.Request) -> Wanted:
    """What a body names. Raises msgspec.ValidationError or msgspec.DecodeError."""
    found = msgspec.json.decode(await request.read())
    if not isinstance(found, dict) or not found:
        raise msgspec.ValidationError('say which: {"sink": "lens"}, or all of them: {"all": true}')
    if found.pop("all", False) is not True and not found:
        raise msgspec.ValidationError('say which: {"sink": "lens"}, or all of them: {"all": true}')
    return msgspec.convert(found, Wanted)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


def _answering(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What can go wrong, in words and with its status."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except msgspec.MsgspecError as problem:
            return _json({"error": str(problem)}, 400)
        except Impossible as problem:
            return _json({"error": str(problem)}, 409)
        except SpoolError as problem:
            return _json({"error": str(problem)}, 503)

    return answer
