"""PEFT Studio's guide, run: the service in the training process, beside the REST half in the collector."""

import json
import re
import urllib.request

import pytest
from e2e.machine import Machine
from guides.peft_studio import TREATMENTS
from guides.running import CONFIG, merged, run_python, run_shell
from guides.snippets import script


@pytest.mark.timeout(120)
def test_the_guide(machine: Machine):
    """Every Python block works in its order; each job is a run of its id, with the names of metrics, tags and summary
    of the service, and no API key is anywhere.
    """
    collector = machine.collector(CONFIG).wait_ready()
    run_shell(machine, script("peft_studio", TREATMENTS, "bash"))
    said = run_python(machine, script("peft_studio", TREATMENTS, "python"))
    status = collector.wait_delivered()
    assert {one["run"] for one in status["sessions"]} == {
        *(f"experiment_00{n}" for n in (1, 2, 3)),
        "job1",
        "job2",
        "job3",
    }
    assert {one["project"] for one in status["sessions"]} == {"peft-studio-experiments"}
    rows = machine.rows("experiment_001")
    assert [row["step"] for row in rows] == [10, 20, 100]
    assert rows[2]["metrics"] == {"custom_metric": 0.95, "validation_accuracy": 0.87}
    assert rows[1]["metrics"] == {
        "train/loss": 0.05,
        "train/learning_rate": 2e-4,
        "train/grad_norm": 1.0,
        "train/epoch": 0.0,
        "performance/throughput": 100.0,
        "performance/samples_per_second": 25.0,
        "resources/cpu_utilization": 50.0,
        "resources/ram_used_gb": 8.0,
        "timing/elapsed_time": 1.0,
        "timing/estimated_time_remaining": 9.0,
        "val/loss": 0.5,
        "resources/gpu_0_utilization": 90.0,
        "resources/gpu_1_utilization": 80.0,
        "resources/gpu_0_memory_gb": 2.0,
        "resources/gpu_1_memory_gb": 1.0,
        "resources/gpu_0_temperature": 60.0,
        "resources/gpu_1_temperature": 61.0,
    }
    config = merged(machine, "config", "experiment_001")
    assert (config["lora_r"], config["model_name"]) == (8, "llama")  # as it was begun the second time
    assert config["adjusted_learning_rate"] == 1e-4
    summary = merged(machine, "summary", "experiment_001")
    assert summary["final_loss"] == 0.5
    assert (summary["success"], summary["job_id"], summary["dataset_name"]) == (True, "experiment_001", "train.json")
    finished = {
        run: [end["exit_code"] for end in machine.events("finish", run)] for run in ("experiment_001", "experiment_003")
    }
    assert finished == {"experiment_001": [0, 0], "experiment_003": [1]}
    assert merged(machine, "summary", "experiment_002")["hardware"] == "H200"
    artifacts = [event["name"] for event in machine.events("artifact", "experiment_001")]
    assert artifacts == ["checkpoint_step_1000", "checkpoint_step_500"]
    (address,) = re.findall(r"Compare runs: (\S+)", said)
    assert address == f"{collector.url}/compare?runs=experiment_001,experiment_002,experiment_003"
    everything = "\n".join(path.read_text(errors="replace") for path in machine.dir.rglob("*") if path.is_file())
    assert "your-api-key" not in everything
    assert "your-api-key" not in said
    assert "give it to the collector" in said


@pytest.mark.timeout(60)
def test_both_halves_are_one_service(machine: Machine):
    """A run begun over REST goes on in the training process, by the job's id, with the same names and tags."""
    collector = machine.collector(CONFIG).wait_ready()
    asked = {"job_id": "both-1", "model_name": "llama", "dataset_name": "d.json", "use_case": "chat"}
    request = urllib.request.Request(
        f"{collector.url}/api/wandb/start-run", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        begun = json.load(answer)
    told = run_python(
        machine,
        "from wayside.compat.peft_studio import *\n"
        "service = configure_wandb()\n"
        "about = ExperimentMetadata('both-1', 'llama', 'd.json', 'chat')\n"
        "assert service.start_run('both-1', about, {})\n"
        "service.log_metrics('both-1', {'train/loss': 0.5}, step=1)\n"
        "run = service.active_runs['both-1']\n"
        "print('told:', service.get_run_url('both-1'), *run.tags, run.name)\n"
        "service.finish_run('both-1')\n"
        "assert service.get_run_url('both-1') and service.compare_runs(['both-1', 'other'])\n",
    )
    (line,) = re.findall(r"^told: (.*)$", told, re.MULTILINE)
    assert line.split() == [begun["run_url"], "chat", "llama", "job_both-1", "llama_chat_both-1"]
    with urllib.request.urlopen(f"{collector.url}/api/v1/runs/both-1", timeout=10) as answer:
        assert json.load(answer)["id"] == "both-1"
