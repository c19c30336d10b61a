"""OTLP's one route for metrics, `/v1/metrics`, in protobuf or JSON, and what its specification wants answered: 200,
with what was not taken of a request that was; 400 for what can never be taken; 429 for what may be sent again.

The schema is a package of its own (`wayside-collector[otlp]`), imported with the first request.
"""

import json
from importlib import import_module
from types import ModuleType

from aiohttp import hdrs, web

from ...sources.posted import PostedSessions
from ..body import BODY, BadBody
from ..roles import Role, Route
from .otlp import OtlpRuns, Taken
from .pacing import BYTES, paced
from .refusing import refusing
from .routes import MAX_BODY, caller

_JSON = "application/json"
_PROTOBUF = "application/x-protobuf"


def otlp_routes(posted: PostedSessions) -> list[Route]:
    runs = OtlpRuns(posted)

    async def metrics(request: web.Request) -> web.Response:
        kind = request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
        is_json = kind == _JSON
        try:
            if kind not in (_JSON, _PROTOBUF):
                raise BadBody(415, f"Content-Type {kind[:80]!r} is not taken: send {_PROTOBUF} or {_JSON}")
            form = await _load_form()
            body = request[BODY]
            try:
                found = await paced(len(body) > BYTES, form.read_request, body, is_json)
            except form.Malformed as problem:
                raise BadBody(problem.status, str(problem)) from None
            with refusing():
                taken = await runs.take(found, caller(request))
        except BadBody as problem:
            return _refusal(problem, is_json)
        return _answer(taken, is_json)

    return [Route("POST", "/v1/metrics", metrics, Role.WRITER, MAX_BODY, scoped=True)]


async def _load_form() -> ModuleType:
    """Raises BadBody."""
    try:
        return await paced(True, import_module, f"{__package__}.otlp_form")
    except ImportError as problem:
        raise BadBody(501, f"no OTLP here: pip install 'wayside-collector[otlp]' ({problem})") from problem


def _answer(taken: Taken, is_json: bool) -> web.Response:
    """An ExportMetricsServiceResponse; an empty one says that all was taken."""
    said = "; ".join(taken.problems)[:2000]
    if is_json:
        told = {"partialSuccess": {"rejectedDataPoints": str(taken.refused), "errorMessage": said}}
        return web.json_response(told if taken.refused else {})
    partial = b"\x08" + _varint(taken.refused) + _text(2, said)
    return web.Response(
        body=b"\x0a" + _varint(len(partial)) + partial if taken.refused else b"", content_type=_PROTOBUF
    )


def _refusal(problem: BadBody, is_json: bool) -> web.Response:
    """A `google.rpc.Status`: {1: code, 2: message}, the code left out as the specification allows."""
    if is_json:
        body, kind = json.dumps({"message": str(problem)}).encode(), _JSON
    else:
        body, kind = _text(2, str(problem)), _PROTOBUF
    return web.Response(body=body, status=problem.status, headers=problem.headers, content_type=kind)


def _text(field: int, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return bytes((field << 3 | 2,)) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
