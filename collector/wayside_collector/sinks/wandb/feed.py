"""What the relay has seen of one opened run: how much of it W&B has, and what stands in the way. No I/O.

A feed belongs to one opening of a run. Its token is the secret part of the address that the SDK is given, so that
what an earlier opening left behind, or another user of the machine, cannot speak for this one.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from . import graphql
from .file_stream import EVENTS, HISTORY, SUMMARY, Post, read_line, step_of
from .flight import RunKey
from .graphql import Standing


class Problem(NamedTuple):
    """Why W&B does not take the run's data now. status: of its answer, None without one. not_before: Unix time in
    seconds, from a Retry-After. alone: other runs may fare better.
    """

    text: str
    status: int | None = None
    not_before: float | None = None
    alone: bool = False


class Feed:
    """standing: how much W&B had when the run was opened. last: `_step` of the last line it acknowledged. samples:
    lines of system metrics it has. config, summary: the last it acknowledged, and how many there were. alerts: those
    answered. refused, refused_samples: `_step` or number of a line that it will not take, and its reason. blanks:
    numbers of their lines. problem: of the latest request, None when it was taken. holds: file_stream requests held
    back since the last that was taken. completed: whether it acknowledged the run's end. goes_on: whether the SDK's
    telling of an end is kept from it. uploaded: names of the run's files that it has. artifacts, committed: client id
    to id, of those that are made and those that are whole. artifact_problems: why it will not have one. places: where
    files go, by what the SDK is told in its place. puts: files sent. posts: file_stream requests of the SDK. busy:
    requests under way; idle: set while there are none. stop_asked: someone pressed "Stop" at W&B.
    summary_refused: why it did not take a summary.
    """

    def __init__(self, key: RunKey, changed: Callable[[], None]) -> None:
        self.key = key
        self.token = secrets.token_hex(20)
        self.standing: Standing | None = None
        self.last = -1
        self.samples = 0
        self.upserts = 0
        self.summaries = 0
        self.alerts = 0
        self.alert_problem: str | None = None
        self.refused: dict[int, str] = {}
        self.refused_samples: dict[int, str] = {}
        self.blanks: dict[str, set[int]] = {HISTORY: set(), EVENTS: set()}
        self.problem: Problem | None = None
        self.holds = 0
        self.completed = False
        self.goes_on = False
        self.posts = 0
        self.puts = 0
        self.uploaded: set[str] = set()
        self.artifacts: dict[str, str] = {}
        self.committed: dict[str, str] = {}
        self.artifact_problems: dict[str, str] = {}
        self.places: dict[str, graphql.Place] = {}
        self.busy = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.stop_asked = False
        self.summary_refused: str | None = None
        self._config: dict[str, Any] | None = None
        self._summary = "{}"
        self._changed = changed

    @property
    def config(self) -> dict[str, Any]:
        return self._config or {}

    @property
    def summary(self) -> dict[str, Any]:
        return read_line(self._summary)

    def begin(self) -> None:
        """A request of the SDK is under way."""
        self.busy += 1
        self.idle.clear()
        self._changed()

    def end(self) -> None:
        """It is through."""
        self.busy -= 1
        if not self.busy:
            self.idle.set()
        self._changed()

    def stands(self, standing: Standing | None) -> None:
        """W&B said how much it has; None where it cannot be told from that."""
        if standing is None:
            return
        self.standing = standing
        self.last = standing.last if standing.last is not None else -1
        self.samples = standing.samples
        self._changed()

    def taken(self, post: Post) -> None:
        """W&B acknowledged this request."""
        history, events, summary = (post.chunk(name) for name in (HISTORY, EVENTS, SUMMARY))
        if history is not None:
            step = step_of(history.content[-1])
            self.last = self.last if step is None else max(self.last, step)
        if events is not None:
            self.samples = max(self.samples, events.offset + len(events.content))
        if summary is not None:
            self._summary = summary.content[-1]
            self.summaries += 1
        self.completed = self.completed or post.completes
        self.problem = None
        self.holds = 0
        self._changed()

    def upserted(self, variables: dict[str, Any]) -> None:
        """W&B acknowledged an UpsertBucket."""
        config = graphql.config_of(variables)
        if config is not None:
            self._config = config
            self.upserts += 1
        self.problem = None
        self._changed()

    def alerted(self, problem: str | None) -> None:
        """W&B answered an alert."""
        self.alerts += 1
        self.alert_problem = problem or self.alert_problem
        self._changed()

    def arrived(self, place: graphql.Place) -> None:
        """W&B has a file."""
        self.puts += 1
        if place.name is not None:
            self.uploaded.add(place.name)
        self._changed()

    def artifact(self, asked: graphql.Request, body: bytes, problem: str | None) -> None:
        """W&B answered about an artifact. problem: why it will not have it."""
        if asked.operation == graphql.CREATE_ARTIFACT:
            made = graphql.artifact_of(asked.variables, body)
            if problem is not None and made.client is not None:
                self.artifact_problems[made.client] = problem
            elif made.client is not None and made.id is not None:
                self.artifacts[made.client] = made.id
                if made.whole:
                    self.committed[made.client] = made.id
        elif problem is None:
            for client, id in self.artifacts.items():
                if id == asked.variables.get("artifactID"):
                    self.committed[client] = id
        self._changed()

    def refuse(self, post: Post, reason: str) -> None:
        """W&B took the line of this request only without its values."""
        history, events = post.chunk(HISTORY), post.chunk(EVENTS)
        if history is not None:
            self.blanks[HISTORY].add(history.offset)
            step = step_of(history.content[0])
            if step is not None:
                self.refused[step] = reason
        elif events is not None:
            self.blanks[EVENTS].add(events.offset)
            self.refused_samples[events.offset] = reason
        self._changed()

    def held(self, problem: Problem) -> None:
        """W&B did not take a request."""
        self.problem = problem
        self._changed()
