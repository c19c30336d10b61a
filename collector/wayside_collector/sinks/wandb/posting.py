"""One `file_stream` request of the SDK on its way to W&B: whole, or in the pieces that find the line it refuses."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .feed import Feed, Problem
from .file_stream import EVENTS, HISTORY, SUMMARY, Post, step_of
from .upstream import Answer, Upstream

_ABOUT_CONTENT = frozenset({400, 413, 422})  # statuses that may be about one line of many

#: Told before a line is replaced by a blank one: the feed, and the line's `_step` or its number among the samples.
OnRefused = Callable[[Feed, int | None, int | None], Awaitable[None]]


class Held(Exception):
    """W&B did not take it now."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class Delivery:
    """One file_stream request of the SDK on its way to W&B, in one piece or many."""

    def __init__(
        self, upstream: Upstream, feed: Feed, path: str, headers: Mapping[str, str], on_refused: OnRefused
    ) -> None:
        self._upstream = upstream
        self._feed = feed
        self._path = path
        self._headers = headers
        self._on_refused = on_refused
        self._left = 0

    async def send(self, post: Post, body: bytes, requests: int) -> dict[str, Any]:
        """Until W&B has all of it; returns what the SDK is to be answered. Raises Held or Unreachable."""
        self._left = requests
        found = await self._send(post, body) or {}
        if found.pop("stopped", False):
            # The SDK would give up the run; someone who pressed "Stop" meant the training, which is not ours to end.
            self._feed.stop_asked = True
        return found

    async def _send(self, post: Post, body: bytes) -> dict[str, Any] | None:
        """What W&B said when it went in one piece."""
        answer = await self._ask(body)
        if answer.status < 300:
            said = self._read(answer)
            self._feed.taken(post)
            return said
        if answer.status not in _ABOUT_CONTENT:
            raise Held(self._upstream.problem(self._path, answer))
        pieces = post.pieces()
        if not pieces:
            await self._refused(post, answer)
        for piece in pieces:
            await self._send(piece, piece.encode())
        return None

    async def _ask(self, body: bytes) -> Answer:
        if self._left <= 0:
            raise Held(Problem("W&B refuses so many lines of one request that they are being looked for in parts"))
        self._left -= 1
        return await self._upstream.send("POST", self._path, self._headers, body)

    def _read(self, answer: Answer) -> dict[str, Any]:
        """The JSON object that W&B says it took the lines with. Anything else with that status comes from someone
        between us, a proxy's page or half an answer: raises Held, and the lines go again, to the same numbers.
        """
        try:
            value = json.loads(answer.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Held(self._upstream.problem(self._path, answer, "a body that is not W&B's: check base_url"))
        return value

    async def _refused(self, post: Post, answer: Answer) -> None:
        problem = self._upstream.problem(self._path, answer)
        if post.chunk(SUMMARY) is not None:
            self._feed.summary_refused = problem.text
            self._feed.taken(post)
            return
        blank = post.blank()
        if blank is None:
            raise Held(problem)
        history, events = post.chunk(HISTORY), post.chunk(EVENTS)
        step = step_of(history.content[0]) if history is not None else None
        try:
            await self._on_refused(self._feed, step, events.offset if events is not None else None)
        except OSError as failed:
            raise Held(Problem(f"the W&B sink's ledger cannot be written: {failed.strerror}")) from failed
        again = await self._ask(blank.encode())
        if again.status >= 300:
            raise Held(self._upstream.problem(self._path, again))
        self._read(again)
        self._feed.refuse(post, problem.text)
        self._feed.taken(blank)
