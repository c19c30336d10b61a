"""What counts as acknowledged of the changes to a run's config and summary."""

import json
from typing import Any

import pytest
from wayside_collector.sinks.wandb.course import Change, Course
from wayside_collector.sinks.wandb.feed import Feed
from wayside_collector.sinks.wandb.file_stream import read
from wayside_collector.sinks.wandb.flight import RunKey
from wayside_collector.sinks.wandb.protocol import ConfigOp, MetricOp, SummaryOp

KEY = RunKey(None, "p", "r")


def shipped(*changes: Change) -> tuple[Course, Feed]:
    """A course after these were shipped, ("s", 0) the first."""
    course = Course(KEY, "1", feed=(feed := Feed(KEY, lambda: None)))
    for seq, change in enumerate(changes):
        course.expect(("s", seq), change, 0.0)
    return course, feed


def show_config(feed: Feed, config: dict[str, Any]) -> None:
    feed.upserted({"config": json.dumps({name: {"value": value} for name, value in config.items()})})


def show_summary(feed: Feed, summary: dict[str, Any]) -> None:
    content = {"files": {"wandb-summary.json": {"offset": 0, "content": [json.dumps(summary)]}}}
    feed.taken(read(json.dumps(content).encode()))


def seqs(course: Course) -> list[int]:
    return [seq for _, seq in course.collect().delivered]


@pytest.mark.parametrize(("change", "show"), [(ConfigOp, show_config), (SummaryOp, show_summary)])
def test_of_several_changes_of_one_key_the_last_speaks_for_all(change: Any, show: Any):
    """The SDK sends a key's last value alone: all changes before it are in when that is shown."""
    course, feed = shipped(change({"a": 1, "b": 1}, []), change({"a": 2}, ["b"]), change({"a": 3}, []))
    show(feed, {"a": 3})
    assert seqs(course) == [0, 1, 2]


@pytest.mark.parametrize(("change", "show"), [(ConfigOp, show_config), (SummaryOp, show_summary)])
def test_a_key_that_nobody_changed_since_must_be_shown(change: Any, show: Any):
    """What W&B does not show yet is on its way, whatever else it shows."""
    course, feed = shipped(change({"a": 1, "mine": 1}, []), change({"a": 2}, []))
    show(feed, {"a": 2})
    assert seqs(course) == [1]
    assert course.carries(("s", 0))


def test_what_is_shown_of_one_kind_says_nothing_of_another():
    """A key of the summary is not the config's of that name, and a metric's definition stands for itself."""
    course, feed = shipped(ConfigOp({"a": 1}, []), MetricOp({"name": "a"}), SummaryOp({"a": 2}, []))
    show_summary(feed, {"a": 2})
    assert seqs(course) == [2]
