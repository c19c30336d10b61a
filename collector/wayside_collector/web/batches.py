"""`POST /api/v1/batches`: where other collectors' gateway sinks deliver. The format stands in `relay.py`.

Each answer is signed with the versions this gateway reads, so that a sink knows a gateway's word from that of something
on the way.
"""

import asyncio

import msgspec
from aiohttp import hdrs, web

from ..relay import MAX_BODY, VERSIONS, Receipt, Unreadable, decode
from ..sources.gateway import Busy, GatewaySource
from .access import NAMESPACE
from .body import BODY
from .roles import Role, Route

PATH = "/api/v1/batches"


def batch_routes(source: GatewaySource) -> list[Route]:
    async def take(request: web.Request) -> web.StreamResponse:
        try:
            source.check_room()
            delivery = await asyncio.to_thread(decode, request[BODY])
            return _answer(await source.take(delivery, request[NAMESPACE]))
        except Unreadable as problem:
            return _answer(Receipt(list(VERSIONS), error=str(problem)), 422 if problem.known else 400)
        except Busy as problem:
            headers = {str(hdrs.RETRY_AFTER): str(problem.retry_after)}
            return _answer(Receipt(list(VERSIONS), error=str(problem)), 503, headers)

    return [Route("POST", PATH, take, Role.WRITER, max_body=MAX_BODY, scoped=True)]


def _answer(receipt: Receipt, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(receipt)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
