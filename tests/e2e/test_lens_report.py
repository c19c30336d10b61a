"""What reaches Lens of a training that is set up for it; Lens is another collector here, which takes what Lens does."""

import sys
from pathlib import Path

import pytest
from e2e.machine import Machine, until

JOB = """
import sys, wayside
with wayside.init(project="demo", id=sys.argv[1], tags=["a"], config={"framework": "primus"}) as run:
    for step in range(20):
        run.log({"loss": step / 4}, step=step)
"""


@pytest.mark.timeout(120)
def test_steps_and_the_framework_reach_lens(machine: Machine, tmp_path: Path) -> None:
    """Every step, and once what framework it is; a run whose user wants no report is left out and says why."""
    (tmp_path / "lens").mkdir()
    lens = Machine(tmp_path / "lens")
    try:
        there = lens.collector({"sinks": {"jsonl": {}, "store": {}}, "sources": {}}).wait_ready()
        config = {"sinks": {"jsonl": {}, "lens": {"endpoint": f"{there.url}/v1"}}, "sources": {}}
        collector = machine.collector(config).wait_ready()
        for id, reporting in (("r1", "1"), ("r2", "no")):
            environ = {"WORKLOAD_UID": f"w-{id}", "POD_NAME": "pod-0", "PRIMUS_LENS_WANDB_API_REPORTING": reporting}
            environ["PRIMUS_LENS_API_BASE_URL"] = f"{there.url}/api/v1/"
            done = machine.run(sys.executable, "-c", JOB, id, PRIMUS_CONFIG="c.yaml", **environ)
            assert done.returncode == 0, done.stderr
        status = collector.wait_delivered(sinks=("jsonl", "lens"))
        assert status["sinks"]["lens"]["left_out"] == {"api_reporting": 1}
        assert "is not followed" not in collector.read_log()
        until(lambda: lens.events("detection"), "the report is at Lens")
        (event,) = lens.events("detection")
        assert (event["framework"], event["confidence"]) == ("primus", "medium")
        assert event["evidence"]["wandb"]["project"] == "demo"
        assert event["evidence"]["environment"]["PRIMUS_CONFIG"] == "c.yaml"
        until(lambda: len(lens.rows("r1")) == 20, "every step is at Lens")
        assert lens.rows("r2") == lens.rows("w-r2") == []
        until(lambda: collector.status()["sinks"]["lens"]["counters"].get("reports") == 1, "counted")
    finally:
        lens.close()
