"""All samplers of one collector: started, and exchanged while the others go on."""

import asyncio
from collections.abc import Callable, Iterator

from .base import Sample, Sampler
from .sampling import SamplerHealth, run_sampler


class Samplers:
    """By name. emit: takes a sample and its Unix time, on the event loop."""

    def __init__(self, emit: Callable[[Sample, float], None]) -> None:
        self._emit = emit
        self._running: dict[str, tuple[SamplerHealth, asyncio.Task[None]]] = {}

    def __iter__(self) -> Iterator[tuple[str, SamplerHealth]]:
        return iter([(name, health) for name, (health, _) in self._running.items()])

    def start(self, name: str, sampler: Sampler, interval: float, group: asyncio.TaskGroup) -> None:
        """Sample from now on."""
        health = SamplerHealth()
        work = run_sampler(name, sampler, interval, self._emit, health)
        self._running[name] = health, group.create_task(work, name=f"sampler-{name}")

    async def stop(self, name: str) -> None:
        """Sample no more; its thread ends within seconds, or is left behind."""
        _, task = self._running[name]
        task.cancel()
        await asyncio.wait([task])
        del self._running[name]

    async def stop_all(self) -> None:
        """All of them, at once."""
        await asyncio.gather(*(self.stop(name) for name, _ in self))
