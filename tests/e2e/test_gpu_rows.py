"""What the samplers measure reaches the sinks, beside what the run logs."""

from pathlib import Path
from typing import Any

import pytest
from e2e.checking import check_rows
from e2e.hardware import USED, make_gpu
from e2e.machine import Machine, until
from e2e.trainers import Trainer

pytestmark = pytest.mark.timeout(120)


def test_a_sampled_gpu_is_in_jsonl_and_on_the_page(machine: Machine) -> None:
    """Its row is one of the collector's own session, with the time of the sample; the page has it with its labels."""
    sources = make_gpu(machine.folder / "sys")
    collector = machine.collector({"sinks": {"jsonl": {}, "prometheus": {}}, "sources": sources}).wait_ready()
    row = until(lambda: machine.rows("system"), "a sampled row")[0]
    assert row["metrics"]["gpu/0/memory_used_bytes"] == USED
    assert row["metrics"]["gpu/0/utilization_ratio"] == 0.98
    assert row["metrics"]["gpu/0/power_watts"] == 612.0
    assert row["step"] is None
    (device,) = machine.events("device", "system")[:1]
    assert device["gpu/0"]["uuid"]
    page = until(lambda: [line for line in collector.metrics().splitlines() if "gpu_memory_used_bytes{" in line], "it")
    assert float(page[0].rpartition(" ")[2]) == USED
    assert 'gpu="0"' in page[0]


def test_wandb_gets_every_row_and_the_gpu(machine: Machine) -> None:
    """An offline run folder, read back: every row with its step and the time of its call, the GPU beside them, and the
    exit; written by the real SDK.
    """
    pytest.importorskip("wandb")
    sinks = {"jsonl": {}, "wandb": {"mode": "offline"}}
    config = {"sinks": sinks, "sources": make_gpu(machine.folder / "sys")}
    collector = machine.collector(config).wait_ready()
    until(lambda: machine.rows("system"), "a sampled row")
    trainer = Trainer(machine, "r1", "--pause", "0.05", rows=200)
    trainer.end()
    collector.wait_delivered(sinks=("jsonl", "wandb"))
    check_rows(machine.rows("r1"), 200, 200)
    # One file, or more where a busy machine made the sink begin the SDK's process again: together they hold the run.
    history, stats, exits = read_run(sorted(machine.dir.rglob("*.wandb"), key=lambda path: path.stat().st_mtime))
    assert [int(row["n"]) for row in history] == list(range(200))
    times = {row["step"]: row["time"] for row in machine.rows("r1")}
    for row in history:
        assert row["_step"] == row["n"]
        assert row["_timestamp"] == pytest.approx(times[row["_step"]], abs=1e-3)
    assert {sample["gpu.0.memoryAllocatedBytes"] for sample in stats} == {USED}
    assert exits == [0]


def read_run(paths: list[Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[int]]:
    """A run's history rows, hardware samples and exit codes."""
    import json

    from wandb.proto import wandb_internal_pb2 as pb
    from wayside_collector.sinks.wandb.transaction_log import Log

    history: list[dict[str, Any]] = []
    stats: list[dict[str, Any]] = []
    exits: list[int] = []
    for raw in [raw for path in paths for raw in Log().feed(path.read_bytes())]:
        record = pb.Record()
        record.ParseFromString(raw)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            history.append(
                {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            )
        elif kind == "stats":
            stats.append({item.key: json.loads(item.value_json) for item in record.stats.item})
        elif kind == "exit":
            exits.append(record.exit.exit_code)
    return history, stats, exits
