"""What PEFT Studio's service needs of a collector, put together from its parts."""

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from typing import Any

from .assembly import Parts
from .session import Run
from .store import Reader
from .store.answers import Comparison
from .web.api import Readers
from .web.ingest.runs import Runs
from .web.peft import Studio, Surroundings

OWNER = "peft-studio"  #: of its settings in the spool


def studio_of(
    parts: Parts,
    readers: Readers,
    hand_over: Callable[[str], Awaitable[None]],
    status: Callable[[], dict[str, Any]],
) -> Studio:
    def page(run: Run) -> str | None:
        names = {sink.name for sink in parts.wandb_sinks()}
        sinks: list[Any] = [pump.sink for pump in parts.pumps if pump.name in names]
        return next((found for sink in sinks if (found := sink.page(run)) is not None), None)

    def available() -> bool:
        spec = importlib.util.find_spec("wandb") if parts.wandb_sinks() else None
        return spec is not None and spec.origin is not None  # a folder that the SDK made is no package

    async def ask(question: Callable[[Reader], Comparison]) -> Comparison:
        return await readers.ask(question, heavy=True)

    async def keep(settings: bytes) -> None:
        await asyncio.wrap_future(parts.spool.keep_state(OWNER, [("settings", settings)]))

    def sinks() -> dict[str, Any]:
        shown = ("waiting", "dropped", "last_error")
        return {name: {key: told.get(key) for key in shown} for name, told in status()["sinks"].items()}

    around = Surroundings(
        registry=parts.registry,
        page=page,
        available=available,
        hand_over=hand_over,
        ask=ask,
        keep=keep,
        kept=lambda: parts.spool.state(OWNER).get("settings"),
        sinks=sinks,
    )
    return Studio(Runs(parts.posted), around)
