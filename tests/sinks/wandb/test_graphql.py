"""The GraphQL of the SDK, as far as the relay must understand it."""

import json

import pytest
from standins.wandb_runs import Runs
from wayside_collector.sinks.wandb.graphql import (
    NOTHING,
    Standing,
    config_of,
    entity_of,
    errors,
    lower_summary,
    read_request,
    standing,
)


def answer(**bucket) -> bytes:
    return json.dumps({"data": {"model": {"bucket": bucket}}}).encode()


def lines(*steps: int) -> dict:
    tail = json.dumps([json.dumps({"_step": step}) for step in steps[-1:]])
    return {"historyLineCount": len(steps), "eventsLineCount": 4, "historyTail": tail}


def test_the_operation_is_found():
    """By its name, or in the query's text; anything else is none that concerns the relay."""
    assert read_request(b'{"query":"mutation UpsertBucket($x: Y) {","variables":{"name":"r"}}') == (
        "UpsertBucket",
        {"name": "r"},
    )
    assert read_request(b'{"query":"","operationName":"Viewer"}') == ("Viewer", {})
    for body in (b"", b"[]", b"x", b'{"query": 5}', b'{"query": "{ a }", "variables": 3}'):
        assert read_request(body).operation == ""


def test_complaints_are_found_in_a_200():
    """GraphQL says no with status 200."""
    assert errors(b'{"data": {}}') is None
    assert errors(b'{"errors": [{"message": "permission denied"}]}') == "permission denied"
    assert errors(b'{"errors": ["odd"]}') == "odd"
    assert errors(b"<html>") == "an answer that is no JSON"


def test_how_far_a_run_is():
    """Step of the last line, and how many lines there are; nothing for a run that does not exist."""
    assert standing(answer(**lines(0, 5, 9))) == Standing(9, 3, 4)
    assert standing(answer(**lines())) == Standing(-1, 0, 4)
    assert standing(b'{"data": {"model": {"bucket": null}}}') == NOTHING
    assert standing(b'{"data": {"model": null}}') == NOTHING


@pytest.mark.parametrize("tail", [None, "[]", "x", '["x"]', '["[]"]', "{}", 5])
def test_lines_without_a_readable_tail_leave_the_step_open(tail):
    """W&B has lines and does not say which: that must not be taken for none."""
    assert standing(answer(historyLineCount=3, eventsLineCount=0, historyTail=tail)) == Standing(None, 3, 0)


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'{"data": null}', b'{"errors": []}'])
def test_an_answer_that_says_nothing(body):
    """Only a well-formed answer says that a run does not exist."""
    assert standing(body) is None
    assert lower_summary(body) == body


def test_a_summary_ahead_of_its_history_is_lowered():
    """The SDK takes the larger step for the run's last: rows of requests that never arrived would be given up."""
    body = answer(**lines(0, 9), summaryMetrics='{"_step": 20, "loss": NaN}')
    found = json.loads(lower_summary(body))["data"]["model"]["bucket"]
    assert json.loads(found["summaryMetrics"])["_step"] == 9
    assert found["historyTail"] == lines(0, 9)["historyTail"]
    none = json.loads(lower_summary(answer(**lines(), summaryMetrics='{"_step": 3, "a": 1}')))
    assert none["data"]["model"]["bucket"]["summaryMetrics"] == '{"a": 1}'


@pytest.mark.parametrize("summary", ['{"_step": 9}', '{"_step": 3}', "{}", None, "x", '{"_step": "x"}', "[]"])
def test_any_other_answer_passes_as_it_is(summary):
    """The relay changes nothing that it need not."""
    body = answer(**lines(0, 9), summaryMetrics=summary)
    assert lower_summary(body) is body


def test_the_config_of_an_upsert():
    """Values without their wrappers; None when the request has none."""
    config = {"lr": {"value": 0.1}, "_wandb": {"value": {"m": []}}}
    assert config_of({"config": json.dumps(config)}) == {"lr": 0.1, "_wandb": {"m": []}}
    for variables in ({}, {"config": None}, {"config": "x"}, {"config": "[1]"}):
        assert config_of(variables) is None


def test_the_stand_in_answers_as_read_here():
    """The backend of the tests and the relay agree on what a run looks like."""
    runs = Runs("me")
    runs.answer("UpsertBucket", {"name": "r", "project": "p", "config": '{"lr": {"value": 1}}'}, "")
    runs.find(None, "p", "r").write({"wandb-history.jsonl": {"offset": 0, "content": ['{"_step": 4}']}})
    body = json.dumps({"data": runs.answer("RunResumeStatus", {"name": "r", "project": "p"}, "")}).encode()
    assert standing(body) == Standing(4, 1, 0)


@pytest.mark.parametrize(
    ("answer", "entity"),
    [
        ({"data": {"upsertBucket": {"bucket": {"project": {"entity": {"name": "me"}}}}}}, "me"),
        ({"data": {"upsertBucket": {"bucket": {"project": None}}}}, None),
        ({"data": {"upsertBucket": {"bucket": {"project": {"entity": {"name": 7}}}}}}, None),
        ({"data": None}, None),
        ([], None),
        (b"no JSON", None),
    ],
)
def test_whose_project_it_is_stands_in_the_answer(answer: object, entity: str | None) -> None:
    """The key's own entity, where a run names none; and None where the answer does not say."""
    assert entity_of(answer if isinstance(answer, bytes) else json.dumps(answer).encode()) == entity
