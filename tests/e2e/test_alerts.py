"""An alert's way: from a training to a chat, to `/metrics` and to the store."""

import asyncio
import json
import re
import sys
from typing import Any

import pytest
from e2e.machine import QUIET, Collector, Machine, check_books, fetch, until
from prometheus_client.parser import text_string_to_metric_families
from standins.webhook_server import WAY, Reply, WebhookServer

NOISY = """
import sys, wayside
run = wayside.init(project="demo", id=sys.argv[1])
for step in range(5):
    run.log({"loss": 1.0, "lr": 0.1}, step=step)
wayside.alert("epoch done", "all is well")
for _ in range(3):
    wayside.alert("high loss", "it is 12.5", level=wayside.AlertLevel.WARN, wait_duration=3600)
wayside.alert("NaN", level="ERROR")
run.finish(int(sys.argv[2]))
"""


def sinks(chat: WebhookServer, **more: Any) -> dict[str, Any]:
    told = {"kind": "webhook", "endpoint": chat.url, "min_level": "WARN", "events": ["alert", "crashed"]}
    return {**QUIET, "sinks": {**QUIET["sinks"], "store": {}, "chat": {**told, **more}}}


def train(machine: Machine, run: str, code: int) -> None:
    script = machine.folder / "noisy.py"
    script.write_text(NOISY)
    done = machine.run(sys.executable, str(script), run, str(code))
    assert done.returncode == 0, done.stderr


def delivered(collector: Collector, events: int) -> dict[str, Any]:
    """The chat's books once it has got so many events."""

    def ask() -> dict[str, Any]:
        books: dict[str, Any] = collector.status()["sinks"]["chat"]
        return books if books["events"]["delivered"] >= events else {}

    return until(ask, f"{events} events delivered")


@pytest.mark.asyncio
@pytest.mark.timeout(120)
async def test_alerts_are_told_counted_and_kept(machine: Machine):
    """What was asked for is told once, the rest is filtered in the books to the event, levels are counted on
    `/metrics`, the store has all of them, and neither log nor status shows the address.
    """
    async with WebhookServer() as chat:
        collector = await asyncio.to_thread(machine.collector(sinks(chat)).wait_ready)
        await asyncio.to_thread(train, machine, "noisy", 3)
        books = await asyncio.to_thread(delivered, collector, 5)
        status = await asyncio.to_thread(collector.wait_delivered, sinks=("jsonl", "store", "chat"))
        metrics = await asyncio.to_thread(collector.metrics)
        kept = await asyncio.to_thread(fetch, f"{collector.url}/api/v1/runs/noisy/alerts")
        shown = await asyncio.to_thread(machine.wayside_collector, "status", "--url", collector.url)
        log = collector.read_log()
    assert re.search(r"^chat \(events\) +5 +5 +0 +0 ", shown.stdout, re.MULTILINE), shown.stdout
    assert [(told["event"], told["level"], told["title"]) for told in chat.messages] == [
        ("alert", "WARN", "high loss"),
        ("alert", "ERROR", "NaN"),
        ("crashed", "ERROR", "noisy has failed"),
    ]
    check_books(books)
    of_all = status["sinks"]["jsonl"]
    assert (books["received"], books["filtered"]) == (0, of_all["received"])
    assert (books["rows"]["received"], books["rows"]["filtered"]) == (0, 5)
    assert books["events"]["received"] == 5
    assert books["events"]["received"] + books["events"]["filtered"] == of_all["events"]["received"]
    assert books["counters"] == {"held": 2}
    counted = {
        sample.labels["level"]: sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "wayside_run_alerts_total"
    }
    assert counted == {"INFO": 1, "WARN": 3, "ERROR": 1, "OTHER": 0}
    told = [event["data"]["title"] for event in json.loads(kept)["events"]]
    assert told == ["epoch done", *["high loss"] * 3, "NaN"]
    for text in (log, json.dumps(status)):
        assert WAY not in text
        assert "SECRET" not in text


@pytest.mark.asyncio
@pytest.mark.timeout(120)
async def test_a_chat_that_is_away_is_told_once_it_is_back(machine: Machine):
    """Meanwhile the error names the host alone, other sinks deliver, and a restart of the collector loses nothing."""
    async with WebhookServer() as chat:
        chat.script = [Reply(503, f"gone: {WAY}")] * 1000
        collector = await asyncio.to_thread(machine.collector(sinks(chat)).wait_ready)
        await asyncio.to_thread(train, machine, "noisy", 0)
        await asyncio.to_thread(collector.wait_delivered, sinks=("jsonl", "store"))

        def is_in_trouble() -> bool:
            chat = collector.status()["sinks"]["chat"]
            return "/… answered 503" in (chat["last_error"] or "") and chat["events"]["waiting"] == 4

        await asyncio.to_thread(until, is_in_trouble, "four alerts that wait, and why")
        assert "SECRET" not in collector.read_log() + json.dumps(collector.status())
        assert await asyncio.to_thread(collector.stop) == 0
        chat.script = []
        collector = await asyncio.to_thread(machine.collector(sinks(chat)).wait_ready)
        books = await asyncio.to_thread(delivered, collector, 4)
    assert [told["title"] for told in chat.messages] == ["high loss", "NaN"]
    assert (books["events"]["delivered"], books["waiting"]) == (4, 0)
    check_books(books)
