"""The webhook sink: one request a message, in order.

Identity: at least once. Each message carries the session and seq of its event (`id`), by which a receiver knows one
that comes again; that happens after an answer that was lost, and after a crash in the middle of a parcel.

What is told no more than once (that a run has started or crashed), and which titles were told of late, is kept with the
cursor, so that neither ranks nor restarts say it again. Counters: `held` alerts that came within `wait` of the last of
their title, or told by another session already; `odd_answers` messages taken with an answer that is not the format's.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from wayside.row import Event

from ..base import Changes, Context, Parcel, Part, Ref, Reject, Retry, Traits
from ..http import Answer, HttpPeer, outcome
from .bodies import encode
from .message import LEVELS, Message, kind_of, level_of, message_of, start_of
from .options import WebhookOptions, host_of, read_address, read_routing_key, secrets_of_address

MAX_TOLD = 1000  #: titles remembered for `wait`; with more at once the oldest may be told again
STATE = "told"
_REASONS = 3  # reasons one Reject spells out

_log = logging.getLogger(__name__)


def takes(event: Event, options: Any) -> bool:
    """Whether an event is told at all with these options; every other one is left out of the books as filtered."""
    kind = kind_of(event)
    if kind is None or kind not in options.events:
        return False
    return kind != "alert" or LEVELS.index(level_of(event)) >= LEVELS.index(options.min_level)


class WebhookSink:
    """Tells people. `clock` gives Unix time in seconds."""

    # Who adds it to a collector that has run for days does not want to hear of all that was.
    traits: ClassVar[Traits] = Traits(
        start="now", ranks="all", system=False, rows=False, takes_event=takes, max_records=100
    )

    def __init__(
        self,
        options: WebhookOptions,
        *,
        clock: Callable[[], float] = time.time,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._options = options
        self._clock = clock
        self._environ = environ
        self._peer = HttpPeer(options, environ, host_of)
        self._told: dict[str, float] = {}
        self._opened = 0.0
        self._is_odd = False
        self._context = Context("webhook", Path("."))

    async def open(self, context: Context) -> None:
        """Read the files the options name; connects nowhere. Raises Retry when one cannot be read."""
        self._context = context
        self._opened = self._clock()
        self._told = _read_told(context.state.get(STATE, b"{}"))
        await asyncio.to_thread(read_address, self._options, self._environ)
        await asyncio.to_thread(read_routing_key, self._options, self._environ)
        await self._peer.open()

    async def close(self) -> None:
        await self._peer.close()

    async def send(self, parcel: Parcel) -> Changes:
        done: set[Ref] = set()
        refused: dict[Ref, str] = {}
        for part in parcel.parts:
            for record in part.records:
                if not isinstance(record, Event):
                    continue  # the traits take none
                ref = (part.session.id, record.seq)
                try:
                    reason = await self._tell(part, record)
                except Retry as trouble:
                    raise _with(trouble, done, self._changes()) from trouble
                if reason is not None:
                    refused[ref] = reason
                else:
                    done.add(ref)
        if refused:
            reasons = list(dict.fromkeys(refused.values()))
            raise Reject("; ".join(reasons[:_REASONS]), refused, changes=self._changes())
        return self._changes()

    async def _tell(self, part: Part, event: Event) -> str | None:
        """Why the message is refused for good, None when the event is done with. Raises Retry."""
        message = message_of(part, event)
        if message is None or self._is_told(message):
            self._context.count("held", 1)
            return None
        start = self._start_before(message, part)
        if start is not None and await self._post(start) is None:
            self._remember(start)
        reason = await self._post(message)
        if reason is None:
            self._remember(message)
        return reason

    def _start_before(self, message: Message, part: Part) -> Message | None:
        """The start of a run that began after we did, and of which something else is told first: what a run is, its
        client looks up at leisure.
        """
        if message.kind == "started" or "started" not in self._options.events or part.session.started < self._opened:
            return None
        start = start_of(part)
        return None if start is None or self._is_told(start) else start

    async def _post(self, message: Message) -> str | None:
        """Send once. Why the message is refused for good, None when it was taken. Raises Retry."""
        options = self._options
        address = await asyncio.to_thread(read_address, options, self._environ)
        key = await asyncio.to_thread(read_routing_key, options, self._environ)
        body = encode(message, options.format, options.template, options.page, key)
        answer = await self._peer.post(address, body, {"Content-Type": "application/json"})
        secrets = answer.secrets | set(secrets_of_address(address)) | ({key} if key else set())
        answer = answer._replace(secrets=frozenset(secrets))
        judged = outcome(answer, host_of(address), self._clock())
        if judged.verdict == "accepted" and not _says_so(answer, options.format):
            told = f"{host_of(address)} answered {answer.status}, but not as {options.format} does: check the address"
            return self._heed(answer, told + answer.quote())
        if judged.verdict == "retry":
            raise Retry(judged.message, not_before=judged.not_before, uncertain=judged.uncertain)
        return judged.message if judged.verdict == "refused" else None

    def _heed(self, answer: Answer, told: str) -> str | None:
        """An answer of success that is not the format's. Sent again, the message might be said again for ever: so a
        page, which a proxy answers, refuses it, for a person to replay; with anything else it is taken, and that is
        logged once.
        """
        if answer.body.lstrip()[:1] == b"<":
            return told
        self._context.count("odd_answers", 1)
        if not self._is_odd:
            self._is_odd = True
            _log.warning("sink %s: %s; it counts as taken, further ones are only counted", self._context.name, told)
        return None

    # --- what was told -----------------------------------------------------------------------------------------------

    def _is_told(self, message: Message) -> bool:
        """Whether it was said already, by another session or a moment ago, by the events' own times."""
        last = self._told.get(_name(message))
        if last is None:
            return False
        return message.once is not None or 0 <= message.time - last < max(self._options.wait, message.wait)

    def _remember(self, message: Message) -> None:
        name = _name(message)
        self._told.pop(name, None)
        self._told[name] = message.time
        while len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]

    def _changes(self) -> Changes:
        return {STATE: json.dumps(self._told).encode()}


def _says_so(answer: Answer, form: str) -> bool:
    """Whether a service that always answers alike did so: a proxy's page is no answer of a chat."""
    return form not in ("slack", "mattermost") or answer.body.strip() == b"ok"


def _name(message: Message) -> str:
    """What is not to be said twice."""
    what = message.once if message.once is not None else f"{message.kind} {message.title}"
    return f"{message.run} {what}"


def _read_told(kept: bytes) -> dict[str, float]:
    """What was kept; nothing where that is damaged: then something is said once more."""
    try:
        found = json.loads(kept)
    except ValueError:
        return {}
    items = found.items() if isinstance(found, dict) else ()
    return {str(name): float(at) for name, at in items if isinstance(at, int | float)}


def _with(trouble: Retry, done: set[Ref], changes: Changes) -> Retry:
    """The same trouble, with what got through."""
    return Retry(
        str(trouble), not_before=trouble.not_before, delivered=done, uncertain=trouble.uncertain, changes=changes
    )
