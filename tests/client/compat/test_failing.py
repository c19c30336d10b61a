"""The guides' names where something is missing or goes wrong: the training goes on, and is told once."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wayside
from client.conftest import Place
from client.test_older_pythons import CLIENT, VERSIONS, python
from standins.journal_reading import Frames, read_journal
from wayside import api
from wayside.compat import beginning, bitnet, init_from_args, model_foundry, peft_studio
from wayside.compat.diffsynth import ModelLogger
from wayside.row import CONFIG, FINISH, SUMMARY

#: All four, with wandb and torch out of reach, with no collector, and with an exception in the middle.
STORY = """
import sys
sys.modules["wandb"] = sys.modules["torch"] = None
import argparse
import wayside
assert not [name for name in sys.modules if name.startswith("wayside.compat")]
import wayside.compat
from wayside.compat import bitnet, diffsynth, model_foundry, peft_studio
logger = diffsynth.ModelLogger("out", use_wandb=True, wandb_project="p", wandb_run_name="d")
logger.init_wandb()
logger.on_step_end(None, None, loss=0.5)
logger.on_training_end(None, None)
service = peft_studio.configure_wandb()
service.start_run("job/1", peft_studio.ExperimentMetadata("job/1", "m", "d", "u"), {"lr": 1})
assert service.log_metrics("job/1", {"loss": 0.5}, step=1)
assert service.finish_run("job/1")
args = wayside.compat.add_arguments(argparse.ArgumentParser(), like="bitnet").parse_args([])
run = wayside.compat.init_from_args(args)
run.log({"train/loss": 0.5, **bitnet.get_system_metrics()}, step=1)
run.finish()
foundry = model_foundry.WandBLogger("p", "f", {"a": 1}, ["t"])
foundry.log_metrics(1, {"train/loss": 0.5})
foundry.log_system_metrics()
foundry.log_image("picture", object())
foundry.log_table("table", ["a"], [[1, 2, 3]])
foundry.log_histogram("histogram", object())
foundry.log_artifact("/nowhere", "model", "m")
foundry.watch_model(object())
foundry.alert("t", "x", level="odd")
assert foundry.get_run_url() is None and foundry.summary() == {"train/loss": 0.5}
raise RuntimeError("in the middle of a training")
"""


def heard(place: Place) -> dict[str, Frames]:
    """What each session here has written, by the name of its run."""
    folders: dict[str, list[Path]] = {}
    for path in place.journals():
        folders.setdefault(path.name, []).append(path)
    read = [read_journal(*paths) for paths in folders.values()]
    return {str(frames.records[0]["run"]["name"]): frames for frames in read}  # type: ignore[index]


def said(frames: Frames, kind: str) -> dict[str, Any]:
    """A config or summary, as all changes make it."""
    merged: dict[str, Any] = {}
    for event in frames.events:
        if event.kind == kind:
            merged.update(event.data["set"])
    return merged


@pytest.mark.parametrize("version", VERSIONS)
def test_without_wandb_torch_and_collector(version: str, tmp_path: Path, memory: Path):
    """In every Python nothing raises but the training's own exception, every row is kept, and the run that was open has
    failed.
    """
    place = Place(memory, tmp_path / "overflow")
    environ = {**place.environ, "PYTHONPATH": str(CLIENT)}
    command = [python(version), "-W", "error", "-c", STORY]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=60)
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert done.stderr.rstrip().endswith("RuntimeError: in the middle of a training")
    found = heard(place)
    assert len(found) == 4
    assert all(frames.rows for frames in found.values())
    ends = {name: [one.data["exit_code"] for one in it.events if one.kind == FINISH] for name, it in found.items()}
    assert ends.pop("f") == [1]
    assert set(map(tuple, ends.values())) == {(0,)}
    for told in ("the image 'picture'", "the histogram", "the artifact 'm'", "the watch 'object'"):
        assert told in done.stderr


def test_nothing_is_loaded_that_is_not_asked_for(tmp_path: Path):
    """`import wayside` loads none of it, and a guide's module loads no other guide's."""
    program = "import sys, wayside; print([n for n in sys.modules if 'compat' in n]); wayside.compat.add_arguments; "
    program += "import wayside.compat.bitnet; "
    program += "print(sorted(n for n in sys.modules if n.startswith('wayside.compat.')))"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert done.stdout.splitlines() == [
        "[]",
        "['wayside.compat.arguments', 'wayside.compat.beginning', 'wayside.compat.bitnet']",
    ]


# --- modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "variable", "announced"),
    [
        ("online", None, None),
        ("offline", None, {"mode": "offline"}),
        ("online", "offline", {"mode": "offline"}),
        ("offline", "online", None),
    ],
)
def test_offline_is_about_wandb_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch, flag: str, variable: str | None, announced: Any
):
    """The run goes to the collector as ever and says what it wants of W&B; the environment goes before the flag, as
    wandb has it of everything that a guide sets by itself, and is left as it was.
    """
    if variable is not None:
        monkeypatch.setenv("WANDB_MODE", variable)
    run = init_from_args(Namespace(disable_wandb=False, wandb_mode=flag, wandb_run_name="r"))
    run.finish()
    (record,) = heard(place)["r"].records[:1]
    assert (record["mode"], record.get("wandb")) == ("online", announced)
    assert os.environ.get("WANDB_MODE") == variable


@pytest.mark.parametrize("args", [{"disable_wandb": True}, {"disable_wandb": False, "wandb_mode": "disabled"}])
def test_what_is_disabled_is_kept_nowhere(place: Place, args: dict[str, Any], capsys: pytest.CaptureFixture[str]):
    """Every call is taken, and nothing comes of it, on stderr neither."""
    trainer = bitnet.Tracking()
    trainer.args = Namespace(wandb_run_name=None, **args)
    trainer.setup_wandb()
    trainer.log_metrics({"loss": 0.5}, 1)
    trainer.finish_wandb()
    run = init_from_args(trainer.args)
    run.log({"loss": 0.5})
    run.finish()
    assert place.journals() == []
    assert capsys.readouterr().err == ""


def test_a_higher_rank_tracks_nothing(place: Place, monkeypatch: pytest.MonkeyPatch):
    """Neither by the trainer's rank nor by the launcher's."""
    trainer = bitnet.Tracking()
    trainer.args, trainer.rank = Namespace(disable_wandb=False, wandb_run_name="r"), 3
    trainer.setup_wandb()
    assert trainer.wandb_run is None
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    trainer.rank = 0
    trainer.setup_wandb()
    assert trainer.wandb_run is None
    run = init_from_args(trainer.args)
    run.log({"loss": 0.5})
    run.finish()
    assert place.journals() == []
    logger = ModelLogger("out", use_wandb=True)
    logger.init_wandb()
    assert not logger.wandb_initialized
    logger.init_wandb(SimpleNamespace(is_main_process=True))  # accelerate knows better
    assert logger.wandb_initialized


def test_a_made_up_name_tears_no_run_in_two(place: Place, monkeypatch: pytest.MonkeyPatch):
    """A job that is started again has a name of another time, and the same id; its second run has another one."""
    monkeypatch.setenv("WORKLOAD_UID", "job-1")
    ids = []
    for _ in range(2):
        monkeypatch.setattr(bitnet, "_unnamed", iter((1, 2)))
        for _ in range(2):
            run = init_from_args(Namespace(disable_wandb=False, wandb_run_name=None, model_size="rtx"))
            ids.append(run.id)
            run.finish()
    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]


def test_a_tag_alone_is_one_tag(place: Place):
    """A text in the place of a list is no list of letters; and the loggers have wandb's names, as scripts ask."""
    logger = model_foundry.WandBLogger("p", "tagged", {}, tags="baseline")  # type: ignore[arg-type]
    assert logger.run is not None
    assert logger.run.tags == ("baseline",)
    assert logger.wandb.run is logger.run
    logger.finish()
    run = init_from_args(
        Namespace(disable_wandb=False, wandb_run_name="r", wandb_tags="a", model_size="rtx", dataset="")
    )
    assert run.tags == ("a", "rtx")
    run.finish()
    assert peft_studio.WandBConfig(tags="b").tags == ["b"]
    assert ModelLogger("out").wandb is wayside


# --- numbers of the machine ------------------------------------------------------------------------------------------


class Cuda:
    """torch.cuda, initialised or not; asking it for memory before would make a context."""

    def __init__(self, *, initialized: bool) -> None:
        self.initialized = initialized

    def is_initialized(self) -> bool:
        return self.initialized

    def memory_allocated(self) -> int:
        assert self.initialized
        return 3 * 1024**3

    def memory_reserved(self) -> int:
        assert self.initialized
        return 4 * 1024**3

    def mem_get_info(self) -> tuple[int, int]:
        return 6 * 1024**3, 8 * 1024**3

    def utilization(self) -> int:
        return 87

    def temperature(self) -> int:
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")


def test_torchs_memory_is_told_where_torch_uses_a_gpu(place: Place, monkeypatch: pytest.MonkeyPatch):
    """In GiB by BitNet's names, in GB by Model Foundry's, with what else torch knows of the GPU; nowhere else is it
    asked for, and torch is not imported.
    """
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert beginning.torch_memory() is None
    for odd in (SimpleNamespace(), SimpleNamespace(cuda=Cuda(initialized=False)), None):
        assert beginning.torch_memory({"torch": odd}) is None
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=Cuda(initialized=True)))
    found = bitnet.get_system_metrics()
    assert (found["torch_gpu_memory_allocated"], found["torch_gpu_memory_reserved"]) == (3.0, 4.0)
    assert 0 <= found["memory_percent"] <= 100
    assert {name: value for name, value in found.items() if name.startswith("gpu_")} == {
        "gpu_utilization": 87.0,
        "gpu_memory_used": 2048.0,
        "gpu_memory_total": 8192.0,
        "gpu_memory_percent": 25.0,
    }
    logger = model_foundry.WandBLogger("p", "system", {})
    logger.log_system_metrics(step=7)
    logger.finish()
    (row,) = heard(place)["system"].rows
    assert row.step == 7
    assert row.metrics == pytest.approx(
        {
            "system/gpu_memory_allocated_gb": 3.221225472,
            "system/gpu_memory_reserved_gb": 4.294967296,
            "system/gpu_memory_cached_gb": 4.294967296,
        }
    )


# --- PEFT Studio's service -------------------------------------------------------------------------------------------

ABOUT = peft_studio.ExperimentMetadata("a", "llama", "d.json", "chat")


def test_a_service_never_raises(place: Place, capsys: pytest.CaptureFixture[str]):
    """Disabled, asked of a job nobody began, or given what is no dictionary: False or None, and why once."""
    service = peft_studio.WandBIntegrationService()
    assert not service.start_run("a", ABOUT, {})
    assert service.compare_runs(["a", "b"]) is None
    assert capsys.readouterr().err == ""
    service = peft_studio.configure_wandb(api_key="k" * 40, entity="team")
    for _ in range(2):
        assert not service.log_metrics("a", {"loss": 1.0})
        assert not service.finish_run("a")
        assert service.get_run_url("a") is None
    assert service.start_run("a", ABOUT, {"lr": 1})
    assert service.start_run("a", ABOUT, {"lr": 2})
    assert not service.log_metrics("a", [1])  # type: ignore[arg-type]
    assert not service.log_hyperparameters("a", None)  # type: ignore[arg-type]
    assert not service.log_artifact("a", "/nowhere")
    assert service.compare_runs(["a"]) is None
    assert service.compare_runs([str(number) for number in range(6)]) is None
    assert service.compare_runs(["a", "b/c"]) == "https://wandb.ai/team/peft-studio/table?runSets=a,b%2Fc"
    assert service.finish_run("a", summary={"final_loss": 0.5})
    told = capsys.readouterr().err
    assert service.config.api_key is None
    assert "k" * 40 not in told + repr(service.config) + json.dumps(heard(place)["llama_chat_a"].records)
    for once in (
        "an API key is not needed here",
        "no run of job 'a' is open",
        "metrics must be a dictionary",
        "2 to 5",
    ):
        assert told.count(once) == 1
    summary = said(heard(place)["llama_chat_a"], SUMMARY)
    assert summary == {
        "job_id": "a",
        "model_name": "llama",
        "dataset_name": "d.json",
        "use_case": "chat",
        "final_loss": 0.5,
    }
    assert said(heard(place)["llama_chat_a"], CONFIG) == {"lr": 1}


def test_jobs_run_beside_each_other(place: Place):
    """Each has rows of its own, the first is the process's current run, and a service configured anew keeps them."""
    service = peft_studio.configure_wandb()
    for job in ("a", "b"):
        assert service.start_run(job, peft_studio.ExperimentMetadata(job, "m", "d", "u", run_name=job), {})
    assert wayside.run is not None
    assert wayside.run.id == "a"
    again = peft_studio.configure_wandb(project_name="other")
    assert peft_studio.get_wandb_service() is again
    assert again.get_active_runs() == ["a", "b"]
    for number, job in enumerate(("a", "b")):
        assert again.log_metrics(job, {"loss": float(number)}, step=1)
        assert again.finish_run(job)
    found = heard(place)
    assert [found[job].rows[0].metrics["loss"] for job in ("a", "b")] == [0.0, 1.0]
    assert api._open == []
