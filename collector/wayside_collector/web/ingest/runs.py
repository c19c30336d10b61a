"""Runs that are begun, told of and finished in requests. What they are, without HTTP."""

import base64
import contextlib
import os
import time
from typing import Annotated, Any

import msgspec
from wayside import row, wire
from wayside.identity import MAX_ID, REFUSED
from wayside.masking import mask_values

from ...plausible import MAX_COUNT
from ...session import Run, in_namespace
from ...sources.json_lines import Name
from ...sources.posted import Mark, PostedSessions
from ...sources.scribe import Scribe
from .pacing import ROWS, paced
from .rows import Parsed, Problem, Unfit

MAX_TAGS = 256
MAX_JUMP = 1_000_000_000  #: rows that one request may pass over: they are booked as lost; a clock is no number of rows
KIND = "run"  #: the first text of a mark of such sessions

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class NewRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be said of a run at its beginning. id: chosen here when not given."""

    id: str | None = None
    name: Name | None = None
    project: Name | None = None
    entity: Name | None = None
    group: Name | None = None
    job_type: Name | None = None
    tags: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=MAX_TAGS)] = ()
    notes: Annotated[str, msgspec.Meta(max_length=16384)] | None = None
    config: dict[str, Any] = {}
    workload: Text | None = None
    host: Name | None = None


class Caller(msgspec.Struct, frozen=True):
    """Who sends. host: the machine, as far as is known. namespace: the only one it may write for, None for all.
    launcher: what sessions begun for it are known by.
    """

    host: str
    namespace: str | None = None
    launcher: str | None = None


class Taken(msgspec.Struct, frozen=True):
    """What became of a request's rows. doubles: rows that were stored before. next_seq: the number of the session's
    next row, and None where nobody numbers them.
    """

    accepted: int
    doubles: int
    next_seq: int | None


class Runs:
    """The runs of one collector that come in requests."""

    def __init__(self, posted: PostedSessions) -> None:
        self._posted = posted

    async def create(self, new: NewRun, caller: Caller) -> tuple[str, bool]:
        """The run's id as it is known from now on, and whether it was begun: it may go on already. Raises Unfit, and
        what `PostedSessions.writing` does.
        """
        if new.id is None:
            new = msgspec.structs.replace(new, id=base64.b32encode(os.urandom(10)).decode().lower())
        record, mark = self._record(new, caller)
        begun = not self._posted.is_open(mark)
        async with self._posted.writing(mark, record) as scribe:
            if new.config:
                await _tell(scribe, row.CONFIG, {"set": new.config, "remove": []})
        return mark[1], begun

    async def tell(self, run: str, kind: str, data: dict[str, Any], caller: Caller) -> None:
        """An event of the run, which is begun when it is new. Raises as `create` does."""
        record, mark = self._record(NewRun(id=run), caller)
        async with self._posted.writing(mark, record) as scribe:
            await _tell(scribe, kind, data)

    async def log(self, run: str, parsed: Parsed, caller: Caller) -> Taken:
        """The rows are on disk when this returns; those that cannot be written are added to the problems. Raises as
        `create` does.
        """
        head = parsed.head
        if not parsed.rows:
            self._posted.count(refused=len(parsed.problems))
            return Taken(0, 0, head.seq)
        new = NewRun(id=run, name=head.name, project=head.project)
        record, mark = self._record(new, caller, head.rank, head.session)
        async with self._posted.writing(mark, record, numbered=head.session is not None) as scribe:
            _check_jump(head.seq, parsed.total, scribe.next_seq)
            accepted, doubles = await paced(len(parsed.rows) > ROWS, _write, scribe, parsed, time.time())
            self._posted.count(doubles=doubles, refused=len(parsed.problems))
            await scribe.store(0 if head.seq is None else max(0, head.seq + parsed.total - scribe.next_seq))
            return Taken(accepted, doubles, None if head.session is None else scribe.next_seq)

    async def finish(self, run: str, exit_code: int, caller: Caller) -> int:
        """Ends the run's sessions that are open; how many there were. Raises Unfit and SpoolError."""
        name = self._record(NewRun(id=run), caller)[1][:2]
        ended = 0
        for mark in self._posted.marks():
            if mark[:2] == name:
                with contextlib.suppress(LookupError):
                    await self._posted.finish(mark, exit_code)
                    ended += 1
        return ended

    def _record(
        self, new: NewRun, caller: Caller, rank: int | None = None, session: str | None = None
    ) -> tuple[dict[str, Any], Mark]:
        """A session's record and mark; where it is to be begun, with what is known of the run already where this says
        nothing. Raises Unfit.
        """
        record = in_namespace(_new_record(new, caller, rank), caller.namespace)
        mark = KIND, record["run"]["id"], "" if rank is None else str(rank), session or ""
        known = None if self._posted.is_open(mark) else self._posted.known(record["run"]["id"])
        if known is not None:
            record["run"] = {**msgspec.to_builtins(known.run), **record["run"]}
            record["workload"] = record["workload"] or known.workload
            record["launcher"] = record["launcher"] or known.launcher
        record["run"].setdefault("project", "default")
        record["run"].setdefault("name", new.id)
        return record, mark


def _check_jump(first: int | None, count: int, next_seq: int) -> None:
    """Raises Unfit for numbers of rows that can be none."""
    if first is not None and (first - next_seq > MAX_JUMP or first + count > MAX_COUNT):
        raise Unfit(
            422,
            f"seq {first}: the session's next row is {next_seq}, and a request may pass over {MAX_JUMP} rows: count"
            " the session's rows from 0, or begin another `session`",
        )


def _write(scribe: Scribe, parsed: Parsed, now: float) -> tuple[int, int]:
    """How many rows were written, and how many are stored already."""
    accepted = doubles = 0
    first, known = parsed.head.seq, scribe.next_seq
    for one in parsed.rows:
        seq = scribe.next_seq if first is None else first + one.place
        if seq < known:
            doubles += 1
            continue
        scribe.skip_to(seq)
        try:
            scribe.row(now if one.time is None else one.time, one.step, one.metrics)
            accepted += 1
        except wire.WireError as problem:
            parsed.problems.append(Problem(one.place, str(problem)))
    return accepted, doubles


async def _tell(scribe: Scribe, kind: str, data: dict[str, Any]) -> None:
    try:
        scribe.event(time.time(), None, kind, mask_values(data))
    except wire.WireError as problem:
        raise Unfit(413, f"{kind}: {problem}") from None
    except RecursionError:
        raise Unfit(422, f"{kind}: nested too deep") from None
    await scribe.store()


def _new_record(new: NewRun, caller: Caller, rank: int | None) -> dict[str, Any]:
    """Raises Unfit for an id that would be none elsewhere."""
    id = new.id or ""
    refused = "".join(sorted({letter for letter in id if letter in REFUSED or not letter.isprintable()}))
    if not 0 < len(id) <= MAX_ID or refused or id != id.strip() or not id.strip("."):
        why = f"holds {refused!r}" if refused else f"must have 1 to {MAX_ID} characters, and more than dots"
        raise Unfit(422, f"the run id {id!r:.80} {why}: W&B would refuse it; choose another")
    said = {name: getattr(new, name) for name in Run.__struct_fields__ if name != "resume"}
    return {
        "run": {key: value for key, value in said.items() if value},
        "rank": rank,
        "workload": new.workload,
        "launcher": caller.launcher,
        "host": new.host or caller.host,
        "started": time.time(),
        "origin": "http",
    }
