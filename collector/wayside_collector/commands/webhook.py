"""`webhook`: puts the collector beside labelled pods of a Kubernetes cluster as they are created."""

import argparse
import asyncio
import logging
from pathlib import Path

from ..log import JsonFormatter
from .base import EXIT_CONFIG, EXIT_FAILED, Command, say
from .life import signals

LISTEN = "0.0.0.0:8443"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plan", type=Path, required=True, metavar="FILE", help="what is injected; the chart writes it"
    )
    parser.add_argument("--cert-file", required=True, metavar="FILE", help="PEM; read again when it is replaced")
    parser.add_argument("--key-file", required=True, metavar="FILE", help="PEM, without a password")
    parser.add_argument("--listen", type=_address, default=_address(LISTEN), metavar="HOST:PORT", help=LISTEN)


def _address(text: str) -> tuple[str, int]:
    host, found, port = text.rpartition(":")
    if not found or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no address: a host and a port, like {LISTEN}")
    return host.strip("[]"), int(port)


def _run(chosen: argparse.Namespace) -> int:
    from ..injection.plan import PlanError, read_plan
    from ..injection.server import make_app, serve
    from ..web.listener import Certificate

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level="INFO", handlers=[handler], force=True)
    try:
        plan = read_plan(chosen.plan)
    except PlanError as problem:
        say(str(problem))
        return EXIT_CONFIG
    certificate = Certificate(chosen.cert_file, chosen.key_file, ("--cert-file", "--key-file"))

    async def work() -> None:
        stop = asyncio.Event()
        with signals(stop):
            await serve(make_app(plan), chosen.listen, certificate, stop)

    try:
        asyncio.run(work())
    except OSError as problem:
        say(str(problem))
        return EXIT_FAILED
    return 0


COMMAND = Command(
    "webhook",
    "put the collector beside labelled pods as Kubernetes creates them",
    {
        "wayside-collector webhook --plan injection.yaml --cert-file tls.crt --key-file tls.key": (
            "answers the API server, at https://…:8443/inject"
        )
    },
    _arguments,
    _run,
)
