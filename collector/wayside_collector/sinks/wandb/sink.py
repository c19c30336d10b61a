"""The W&B sink: what a send is, from the parcel to what the pump is told.

**Exactly once.** A row's identity at W&B is run and `_step`. A send opens the runs it needs (`runs`), numbers the rows
(`flight`), writes to the ledger which row has which number, syncs it, hands the rows to the SDK in the child, and
waits: online until the relay has seen W&B answer the request that carried them, offline until they stand in the run's
file and that is synced. After a crash of the child, of wandb-core, of the collector, or of all, the run is opened
again and says up to which `_step` it has rows: of those that the ledger saw leave, the ones up to it have arrived, the
others have not, and are numbered anew when the pump brings them again. How they are then cut into parcels or merged
into steps does not matter: the ledger goes by seq. A request still under way when the collector died may reach W&B
late; it overwrites lines with the same lines, since those carry their numbers. System metrics likewise, by number of
line. What a config, a summary, a definition says may be said twice; an alert on its way at a crash may come twice.
Rows that come again since a commit failed are known by `Runs.delivered`.
"""

import asyncio
import contextlib
import importlib.util
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from ...session import Run
from ..base import Changes, Context, Parcel, Retry, Traits
from .asked import leaves_out
from .encode import encode
from .feed import Feed, Problem
from .kept import State
from .ledger import Ledger
from .limits import Limits
from .names import page
from .options import WandbOptions, read_key
from .process import Child, ChildFailed, ChildLost, reap
from .protocol import Start
from .relay import Relay
from .runs import Runs
from .sending import Sending, Tools
from .storage import trim
from .upstream import Upstream

log = logging.getLogger(__name__)

KNOWN_SDK = "0.31."  #: the SDK whose quirks were seen
CLOSE_TIMEOUT = 10.0  #: seconds that closing the runs may take; nothing depends on it but how they look at W&B
WARN_INTERVAL = 600.0  #: seconds between two warnings about the same thing that goes on


class WandbSink:
    """Feeds W&B through its SDK, in a child process, one for all runs.

    environ: where WANDB_API_KEY is looked for, and what the child's environment is made from.
    """

    traits: ClassVar[Traits] = Traits(unit="step", start="oldest", ranks="primary", system=True, leaves_out=leaves_out)

    def __init__(
        self, options: WandbOptions, limits: Limits | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._options = options
        self._limits = limits or Limits()
        self._environ = environ
        self._context = Context("wandb", Path("."))
        self._folder = Path(".")
        self._lock = asyncio.Lock()
        self._tools: Tools | None = None
        self._upstream: Upstream | None = None
        self._own_entity: str | None = None
        self._full: Problem | None = None
        self._measured = 0.0
        self._warned = -WARN_INTERVAL
        self._tender: asyncio.Task[None] | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    async def open(self, context: Context) -> None:
        """Raises Retry when wandb is not installed, or a file cannot be read."""
        await self.close()
        spec = importlib.util.find_spec("wandb")
        if spec is None or spec.origin is None:  # a folder of that name, as the SDK makes them, is no package
            raise Retry("wandb is not installed: pip install 'wayside-collector[wandb]' in the collector's environment")
        self._context = context
        self._folder = (Path(self._options.dir) if self._options.dir else context.folder).absolute()
        state = State(context.state, self._limits.known_runs)
        ledger = Ledger(context.folder)
        try:
            uncertain = await asyncio.to_thread(ledger.open, state.batch)
            await asyncio.to_thread(reap, self._processes)
        except OSError as problem:
            ledger.close()
            raise Retry(f"the W&B sink's folder {context.folder} cannot be read: {problem.strerror}") from problem
        runs = Runs(self._options, self._limits, None, state)
        runs.restore(uncertain)
        self._tools = Tools(self._options, self._limits, context, ledger, state, runs)
        self._tender = asyncio.create_task(self._tend(), name="wandb-tend")

    @property
    def _processes(self) -> Path:
        return self._context.folder / "processes"

    def page(self, run: Run) -> str | None:
        """Where the run is to be seen at W&B; None where that is not known yet."""
        relay = self._tools.runs.relay if self._tools is not None else None
        self._own_entity = (relay.entity if relay is not None else None) or self._own_entity
        return page(run, self._options, self._own_entity)

    async def _find_way(self, runs: Runs) -> None:
        """To W&B, when the first run wants there: what goes into folders needs neither key nor network."""
        try:
            upstream = Upstream(self._options, self._limits)
            upstream.use(await asyncio.to_thread(read_key, self._options, self._environ))
            await upstream.open()
        except Retry as problem:
            runs.no_way = Problem(str(problem), alone=True)
            return
        self._upstream = upstream
        if runs.child is not None:
            runs.child.secrets = upstream.secrets
        pause = max(self._limits.pause, self._options.upload_interval)
        relay = Relay(upstream, self._limits, pause, self._refused)
        await relay.start()
        runs.relay = relay

    async def close(self) -> None:
        tender, self._tender = self._tender, None
        if tender is not None:
            tender.cancel()
            await asyncio.gather(tender, return_exceptions=True)
        async with self._lock:
            tools, self._tools = self._tools, None
            if tools is not None:
                await self._close_runs(tools.runs)
                if tools.runs.relay is not None:
                    await tools.runs.relay.stop()
                await asyncio.to_thread(tools.ledger.close)
            if self._upstream is not None:
                await self._upstream.close()
                self._upstream = None

    async def _close_runs(self, runs: Runs) -> None:
        """Say good-bye to the SDK, so that run files end as they should; then end the child."""
        child = runs.child
        if child is not None and not child.gone:
            with contextlib.suppress(ChildFailed, ChildLost, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    for course in [one for one in runs.opened if not one.flight]:
                        await runs.close(course, child)
        await runs.lose()

    # --- sending -----------------------------------------------------------------------------------------------------

    async def send(self, parcel: Parcel) -> Changes:
        """Raises Retry, or Reject for rows that W&B refuses for good."""
        async with self._lock:
            tools = self._tools
            if tools is None:
                raise Retry("the W&B sink is not open")
            await self._look_at_folder(tools)
            encoded = encode(parcel, self._options, self._context.count)
            sending = Sending(tools, parcel, encoded, self._full)
            if sending.idle:
                return sending.verdict()
            if sending.uploads and tools.runs.relay is None:
                await self._find_way(tools.runs)
            try:
                await sending.run(await self._child(tools.runs))
            except (ChildLost, ChildFailed) as problem:
                sending.problems.append(Problem(str(problem)))
                await tools.runs.lose()
            if any(problem.status in (401, 403) for problem in sending.problems):
                await self._read_key_anew()
            return sending.verdict()

    async def _child(self, runs: Runs) -> Child:
        """The child, started when there is none. Raises ChildFailed or ChildLost."""
        if runs.child is not None and (runs.child.gone or runs.child.stopped or not runs.child.ready):
            log.warning("the W&B SDK gave up; it is started anew, and what it had not sent is sent again")
            await runs.lose()
        if runs.child is None:
            secrets = self._upstream.secrets if self._upstream is not None else frozenset()
            child = runs.child = Child(self._processes, secrets, runs.stir)
            options, limits = self._options, self._limits
            await child.start(
                Start(
                    str(self._folder),
                    options.upload_interval,
                    limits.flush_interval,
                    limits.init_timeout,
                    options.finish_timeout,
                ),
                self._environ,
            )
            if not child.version.startswith(KNOWN_SDK):
                log.warning("W&B SDK %s was not tried with this sink; %sx was", child.version, KNOWN_SDK)
            log.info("the W&B SDK %s runs in process %d", child.version, child.pid)
        return runs.child

    async def _refused(self, feed: Feed, step: int | None, sample: int | None) -> None:
        """The relay is about to leave a line of this feed blank."""
        if self._tools is not None:
            await self._tools.note_refused(feed.key, step, sample)

    async def _read_key_anew(self) -> None:
        """W&B does not like the key: perhaps the file holds another one by now."""
        if self._upstream is not None and self._options.api_key_file is not None:
            with contextlib.suppress(Retry):  # the answer of W&B says more
                self._upstream.use(await asyncio.to_thread(read_key, self._options, self._environ))

    # --- tending -----------------------------------------------------------------------------------------------------

    async def _tend(self) -> None:
        """Close runs that had nothing for long: they are resumed by their next row."""
        while True:
            await asyncio.sleep(self._limits.tend_interval)
            async with self._lock:
                tools = self._tools
                child = tools.runs.child if tools is not None else None
                if tools is None or child is None or child.gone:
                    continue
                try:
                    await tools.runs.close_idle(child, time.monotonic())
                except (ChildLost, ChildFailed) as problem:
                    log.warning("the W&B SDK could not close a run, and is started anew: %s", problem)
                    await tools.runs.lose()

    async def _look_at_folder(self, tools: Tools) -> None:
        """Keep the SDK's folder within its limit, every now and then."""
        now = time.monotonic()
        if now - self._measured < self._limits.tend_interval and self._full is None:
            return
        self._measured = now
        most, in_use = self._options.max_dir_size, {course.folder for course in tools.runs.opened}
        taken = await asyncio.to_thread(trim, self._folder, most, in_use, time.time())
        self._full = None
        if taken.total <= most:
            return
        self._full = Problem(
            f"{self._folder} holds {taken.total >> 20} MiB of offline runs, and max_dir_size is {most >> 20} MiB:"
            " sync and remove them (wandb sync, then wandb clean or rm), or raise max_dir_size",
            alone=True,
        )
        if self._options.mode == "offline":
            return
        if sum(one.size for one in taken.online if one.path in in_use) > most // 2:
            await self._close_runs(tools.runs)  # their rows are at W&B: with new files, the old ones may go
        elif now - self._warned > WARN_INTERVAL:
            self._warned = now
            log.warning(
                "%s is larger than max_dir_size, and what fills it is not for this sink to remove", self._folder
            )
