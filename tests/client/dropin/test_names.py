"""What scripts call of wandb beside runs and media: settings, words to the terminal, small functions, errors."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import wandb
import wayside
from client.conftest import Place
from client.media.heard import finished


@pytest.fixture
def told_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wayside.told._told", set())


@pytest.mark.parametrize("as_dictionary", [False, True])
def test_settings_that_init_knows_take_effect(
    as_dictionary: bool, place: Place, told_anew: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under their own names; what the script says itself goes first, and the others are named."""
    asked = {"run_id": "abc", "run_name": "from settings", "project": "s", "run_tags": ["t"], "console": "off"}
    run = wayside.init(project="mine", settings=asked if as_dictionary else wayside.Settings(**asked))
    assert (run.id, run.name, run.project, run.tags) == ("abc", "from settings", "mine", ("t",))
    said = capsys.readouterr().err
    assert "Settings(console=) has no effect here" in said
    assert (run.settings.run_id, run.settings.project) == ("abc", "mine")
    assert run.path == "mine/abc"


def test_settings_of_mode(place: Place) -> None:
    """`Settings(mode="disabled")` is that mode."""
    assert wayside.init(settings=wayside.Settings(mode="disabled")).disabled


def test_a_key_is_never_shown(place: Place, told_anew: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither by the settings that hold it, nor by what is told of it, nor by login."""
    key = "0123456789" * 4
    settings = wayside.Settings(api_key=key)
    wayside.init(settings=settings)
    assert wayside.login(key=key)
    said = capsys.readouterr().err
    assert "api_key" in said
    assert "login() has no effect" in said
    assert key not in said + repr(settings)


def test_login_without_a_key_is_quiet(told_anew: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts begin with it."""
    assert wayside.login() is True
    assert capsys.readouterr().err == ""


def test_levels_as_text_and_as_members(place: Place) -> None:
    """A level is what wandb's enumeration gives, and the text it stands for."""
    for name in ("INFO", "WARN", "ERROR"):
        level = getattr(wayside.AlertLevel, name)
        assert level == level.value == level.name == name
        assert getattr(wandb.AlertLevel, name).value == level.value
    run = wayside.init()
    run.alert("t", level=wayside.AlertLevel.WARN)
    run.alert("t", level=wandb.AlertLevel.WARN)
    assert [event.data["level"] for event in finished(place).events if event.kind == "alert"] == ["WARN", "WARN"]


def test_ids_are_random_and_fit() -> None:
    """Lower-case letters and digits, of the length asked for."""
    found = {wayside.util.generate_id() for _ in range(100)}
    assert len(found) == 100
    assert all(re.fullmatch("[a-z0-9]{8}", one) for one in found)
    assert len(wayside.util.generate_id(20)) == 20


def test_json_of_anything() -> None:
    """As frameworks use it before they log."""
    assert json.loads(wayside.util.json_dumps_safer({"a": np.float32(0.5), "b": {1, 2}})) == {"a": 0.5, "b": [1, 2]}
    assert wayside.util.json_friendly(np.int64(3)) == (3, True)
    assert wayside.util.make_artifact_name_safe("a b/c") == wandb.util.make_artifact_name_safe("a b/c") == "a_b_c"
    assert wayside.util.get_module("json") is json
    assert wayside.util.get_module("no_such_module") is None
    with pytest.raises(ImportError, match="please"):
        wayside.util.get_module("no_such_module", required="please")


def test_words_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """With wandb's prefix; what is not to be repeated is said once."""
    wayside.termlog("hello")
    wayside.termwarn("careful", repeat=False)
    wayside.termwarn("careful", repeat=False)
    wayside.termerror("no", prefix=False, newline=False)
    assert capsys.readouterr().err == "wandb: hello\nwandb: WARNING careful\nno"


def test_errors_are_caught_as_wandbs() -> None:
    """Each is an Error, with the message and context that it was given."""
    assert issubclass(wayside.CommError, wayside.Error)
    assert issubclass(wayside.UsageError, wayside.errors.Error)
    problem = wayside.CommError("m", ValueError("x"))
    assert (problem.message, str(problem), type(problem.exc)) == ("m", "m", ValueError)
    assert wayside.Error("m", {"a": 1}).context == {"a": 1}


def test_without_a_run_what_needs_one_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `log` before `init`: no exception, and one line."""
    monkeypatch.setattr("wayside.api._said", False)
    assert wayside.log_artifact("x", type="t") is None
    assert wayside.save("x") is None
    assert capsys.readouterr().err.count("while no run is open") == 1


def test_a_used_artifact_takes_every_call(place: Place, tmp_path: Path) -> None:
    """And downloads nothing into a folder that is there."""
    run = wayside.init()
    artifact = run.use_artifact("team/project/model:v3", type="model")
    assert artifact.wait().get("table").anything is artifact
    assert list(Path(artifact.download()).iterdir()) == []
    assert Path(artifact.download(root=str(tmp_path / "here"))).is_dir()
    own = wayside.Artifact("a", "t")
    assert run.use_artifact(own) is own


def test_a_name_that_is_not_there() -> None:
    """Is an AttributeError like any module's, so that `hasattr` is right."""
    assert not hasattr(wayside, "keras")
    assert sorted(set(wayside.__all__) - set(dir(wayside))) == []


def test_teardown_ends_the_runs(place: Place) -> None:
    """All of this process."""
    wayside.init()
    wayside.init(reinit="create_new")
    wayside.teardown()
    assert wayside.run is None


def test_what_a_run_knows_of_itself(place: Place) -> None:
    """Under wandb's names, without any network."""
    run = wayside.init(project="p", entity="e", id="i", mode="offline")
    assert run.path == "e/p/i"
    assert run.offline
    assert not run.disabled
    assert not run.resumed
    assert (run.get_url(), run.project_name(), run.starting_step, run.sweep_id) == (None, "p", 0, None)
    assert run.start_time > 1e9
    assert run.to_html() == ""
    assert run.display() is False
    run.log({"a": 1.0})
    assert run.status().sync_items_total >= 1
    run._label(code="x", repo="y")
    run.mark_preempting()
    told = [event.data for event in finished(place).events if event.kind == "summary"]
    assert told == [{"set": {"preempting": True}, "remove": []}]
