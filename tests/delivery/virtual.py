"""Time that passes only when nothing else is left to do: an event loop whose sleeps take none.

Threads are left out too: what is handed to one runs at once. So whatever a pump does, backoffs of a minute and sends
that hang for five, happens in the same order every time, and in no time.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any

T0 = 1_767_225_600.0  #: Unix time in seconds at which every virtual loop begins


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Never waits: what it should have waited is added to the clock."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        found: list[Any] = super().select(0)
        if not found:
            assert timeout is not None, "everything waits for something that will never come"
            self.passed += max(0.0, timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed

    def now(self) -> float:
        """Unix time in seconds."""
        return T0 + self.time()

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as problem:  # noqa: BLE001 -- as a thread's future does
            future.set_exception(problem)
        return future


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story())


def now() -> float:
    """Unix time in seconds of the running virtual loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.now()
