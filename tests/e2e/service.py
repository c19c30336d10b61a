"""What a Kubernetes Service is to its clients: one address, and connections handed to one replica or another."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Sequence


class Service:
    """Hands each connection to the next of these ports that answers, and cuts it off after so many bytes: so that the
    next request of the same client meets another replica, and an answer is lost now and then.
    """

    def __init__(self, ports: Sequence[int], cut_after: int = 200_000) -> None:
        self.port = 0
        self._ports = itertools.cycle(ports)
        self._count = len(ports)
        self._cut_after = cut_after
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> "Service":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()

        def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._carry(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            for _ in range(self._count):
                with contextlib.suppress(OSError):
                    back_reader, back_writer = await asyncio.open_connection("127.0.0.1", next(self._ports))
                    break
            else:
                writer.close()
                return
            left = [self._cut_after]
            ways = [_pipe(reader, back_writer, left), _pipe(back_reader, writer, left)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                for each in (writer, back_writer):
                    each.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int]) -> None:
    while left[0] > 0 and (data := await reader.read(65536)):
        left[0] -= len(data)
        writer.write(data)
        await writer.drain()
