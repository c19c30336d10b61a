"""What a run is: everything there, nothing secret, and no piece that fails the others."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wayside import about, wire
from wayside.about import MAX_ABOUT, MAX_PACKAGES, gather
from wayside.identity import Place
from wayside.settings import Settings, read_settings

SECRET = "5Ecr3tValueThatNobodyMaySee"
ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LEAK": SECRET}
PLACE = Place(rank=3, world_size=8, launcher="torchrun", job="slurm lab/7.0")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A repository with a commit, a change, a remote with a password and a file of secrets."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.py").write_text("lr = 1\n")
    (folder / ".env").write_text("X=1\n")
    url = f"https://user:{SECRET}@host/r.git"
    for command in (
        "init -q -b main",
        "add .",
        "-c user.name=a -c user.email=a@b commit -qm x",
        f"remote add origin {url}",
    ):
        subprocess.run(["git", *command.split()], cwd=folder, env=ENVIRON, check=True, capture_output=True)
    (folder / "train.py").write_text("lr = 2\n")
    (folder / ".env").write_text(f"X={SECRET}\n")
    return folder


def test_everything_is_told_and_no_secret(code: Path) -> None:
    """Command, code, machine and packages are there; secrets of arguments, remote, files and environment are not."""
    settings = read_settings({}, str(code))
    found = gather(settings, PLACE, ENVIRON, ["train.py", "--api-key", SECRET, "--lr", "2"], 12.5)
    assert SECRET not in json.dumps(found)
    assert found["problems"] == []
    assert found["command"] == ["train.py", "--api-key", "***", "--lr", "2"]
    assert (found["cwd"], found["executable"]) == (str(code), sys.executable)
    assert (found["world_size"], found["launcher"], found["job"]) == (8, "torchrun", "slurm lab/7.0")
    assert (found["started"], found["host"]) == (12.5, os.uname().nodename)
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["platform"].startswith("Linux-")
    assert 1 <= found["cpu_usable"] <= found["cpu_count"]
    assert found["packages"]["pytest"] == importlib.metadata.version("pytest")
    assert found["packages_left_out"] == 0
    assert found["git"]["branch"] == "main"
    assert found["git"]["remote"] == "https://host/r.git"
    assert "+lr = 2" in found["git"]["diff"]
    assert found["git"]["left_out"] == [".env"]


def test_git_and_diff_can_be_switched_off(code: Path) -> None:
    """WANDB_DISABLE_GIT tells nothing of the code, WANDB_DISABLE_CODE the commit without the diff."""
    without = gather(read_settings({"WANDB_DISABLE_GIT": "1"}, str(code)), PLACE, ENVIRON, [])
    assert "git" not in without
    commit_only = gather(read_settings({"WANDB_DISABLE_CODE": "1"}, str(code)), PLACE, ENVIRON, [])
    assert set(commit_only["git"]) == {"commit", "branch", "remote", "dirty"}


def test_the_script_s_repository_when_the_working_directory_has_none(code: Path, tmp_path: Path) -> None:
    """`python code/train.py` from elsewhere tells of the repository the script lies in."""
    settings = read_settings({}, str(tmp_path))
    assert "git" in gather(settings, PLACE, ENVIRON, ["code/train.py"])
    assert "git" not in gather(settings, PLACE, ENVIRON, ["train.py"])
    link = tmp_path / "start"
    link.symlink_to(code / "train.py")
    assert "git" in gather(settings, PLACE, ENVIRON, [str(link)])


def test_outside_a_repository_nothing_is_wrong(tmp_path: Path) -> None:
    """Without a repository there is no git entry and no problem, even where git is not installed."""
    found = gather(read_settings({}, str(tmp_path)), PLACE, {"PATH": str(tmp_path)}, ["train.py"])
    assert "git" not in found
    assert found["problems"] == []


def test_a_missing_git_is_a_problem_where_there_is_a_repository(code: Path, tmp_path: Path) -> None:
    """Where there would be something to tell, a missing git is one problem, and all else is there."""
    found = gather(read_settings({}, str(code)), PLACE, {"PATH": str(tmp_path)}, ["train.py"])
    assert found["problems"] == ["git: git is not installed, so commit and changes are not recorded"]
    assert found["packages"]


@pytest.mark.parametrize("step", ["_command", "_machine", "_code", "_packages"])
def test_a_failing_piece_is_a_problem_of_its_own(step: str, code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When one piece fails, that is said, and the others are there."""

    def fail(*arguments: object) -> dict[str, object]:
        raise OSError("the disk is gone")

    monkeypatch.setattr(about, step, fail)
    found = gather(read_settings({}, str(code)), PLACE, ENVIRON, ["train.py"])
    (problem,) = found["problems"]
    assert "the disk is gone" in problem
    assert sum(key in found for key in ("command", "python", "git", "packages")) == 3


class Distribution:
    """Stands in for an installed package whose metadata is what it is given, or raises."""

    def __init__(self, metadata: object) -> None:
        self._metadata = metadata

    @property
    def metadata(self) -> object:
        if isinstance(self._metadata, Exception):
            raise self._metadata
        return self._metadata


def test_broken_packages_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata that cannot be read hides no other package; of one name the first found is the one Python imports."""
    bad: list[object] = [
        None,
        {"Name": None, "Version": None},
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
        OSError(),
    ]
    good = [{"Name": "torch", "Version": "2.9"}, {"Name": "torch", "Version": "1.0"}, {"Name": "Abc", "Version": "1"}]
    planted = [Distribution(metadata) for metadata in [*bad, *good]]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: iter(planted))
    found = gather(Settings(git=False), PLACE, ENVIRON, [])
    assert found["packages"] == {"Abc": "1", "torch": "2.9"}
    assert found["problems"] == ["packages: 4 have no readable name and version"]


def test_very_many_packages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit packages are counted, and not read."""
    planted = [Distribution({"Name": f"p{n}", "Version": "1"}) for n in range(MAX_PACKAGES)]
    planted += [Distribution(AssertionError("read"))] * 7
    monkeypatch.setattr(about, "PAUSE", 0)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: iter(planted))
    found = gather(Settings(git=False), PLACE, ENVIRON, [])
    assert (len(found["packages"]), found["packages_left_out"]) == (MAX_PACKAGES, 7)


@pytest.mark.parametrize(("line", "fits"), [("'\\\"\n", True), ("\x01" * 100 + "\n", False)])
def test_it_fits_a_frame(code: Path, line: str, fits: bool) -> None:
    """However large the diff and however it swells as JSON, the event fits a frame; what is left out for it is said."""
    (code / "train.py").write_text(line * ((2 << 20) // len(line)))
    found = gather(read_settings({}, str(code)), PLACE, ENVIRON, ["train.py"])
    assert len(json.dumps(found).encode()) <= MAX_ABOUT
    assert len(wire.event_frame(0.0, None, "about", found)) <= wire.MAX_FRAME
    assert ("diff" in found["git"]) is fits
    assert len(found["problems"]) == (0 if fits else 1)


def test_names_that_are_no_text_can_be_sent(code: Path) -> None:
    """A command line and file names that are not UTF-8 still make a frame."""
    with open(os.fsencode(code) + b"/\xff", "w") as file:
        file.write("x")
    found = gather(read_settings({}, str(code)), PLACE, ENVIRON, ["train.py", "\udcff"])
    assert wire.read_event(
        wire.event_frame(0.0, None, "about", found), wire.scan(wire.event_frame(0.0, None, "about", found)).spans[0], 0
    )


def test_this_process_when_nothing_is_given() -> None:
    """Without arguments it is this process's own command line and environment that are told."""
    found = gather(read_settings({"WAYSIDE_DISABLE_CODE": "1"}), Place())
    assert found["command"][0] == sys.argv[0]
    assert found["started"] > 1e9
