"""docs/drop-in.md is held to the code, and the code to wandb 0.31: names, parameters, and what each of them does."""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import wayside
from wandb.errors import errors as wandb_errors
from wandb.sdk.wandb_config import Config as WandbConfig
from wandb.sdk.wandb_run import Run as WandbRun
from wandb.sdk.wandb_summary import Summary as WandbSummary
from wayside.dropin import charts, errors, small
from wayside.runs import Run

PAGE = (Path(__file__).parents[2] / "docs/drop-in.md").read_text()
OURS = {"install_wandb_hook", "__version__"}
MODULES = {"errors": (errors, wandb_errors), "plot": (charts, wandb.plot), "util": (small, wandb.util)}
CLASSES = ("Image", "Histogram", "Table", "Video", "Audio", "Html", "Object3D", "Molecule", "Plotly", "Artifact")

#: What newer versions of wandb no longer have, and older scripts call.
GONE = {"generate_id", "get_url", "project_name"}
#: Of wandb's public names of a table, those that write it into wandb's own folder.
INNER = {
    *("bind_to_run", "captions", "file_is_set", "from_json", "get_media_subdir", "has_been_logged", "init_from_json"),
    *("is_bound", "path_is_reference", "to_data_array", "to_json", "type_mapping", "with_suffix"),
}


def rows() -> list[tuple[set[str], str]]:
    found = []
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("| `") and len(cells) == 5:
            found.append((set(re.findall(r"`((?:wayside|run)\.\w+)`", cells[1])), cells[2]))
    return found


def offered() -> set[str]:
    """Every public name of the module and of a run, but for the plain ones that docs/client.md has."""
    plain = {name for name, _ in inspect.getmembers(Run) if name in PLAIN}
    run = {f"run.{name}" for name, _ in inspect.getmembers(Run) if not name.startswith("_") and name not in plain}
    return {f"wayside.{name}" for name in wayside.__all__} | run


PLAIN = {
    *("log", "finish", "alert", "define_metric", "id", "name", "project", "entity", "group", "job_type", "tags"),
    *("notes", "step", "config", "summary", "dir", "url"),
}


def test_the_table_has_every_name_and_no_other() -> None:
    """Once each."""
    listed = [name for names, _ in rows() for name in names]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == offered()


def test_the_words_of_the_table() -> None:
    """Are the four that the page explains."""
    assert {word for _, word in rows()} == {"kept", "told", "quiet", "refused"}


def names_of(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_a_run_has_no_names_but_wandbs() -> None:
    """Those aside that newer versions no longer have."""
    assert names_of(Run) - names_of(WandbRun) <= {*GONE, "summary"}


@pytest.mark.parametrize("kind", ["Run", "Config", "Summary", "Artifact", "Table"])
def test_scripts_find_and_set_what_wandbs_objects_have(
    kind: str, capsys: pytest.CaptureFixture[str], told_anew: None
) -> None:
    """Every public name of the installed SDK is there, and what may be set there may be set here and is read back."""
    run = wayside.init(mode="disabled")
    ours: dict[str, tuple[Any, type]] = {
        "Run": (run, WandbRun),
        "Config": (run.config, WandbConfig),
        "Summary": (run.summary, WandbSummary),
        "Artifact": (wayside.Artifact("a", "t"), wandb.Artifact),
        "Table": (wayside.Table(), wandb.Table),
    }
    thing, theirs = ours[kind]
    missing = {name for name in names_of(theirs) if not hasattr(thing, name)}
    assert missing == (INNER if kind == "Table" else set())
    values: dict[str, Any] = {"tags": ("a",), "aliases": ["a"], "metadata": {"a": 1}}
    for name in names_of(theirs):
        described = inspect.getattr_static(theirs, name)
        if isinstance(described, property) and described.fset is not None:
            setattr(thing, name, values.get(name, "x"))
            assert getattr(thing, name) == values.get(name, "x")
    run.finish()


def test_a_run_that_is_called_otherwise_says_so_once(capsys: pytest.CaptureFixture[str], told_anew: None) -> None:
    """Name, tags and notes may be set after init: the script reads them back, and hears that they stay its own."""
    run = wayside.init(mode="disabled", tags=["a"])
    capsys.readouterr()
    for _ in range(2):
        run.name, run.notes = "new", "words"
        run.tags += ("b",)
    assert (run.name, run.notes, run.tags) == ("new", "words", ("a", "b", "b"))
    said = capsys.readouterr().err.splitlines()
    assert [re.findall(r"run\.\w+", line)[0] for line in said] == ["run.name", "run.notes", "run.tags"]
    run.finish()


def test_scripts_find_every_function_of_the_module() -> None:
    """What is not there is listed here, each a matter of W&B's own server, or of another framework's."""
    absent = {
        *("ArtifactTTL", "Classes", "Config", "EvalTable", "Graph", "JoinedTable", "box3d", "visualize"),
        *("join", "sagemaker_auth", "termsetup"),
    }
    theirs = {
        name
        for name in dir(wandb)
        if not name.startswith("_") and not inspect.ismodule(getattr(wandb, name)) and callable(getattr(wandb, name))
    }
    assert theirs - set(wayside.__all__) == absent


def public(thing: Any, kind: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    yield from ((name, found) for name, found in inspect.getmembers(thing, kind) if not name.startswith("_"))


def pairs() -> Iterator[tuple[str, Any, Any]]:
    """Name, ours, wandb's: all that is called the same."""
    data = {"run", "config", "summary", "AlertLevel", "Settings", "Run"}
    for name in set(wayside.__all__) - OURS - set(MODULES) - data:
        theirs = getattr(WandbRun, name, None) or getattr(wandb, name)
        yield name, getattr(Run, name, None) or getattr(wayside, name), theirs
    for module, (ours_in, theirs_in) in MODULES.items():
        for name, ours in public(ours_in, callable):
            if ours.__module__ == ours_in.__name__:
                yield f"{module}.{name}", ours, getattr(theirs_in, name, None)
    for kind in CLASSES:
        for name, ours in public(getattr(wayside, kind), inspect.isfunction):
            yield f"{kind}.{name}", ours, getattr(getattr(wandb, kind), name, None)
    for name, ours in public(Run, inspect.isfunction):
        yield f"run.{name}", ours, getattr(WandbRun, name, None)
    yield "run._label", Run._label, WandbRun._label


PAIRS = sorted(pairs(), key=lambda pair: pair[0])


@pytest.mark.parametrize(("name", "ours", "theirs"), PAIRS, ids=[name for name, _, _ in PAIRS])
def test_parameters_are_wandbs(name: str, ours: Callable[..., Any], theirs: Callable[..., Any] | None) -> None:
    """Every call that fits wandb's signature fits ours: the same names in the same places, or whatever they are."""
    if theirs is None:
        assert name.rpartition(".")[2] in GONE
        return
    mine, their = (inspect.signature(one).parameters for one in (ours, theirs))
    kinds = {parameter.kind for parameter in mine.values()}
    takes_named = inspect.Parameter.VAR_KEYWORD in kinds
    for parameter in their.values():
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            continue
        assert parameter.name in mine or takes_named, f"{name} has no {parameter.name}"
        if parameter.name in mine and parameter.default is not inspect.Parameter.empty:
            assert mine[parameter.name].default is not inspect.Parameter.empty, f"{parameter.name} must be optional"
    if inspect.Parameter.VAR_POSITIONAL not in kinds and name not in ("init", "run.init"):
        places = [one.name for one in mine.values() if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
        theirs_places = [one.name for one in their.values() if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
        common = min(len(places), len(theirs_places)) if takes_named else len(theirs_places)
        assert places[:common] == theirs_places[:common]


@pytest.mark.parametrize(("name", "ours", "theirs"), PAIRS, ids=[name for name, _, _ in PAIRS])
def test_parameters_of_ours_are_wandbs(name: str, ours: Callable[..., Any], theirs: Callable[..., Any] | None) -> None:
    """We claim none that wandb has not."""
    if theirs is None or name in ("Api", "sweep", "agent", "controller", "attach"):
        return
    mine, their = (inspect.signature(one).parameters for one in (ours, theirs))
    various = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    if not any(parameter.kind in various for parameter in their.values()):
        assert {part for part, one in mine.items() if one.kind not in various} <= set(their)


@pytest.mark.parametrize("name", [name for names, word in rows() if word == "refused" for name in sorted(names)])
def test_what_is_refused_says_what_to_do(name: str) -> None:
    """By wandb's own exception, in words of ours."""
    with pytest.raises(wayside.UsageError, match=r"wayside has no \w+\(\): \w+"):
        getattr(wayside, name.partition(".")[2])("x")


@pytest.mark.parametrize("word", ["told", "quiet"])
def test_what_is_told_and_what_is_not(word: str, capsys: pytest.CaptureFixture[str], told_anew: None) -> None:
    """Each call without effect is said once on stderr, and what is quiet says nothing."""
    run = wayside.init(mode="disabled")
    calls: dict[str, tuple[Any, ...]] = {
        **{"link_model": (__file__, "r"), "link_artifact": (wayside.Artifact("a", "t"), "x")},
        **{"use_artifact": ("a:latest",), "use_model": ("a",), "restore": ("f",), "login": ("key",)},
        **{"write_logs": ("x",)},
    }
    capsys.readouterr()
    for names in [names - {"wayside.Settings"} for names, its in rows() if its == word]:
        said = []
        for _ in range(2):
            for name in names:
                home, _, call = name.partition(".")
                getattr(wayside if home == "wayside" else run, call)(*calls.get(call, ()))
            said.append(capsys.readouterr().err)
        assert bool(said[0]) == bool(names and word == "told"), f"{names} said {said[0]!r}"
        assert said[1] == "", f"{names} are told twice"
    run.finish()


@pytest.fixture
def told_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a process that has told nothing."""
    monkeypatch.setattr("wayside.told._told", set())
    monkeypatch.setenv("WAYSIDE_DIR", str(tmp_path))
    monkeypatch.setenv("WAYSIDE_QUIET", "1")


def test_the_pages_script_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told_anew: None) -> None:
    """As it stands there."""
    monkeypatch.setenv("WAYSIDE_MODE", "offline")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "drop-in.md", "exec"), {})
    assert list(tmp_path.glob("journals/*/*.seg"))
