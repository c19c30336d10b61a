"""Adapters where their frameworks are not: they import, they log what they are told, and they never raise."""

import importlib
import pickle
import pkgutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wayside
from client.conftest import Place
from e2e.machine import until
from standins.journal_reading import Frames, read_journal
from wayside import integrations
from wayside.hook import native
from wayside.integrations import adapter
from wayside.integrations.accelerate import WaysideTracker
from wayside.integrations.composer import WaysideLogger as ComposerLogger
from wayside.integrations.keras import WaysideCallback as KerasCallback
from wayside.integrations.lightning import WaysideLogger
from wayside.integrations.ray import WaysideLoggerCallback
from wayside.integrations.stable_baselines3 import WaysideOutput
from wayside.integrations.transformers import WaysideCallback

NAMES = [module.name for module in pkgutil.iter_modules(integrations.__path__)]


@pytest.fixture(autouse=True)
def quiet(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No adapter has logged in this process yet."""
    monkeypatch.setenv("WAYSIDE_QUIET", "1")
    monkeypatch.setattr(native, "_to", "")
    monkeypatch.setattr(adapter, "_said", False)


def heard(run: wayside.Run) -> Frames:
    assert run._journal is not None
    return read_journal(Path(run._journal.shelf.folder.path))


def rows() -> list[tuple[int | None, dict[str, float]]]:
    return [(row.step, row.metrics) for row in heard(wayside.run).rows]


def arguments(**more: Any) -> Any:
    """Of a trainer."""
    told = {"run_name": "tiny", "output_dir": "out", "to_sanitized_dict": lambda: {"lr": 0.1}, **more}
    return types.SimpleNamespace(**told)


def state(step: int = 0, *, zero: bool = True, search: bool = False, trial: str | None = None) -> Any:
    """Of a trainer."""
    told = {"global_step": step, "is_world_process_zero": zero, "is_hyper_param_search": search, "trial_name": trial}
    return types.SimpleNamespace(**told)


@pytest.mark.parametrize("name", NAMES)
def test_it_imports_without_its_framework(name: str) -> None:
    """In a Python that has none of them, and without importing any other."""
    code = f"import sys, wayside.integrations.{name}; print(*sorted(sys.modules))"
    client = str(Path(__file__).parents[3] / "client")
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"sys = __import__('sys'); sys.path.insert(0, {client!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert not {"torch", "numpy", "transformers", "keras", "ray"} & set(done.stdout.split())


def test_nothing_of_it_is_imported_with_the_client() -> None:
    """Who does not ask for an adapter does not pay for one."""
    client = str(Path(__file__).parents[3] / "client")
    code = f"import sys; sys.path.insert(0, {client!r}); import wayside; wayside.init; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert "wayside.api" in done.stdout.split()
    assert not [name for name in done.stdout.split() if name.startswith(("wayside.integrations", "wayside.late"))]


def test_the_current_run_is_taken() -> None:
    """A script that has begun its run itself has one run, with the adapter's config on top."""
    run = wayside.init(id="own", config={"a": 1})
    assert adapter.begin("some", "fallback", {"b": 2}) is run
    assert run.config.as_dict() == {"a": 1, "b": 2}


def test_a_new_run_has_the_frameworks_project_unless_somebody_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script's word goes first, then the environment's."""
    assert adapter.begin("some", "fallback").project == "fallback"
    wayside.finish()
    monkeypatch.setenv("WAYSIDE_PROJECT", "environment")
    assert adapter.begin("some", "fallback").project == "environment"
    wayside.finish()
    assert adapter.begin("some", "fallback", project="script", name=None).project == "script"


def test_a_run_of_the_wandb_hook_is_taken(place: Place) -> None:
    """W&B knows it under the same id; and the hook hears nothing from there on."""
    from wayside.hook.counterpart import begin

    hooked = begin({"id": "theirs"}, None, "wandb")
    assert adapter.begin("some", "fallback") is hooked
    assert native.yielded()
    hooked.finish()


def test_hugging_faces_trainer() -> None:
    """Training and evaluation by its step under W&B's names; what is told once at the end is summary."""
    callback = WaysideCallback()
    model = types.SimpleNamespace(config=types.SimpleNamespace(to_dict=lambda: {"layers": 2}), num_parameters=lambda: 7)
    callback.on_train_begin(arguments(), state(), None, model=model)
    callback.on_log(arguments(), state(3), None, logs={"loss": 0.5, "eval_loss": 0.25, "none": None})
    callback.on_log(arguments(), state(3), None, logs={"train_runtime": 9.0, "epoch": 1.0})
    callback.on_predict(arguments(), state(3), None, metrics={"test_loss": 0.75})
    assert rows() == [(3, {"train/loss": 0.5, "eval/loss": 0.25}), (3, {"train/epoch": 1.0}), (3, {"test/loss": 0.75})]
    assert wayside.run.name == "tiny"
    assert wayside.run.project == "huggingface"
    assert wayside.config.as_dict() == {"layers": 2, "lr": 0.1, "model/num_parameters": 7}
    assert wayside.summary.as_dict() == {"train/train_runtime": 9.0}


def test_a_run_that_was_ended_is_followed_by_another() -> None:
    """A script that finishes its run and trains on with the same trainer."""
    callback = WaysideCallback()
    callback.on_train_begin(arguments(), state(), None)
    first = wayside.run
    wayside.finish()
    callback.on_train_begin(arguments(), state(), None)
    callback.on_log(arguments(), state(1), None, logs={"loss": 0.5})
    assert wayside.run is not first
    assert rows() == [(1, {"train/loss": 0.5})]


def test_other_ranks_of_a_trainer_begin_nothing() -> None:
    """Their numbers are those of rank 0."""
    callback = WaysideCallback()
    callback.on_train_begin(arguments(), state(zero=False), None)
    callback.on_log(arguments(), state(1, zero=False), None, logs={"loss": 0.5})
    assert wayside.run is None


def test_each_trial_of_a_search_is_a_run() -> None:
    """Named after it, in a group named after the training."""
    callback = WaysideCallback()
    callback.on_train_begin(arguments(), state(search=True, trial="one"), None)
    first = wayside.run
    callback.on_train_begin(arguments(), state(search=True, trial="two"), None)
    assert first._finished
    assert (wayside.run.name, wayside.run.group) == ("two", "tiny")


def test_accelerate() -> None:
    """The project is the name of the run, as with W&B; steps and marks of commit go through."""
    tracker = WaysideTracker("named", main_process_only=False, tags=["t"])
    tracker.start()
    tracker.store_init_configuration({"lr": 0.1})
    tracker.log({"loss": 0.5}, step=4, commit=True)
    tracker.log_images({"samples": [np.zeros((2, 2, 3), "uint8")]}, step=4)
    tracker.log_table("answers", columns=["a"], data=[[1]], step=4)
    run = tracker.tracker
    assert run is not None
    assert (run.project, run.tags) == ("named", ("t",))
    assert rows() == [(4, {"loss": 0.5})]
    journal = Path(run._journal.shelf.folder.path) if run._journal is not None else Path()
    until(lambda: sum(event.kind == "media" for event in read_journal(journal).events) == 2, "a picture and a table")
    tracker.finish()
    assert wayside.run is None


def test_lightning() -> None:
    """Name and version are the run's."""
    logger = WaysideLogger(project="lit")
    assert (logger.name, logger.version) == ("lit", None)
    logger.log_hyperparams({"width": 4})
    logger.log_metrics({"loss": 0.5}, step=2)
    assert logger.version == wayside.run.id
    assert rows() == [(2, {"loss": 0.5})]
    assert wayside.config["width"] == 4


@pytest.mark.parametrize("kind", [WaysideCallback, WaysideLogger, KerasCallback, ComposerLogger, WaysideOutput])
def test_what_is_sent_to_another_process_begins_anew_there(kind: Any) -> None:
    """Searches over hyperparameters pickle a trainer with its callbacks; a run stays where it was begun."""
    adapted = kind(run=wayside.init())
    adapted._run = wayside.run
    sent = pickle.loads(pickle.dumps(adapted))
    assert sent._run is None
    assert adapted._run is wayside.run


def test_keras() -> None:
    """Batches are counted over epochs, and are the step."""
    callback = KerasCallback(batches=2)
    callback.params = {"epochs": 2}
    callback.model = types.SimpleNamespace(optimizer=None)
    callback.on_train_begin()
    for batch in range(3):
        callback.on_train_batch_end(batch, {"loss": 1.0 / (batch + 1)})
    callback.on_epoch_end(0, {"loss": 0.5})
    assert rows() == [(2, {"batch/loss": 0.5}), (3, {"epoch/epoch": 0.0, "epoch/loss": 0.5})]


def test_stable_baselines3() -> None:
    """What its logger excludes for us is left out."""
    output = WaysideOutput(project="agents")
    output.write({"a": 1.0, "b": 2.0, "c": 3.0}, {"a": None, "b": ("wayside",), "c": ("stdout",)}, 8)
    assert rows() == [(8, {"a": 1.0, "c": 3.0})]
    output.close()
    assert wayside.run is not None


def test_composer() -> None:
    """Rows by its batch; nothing for a call without numbers."""
    logger = ComposerLogger(project="comp")
    logger.init(types.SimpleNamespace(run_name="named"), None)
    logger.log_hyperparameters({"lr": 0.1})
    logger.log_metrics({}, step=0)
    logger.log_metrics({"loss/train/total": 0.5}, step=1)
    assert rows() == [(1, {"loss/train/total": 0.5})]
    assert wayside.run.name == "named"


def test_ray_tune() -> None:
    """A run a trial, beside one another, each with its end."""
    trials = [types.SimpleNamespace(trial_id=f"t{n}", config={"lr": n}, experiment_dir_name="e") for n in (1, 2)]
    callback = WaysideLoggerCallback(project="tuned")
    for trial in trials:
        callback.log_trial_start(trial)
    runs = dict(callback._runs)
    for trial in trials:
        told = {"loss": 0.5, "nested": {"a": 1}, "training_iteration": 3, "config": {"lr": 1}, "none": None}
        callback.log_trial_result(1, trial, told)
    for run in runs.values():
        assert [(row.step, row.metrics) for row in heard(run).rows] == [
            (3, {"loss": 0.5, "nested/a": 1.0, "training_iteration": 3.0})
        ]
        assert (run.project, run.group) == ("tuned", "e")
    callback.log_trial_end(trials[0])
    callback.log_trial_end(trials[1], failed=True)
    assert all(run._finished for run in runs.values())
    assert wayside.run is None


def test_what_fails_in_an_adapter_ends_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a framework hands over: it is said once, and the training goes on."""
    callback = WaysideCallback()
    for _ in range(3):
        callback.on_train_begin(object(), object(), None)
        callback.on_log(object(), object(), None, logs=5)
    WaysideLogger(config=object()).log_metrics({"a": 1.0}, 1)
    assert capsys.readouterr().err.count("goes on untouched") == 1


def test_a_framework_that_does_not_start_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half installed, or built for another machine."""
    (tmp_path / "planted_framework.py").write_text("raise OSError('libsomething.so')")
    monkeypatch.syspath_prepend(tmp_path)
    said: list[str] = []
    monkeypatch.setattr(adapter, "say", said.append)
    importlib.invalidate_caches()
    assert adapter.base_of("planted_framework.Class", "planted_nowhere.Class") is object
    (problem,) = said
    assert "libsomething.so" in problem
