"""`run`: collects and delivers until told to stop."""

import argparse
import asyncio
from collections.abc import Mapping

from ..configuration import config
from ..configuration.changes import Loaded, read
from ..log import set_up_log
from .base import Command, add_config
from .life import guarded, signals
from .notify import Notifier


def _run(chosen: argparse.Namespace) -> int:
    loaded = read(chosen.config, config.environment())
    set_up_log(loaded.config)
    return guarded(lambda: serve(loaded, config.environment()))


async def serve(loaded: Loaded, environ: Mapping[str, str]) -> int:
    """Collect until SIGTERM or SIGINT; a second signal stops at once, SIGHUP reads the configuration again."""
    from ..daemon import Collector

    collector = Collector(loaded, environ=environ)
    async with collector.opened():
        stop = asyncio.Event()
        with signals(stop, collector.reload.ask):
            notifier = Notifier(environ)
            async with notifier.telling(collector.parts.ready, stop), asyncio.TaskGroup() as group:
                if loaded.config.top.adopt.below:
                    from .adopting import Adopter

                    group.create_task(Adopter(collector).run(stop), name="adopting")
                await collector.run(stop)
    return 0


COMMAND = Command(
    "run",
    "collect and deliver until told to stop",
    {
        "wayside-collector run": "with nothing configured: /metrics, and files below ./.wayside",
        "wayside-collector run --config wayside.yaml": "with a configuration",
        "kill -HUP PID": "read the configuration again; a changed file is noticed by itself",
        "WAYSIDE_LOG__LEVEL=debug wayside-collector run": "any option can come from the environment",
    },
    add_config,
    _run,
)
