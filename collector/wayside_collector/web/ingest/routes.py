"""Our own form of ingest, below `/api/v1` and `/v1`; what each takes and answers stands in docs/sources/http.md.

POST /runs                     begin a run
POST /runs/{id}/log            rows
POST /runs/{id}/config         an object whose keys are set
POST /runs/{id}/summary        likewise
POST /runs/{id}/alert          {"title": …, "text": …, "level": "INFO" | "WARN" | "ERROR"}
POST /runs/{id}/finish         {"exit_code": 0}
"""

import socket
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import hdrs, web
from wayside import row

from ...configuration.access import is_loopback
from ...session import id_within
from ..access import NAMESPACE
from ..body import BODY, BadBody
from ..roles import Role, Route
from .pacing import BYTES, paced
from .refusing import refusing
from .rows import MAX_TOLD, Unfit, parse, read_object
from .runs import Caller, NewRun, Runs

MAX_BODY = 4 << 20  #: of a request: ten thousand rows of thirty metrics
PREFIXES = ("/api/v1", "/v1")

_TYPES = frozenset({"", "application/json", "application/x-ndjson", "application/jsonl", "application/octet-stream"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Kind = TypeVar("Kind")


class Alert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `…/alert` takes."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    text: Annotated[str, msgspec.Meta(max_length=65536)] = ""
    level: Literal["INFO", "WARN", "ERROR"] = "INFO"


ExitCode = Annotated[int, msgspec.Meta(gt=-(1 << 31), lt=1 << 31)]


class Finish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `…/finish` takes."""

    exit_code: ExitCode = 0


def run_routes(runs: Runs) -> list[Route]:
    async def create(request: web.Request) -> web.Response:
        id, begun = await runs.create(convert(read_object(request[BODY]), NewRun), caller(request))
        return web.json_response({"run": id, "begun": begun, "page": f"/runs/{id}"}, status=201 if begun else 200)

    async def log(request: web.Request) -> web.Response:
        kind = request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
        if kind not in _TYPES:
            raise BadBody(
                415, f"Content-Type {kind[:80]!r} is not taken: send application/json or application/x-ndjson"
            )
        id, body, query = request.match_info["id"], request[BODY], dict(request.query)
        parsed = await paced(len(body) > BYTES, parse, body, query, id)
        taken = await runs.log(id, parsed, caller(request))
        if parsed.problems and not taken.accepted and not taken.doubles:
            return web.json_response({"error": parsed.problems[0].text, **_told(parsed.problems)}, status=422)
        return web.json_response({"run": _known(request), **msgspec.to_builtins(taken), **_told(parsed.problems)})

    def telling(kind: str) -> Handler:
        async def tell(request: web.Request) -> web.Response:
            found = read_object(request[BODY])
            data = msgspec.to_builtins(convert(found, Alert)) if kind == row.ALERT else {"set": found, "remove": []}
            await runs.tell(request.match_info["id"], kind, data, caller(request))
            return web.json_response({"run": _known(request), "accepted": 1})

        return tell

    async def finish(request: web.Request) -> web.Response:
        asked = convert(read_object(request[BODY]), Finish)
        ended = await runs.finish(request.match_info["id"], asked.exit_code, caller(request))
        if not ended:
            raise BadBody(404, f"no run {request.match_info['id']!r:.80} is open that is posted here")
        return web.json_response({"run": _known(request), "ended": ended})

    handlers = {
        "/runs": create,
        "/runs/{id}/log": log,
        "/runs/{id}/config": telling(row.CONFIG),
        "/runs/{id}/summary": telling(row.SUMMARY),
        "/runs/{id}/alert": telling(row.ALERT),
        "/runs/{id}/finish": finish,
    }
    return [
        Route("POST", prefix + path, answering(handler), Role.WRITER, MAX_BODY, scoped=True)
        for prefix in PREFIXES
        for path, handler in handlers.items()
    ]


def caller(request: web.Request) -> Caller:
    """Who sends."""
    peer = request.remote or ""
    return Caller(socket.gethostname() if is_loopback(peer) else peer, request[NAMESPACE])


def _known(request: web.Request) -> str:
    """The run that the address names, as it can be asked for."""
    return id_within(request[NAMESPACE], request.match_info["id"])


def answering(handler: Handler) -> Handler:
    """What can go wrong, in words and with its status."""

    async def answer(request: web.Request) -> web.StreamResponse:
        with refusing():
            try:
                return await handler(request)
            except Unfit as problem:
                raise BadBody(problem.status, str(problem)) from None

    return answer


def _told(problems: list[Any]) -> dict[str, Any]:
    return {"refused": len(problems), "problems": [{"row": p.place, "error": p.text} for p in problems[:MAX_TOLD]]}


def convert(value: Any, kind: type[Kind]) -> Kind:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeError) as problem:  # the latter of a lone surrogate
        raise Unfit(422, str(problem)) from None
