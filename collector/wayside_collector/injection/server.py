"""The webhook's server: `POST /inject` for the API server, `/livez` and `/readyz` for kubelet. TLS only."""

import asyncio
import logging

from aiohttp import web

from ..web.listener import Certificate
from .plan import Plan
from .review import BadReview, answer

log = logging.getLogger(__name__)

MAX_BODY = 8 << 20  #: bytes of a review; etcd takes objects of 1.5 MiB, and a review may hold one twice


def make_app(plan: Plan) -> web.Application:
    """The routes."""

    async def inject(request: web.Request) -> web.Response:
        try:
            body = answer(await request.read(), plan)
        except BadReview as problem:
            log.warning("a review was refused: %s", problem)
            return web.json_response({"error": str(problem)}, status=400)
        return web.Response(body=body, content_type="application/json")

    async def well(request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post("/inject", inject)
    app.router.add_get("/livez", well)
    app.router.add_get("/readyz", well)
    return app


async def serve(app: web.Application, address: tuple[str, int], certificate: Certificate, stop: asyncio.Event) -> None:
    """Answer until told to stop; a certificate that is replaced is used from then on. Raises OSError in words."""
    context = await asyncio.to_thread(certificate.context)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, *address, ssl_context=context)
        await site.start()
        host, port = runner.addresses[0][:2]
        log.info("injecting at https://%s:%d/inject", f"[{host}]" if ":" in host else host, port)
        watching = asyncio.create_task(certificate.watch(context), name="certificate")
        await stop.wait()
        watching.cancel()
    finally:
        await runner.cleanup()
