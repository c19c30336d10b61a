"""The collector's own session: what the samplers measure becomes rows of it, which count for every open run of the
pod.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Mapping

from wayside import wire

from ..intake import Full, Inlet, Intake, Stream
from ..spool import SpoolError
from .base import Sample
from .frames import FrameWriter

MAX_WAITING = 256  #: samples kept while the spool cannot take them: four minutes of one a second; the oldest go first

BEGIN_AGAIN = 1.0  #: seconds before the session is begun again, when there was no room for it


class SystemSession:
    """Takes samples, and stores them as rows until cancelled. dropped: samples that waited too long, were not stored,
    or are no rows.
    """

    def __init__(self, intake: Intake, environ: Mapping[str, str]) -> None:
        self.dropped = 0
        self._intake = intake
        self._writer = FrameWriter()
        self._stream = Stream()
        self._waiting: list[tuple[Sample, float]] = []
        self._devices: dict[str, dict[str, str]] = {}
        self._wake = asyncio.Event()
        pod = {key: environ.get(f"POD_{key.upper()}") for key in ("name", "uid", "namespace")}
        self._record = {
            "session": secrets.token_hex(16),
            "run": {"id": "system", "name": "system"},
            "kind": "system",
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": time.time(),
            "workload": environ.get("WORKLOAD_UID") or None,
            "pod": {key: value for key, value in [*pod.items(), ("node", environ.get("NODE_NAME"))] if value},
        }

    def emit(self, sample: Sample, at: float) -> None:
        """A sampler's sample; on the event loop."""
        self._waiting.append((sample, at))
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[0]
            self.dropped += 1
        self._wake.set()

    async def run(self) -> None:
        inlet = await self._begin()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._store(inlet)
        finally:
            with contextlib.suppress(SpoolError):
                await self._intake.end(inlet, reason="stopped")

    async def _begin(self) -> Inlet:
        while True:
            with contextlib.suppress(SpoolError, Full):
                return await self._intake.begin(self._record)
            await asyncio.sleep(BEGIN_AGAIN)

    async def _store(self, inlet: Inlet) -> None:
        samples, self._waiting = self._waiting, []
        # What could not be stored has no second try here: its numbers are spent, and samples are dropped before
        # scalars anyway.
        frames = b"".join(self._frames(sample, at) for sample, at in samples)
        inlet.take(self._stream, frames)
        try:
            await self._intake.store([inlet])
        except SpoolError:
            self.dropped += len(samples)
            self._stream = inlet.stream()
            self._devices.clear()  # what they are was not stored either
            self._writer.announce_again()

    def _frames(self, sample: Sample, at: float) -> bytes:
        frames = b""
        fresh = {name: about for name, about in sample.devices.items() if self._devices.get(name) != about}
        if fresh:
            self._devices.update(fresh)
            frames = self._writer.event(at, None, "device", dict(fresh))
        if sample.metrics:
            try:
                frames += self._writer.row(at, None, sample.metrics)
            except wire.WireError:
                self.dropped += 1
        return frames
