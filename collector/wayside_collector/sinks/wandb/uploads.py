"""Pictures, tables, artifacts and saved files of one send: given to the SDK, and awaited at W&B.

The files of a medium go first, and its line of history only when W&B has them, so that a line which has arrived is
whole, whatever crashed; a file that goes twice overwrites itself. An artifact is W&B's when its commit is answered; one
that comes again after a crash has the same digest, and is known there.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wayside.row import ARTIFACT

from ...media_events import copied, files_of, objects
from ..base import Ref
from .course import Course
from .encode import Plan
from .feed import Feed, Problem
from .flight import Line
from .limits import Limits
from .lines import Upload
from .process import Child, ChildFailed, ChildLost
from .protocol import Command, Made, Put, PutArtifact, PutFiles
from .relay import Relay

Find = Callable[[str], Path]


class Tasks(NamedTuple):
    """What an upload needs. settled: whether W&B has a ref of this run, or will never take it. refused: refs that it
    will not take are put there. find: where a file of the spool is. tell: adds to a counter.
    """

    child: Child
    limits: Limits
    relay: Relay | None
    refused: dict[Ref, str]
    find: Find
    tell: Callable[[str, int], None]


async def put_lines(tasks: Tasks, plan: Plan, course: Course, settled: Callable[[Ref], bool]) -> Problem | None:
    """Give the SDK what the plan's lines refer to, wait for it, and put the values into the lines. What stands in the
    way, or None. Raises ChildLost.
    """
    made: dict[int, dict[str, Made]] = {}
    for index, line in enumerate(plan.items):
        if not isinstance(line, Line) or not line.media:
            continue
        made[index] = {}
        if not any(ref in course.flight for ref in line.refs) and not all(settled(ref) for ref in line.refs):
            made[index] = await _make_all(tasks, course, line)
    problem = await _wait(tasks, course, [one for found in made.values() for one in found.values()])
    if problem is not None:
        return problem
    for index, found in made.items():
        line = plan.items[index]
        assert isinstance(line, Line)
        values = {**line.values, **{one.name or name: one.value for name, one in found.items()}}
        plan.items[index] = line._replace(values=values, media={})
    return None


async def _make_all(tasks: Tasks, course: Course, line: Line) -> dict[str, Made]:
    """What the SDK makes of a line's media, by name; what it does not take is refused."""
    found: dict[str, Made] = {}
    for name, media in line.media.items():
        told = [_with_paths(medium.data, tasks.find) for medium in media]
        made = await _made(tasks, course, (media[0].ref, name), Put(course.handle, name, line.step or 0, told))
        if isinstance(made, str):
            tasks.refused.update({medium.ref: made for medium in media})
        else:
            found[name] = made
    return found


async def put_uploads(tasks: Tasks, plan: Plan, course: Course, settled: Callable[[Ref], bool]) -> None:
    """Give the SDK the plan's artifacts and saved files; `Course.collect` finds when they have arrived. Raises
    ChildLost.
    """
    for item in plan.items:
        if not isinstance(item, Upload) or settled(item.ref) or item.ref in course.uploads:
            continue
        made = await _made(tasks, course, (item.ref, ""), _command(tasks, course, item))
        if isinstance(made, str):
            tasks.refused[item.ref] = made
        else:
            course.uploads[item.ref] = made


def _command(tasks: Tasks, course: Course, item: Upload) -> Command:
    files, references = [], []
    for one in files_of(item.data):
        path, source = str(one.get("path") or ""), str(one.get("source") or "")
        if isinstance(one.get("held"), str):
            files.append((path, str(tasks.find(one["held"]))))
        elif "lost" in one:
            tasks.tell("files_lost", 1)
        elif item.data.get("seen") is True:
            files.append((path, source))
        else:
            size = one.get("size")
            references.append((path, f"file://{source}", size if isinstance(size, int) else None))
    if item.kind != ARTIFACT:
        if references:
            tasks.tell("files_not_seen", len(references))
        return PutFiles(course.handle, files)
    told = item.data.get("references")
    for one in told if isinstance(told, list) else ():
        if isinstance(one, dict) and isinstance(one.get("uri"), str):
            size = one.get("size")
            name = str(one.get("name") or one["uri"].rpartition("/")[2] or "reference")
            references.append((name, one["uri"], size if isinstance(size, int) else None))
    return PutArtifact(course.handle, item.told(), files, references)


async def _made(tasks: Tasks, course: Course, key: tuple[Ref, str], command: Command) -> Made | str:
    """What the SDK makes of it, once while the run is open; or why it does not."""
    found = course.made.get(key)
    if found is None:
        try:
            answer = await tasks.child.ask(command, tasks.limits.command_timeout)
        except ChildFailed as problem:
            return f"the W&B SDK does not take it: {problem}"
        assert isinstance(answer, Made)
        found = course.made[key] = answer
    return found


async def _wait(tasks: Tasks, course: Course, made: Sequence[Made]) -> Problem | None:
    """Until W&B has the files and artifacts of all; None when it has. As long as some arrive it goes on. Raises
    ChildLost.
    """
    feed, relay = course.feed, tasks.relay
    if feed is None or relay is None:
        return None
    arrived, deadline = -1, 0.0
    while True:
        relay.changed.clear()
        if all(has(feed, one) for one in made):
            return None
        if tasks.child.gone or tasks.child.stopped:
            raise ChildLost("the W&B SDK ended, or gave an upload up, before a file was acknowledged")
        if feed.puts != arrived:
            arrived, deadline = feed.puts, time.monotonic() + tasks.limits.upstream_timeout
        left = deadline - time.monotonic()
        if left <= 0:
            return feed.problem or Problem(f"W&B has not taken a file of run {course.key} in time", alone=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await relay.changed.wait()


def has(feed: Feed, made: Made) -> bool:
    """Whether W&B has all of it; an artifact that it refused for good counts for had: that is told elsewhere."""
    settled = feed.committed.keys() | feed.artifact_problems.keys()
    return feed.uploaded.issuperset(made.files) and settled >= set(made.artifacts)


def _with_paths(data: Mapping[str, Any], find: Find) -> dict[str, Any]:
    """A medium, with where its files are."""
    told = copied(data)
    for one in objects(told):
        if isinstance(one.get("file"), str):
            one["path"] = str(find(one["file"]))
    return dict(told)
