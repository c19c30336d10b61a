"""Sources that go and get rows elsewhere: started, and exchanged while the others go on.

Such a source has `run`, which goes on until it is cancelled and never raises for what its other side does, and
`health`, a dataclass of plain values for `/status`.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol


class Source(Protocol):
    """One of them."""

    health: Any

    async def run(self) -> None: ...


class Sources:
    """By name."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[Source, asyncio.Task[None]]] = {}

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter([(name, source.health) for name, (source, _) in self._running.items()])

    def start(self, name: str, source: Source, group: asyncio.TaskGroup) -> None:
        """From now on."""
        self._running[name] = source, group.create_task(source.run(), name=f"source-{name}")

    async def stop(self, name: str) -> None:
        """What it has taken is stored or was never acknowledged."""
        _, task = self._running[name]
        task.cancel()
        await asyncio.wait([task])
        del self._running[name]

    async def stop_all(self) -> None:
        """All of them, at once."""
        await asyncio.gather(*(self.stop(name) for name, _ in self))
