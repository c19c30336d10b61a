"""The same answers in every Python a training image may have, and a price of importing them that nobody notices."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "client"
ENVIRONMENTS = Path(__file__).with_name("environments.json")
VERSIONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]

ANSWERS = f"""
import json, sys
sys.path.insert(0, {str(CLIENT)!r})
from wayside.settings import Settings, read_settings, socket_candidates
from wayside.identity import Here, find_place, run_id
answers = {{}}
here = Here(argv=("train.py",), parent="p")
for group, known in json.load(open({str(ENVIRONMENTS)!r})).items():
    for name, environ in known["environments"].items():
        place = find_place(environ, here)
        made = run_id(None, Settings(), place, "demo", None, 1)
        answers[group + "/" + name] = [place.fields(), made.id if place.anchor else None, made.problems]
answers["settings"] = read_settings({{"WAYSIDE_MODE": "x", "WANDB_TAGS": "a,b"}}, "/w")
answers["sockets"] = socket_candidates(answers["settings"])
answers["refused"] = run_id("a/b", Settings(), find_place({{}}, here), None, None, 1)
print(json.dumps(answers))
"""

GATHERED = f"""
import sys
sys.path.insert(0, {str(CLIENT)!r})
import threading, json, os
from wayside.settings import read_settings
from wayside.identity import find_place
from wayside.about import gather
settings, place, found = read_settings(os.environ), find_place(os.environ), []
thread = threading.Thread(target=lambda: found.append(gather(settings, place, argv=["t.py", "--token=x"])))
thread.start()
thread.join()
print(json.dumps(found[0]))
"""

# The package without its `__init__`, which imports all of the client.
IMPORTED = f"""
import os, sys, typing, types
wayside = sys.modules["wayside"] = types.ModuleType("wayside")
wayside.__path__ = [{str(CLIENT / "wayside")!r}]
import contextlib, threading  # as all of the client does
before = set(sys.modules)
import wayside.settings, wayside.identity, wayside.about
print(",".join(sorted(set(sys.modules) - before)))
"""


def python(version: str) -> str:
    """An interpreter of this version: our own, or one that pyenv has; the test is skipped where there is none."""
    if version == ".".join(map(str, sys.version_info[:2])):
        return sys.executable
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    if not found:
        pytest.skip(f"Python {version} is not installed here")
    return str(found[-1])


def answer(version: str, program: str, cwd: Path) -> str:
    command = [python(version), "-W", "error", "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd).stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_gives_the_same_answers(version: str, tmp_path: Path) -> None:
    """Ranks, ids and settings do not depend on the version of Python."""
    ours = ".".join(map(str, sys.version_info[:2]))
    assert json.loads(answer(version, ANSWERS, tmp_path)) == json.loads(answer(ours, ANSWERS, tmp_path))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_tells_what_the_run_is(version: str, tmp_path: Path) -> None:
    """On a background thread, without a warning, with a repository and packages."""
    for command in ("init -q", "-c user.name=a -c user.email=a@b commit -q --allow-empty -m x"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    found = json.loads(answer(version, GATHERED, tmp_path))
    assert found["command"] == ["t.py", "--token=***"]
    assert found["python"].startswith(version + ".")
    assert len(found["git"]["commit"]) == 40
    assert found["packages"]
    assert found["problems"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_importing_loads_nothing_else(version: str, tmp_path: Path) -> None:
    """Importing settings, identity and about imports these and what they are made of, and no other module."""
    ours = ["about", "for_wandb", "identity", "importing", "jobs", "launchers", "primus", "reading", "settings"]
    ours.append("variables")
    assert answer(version, IMPORTED, tmp_path).strip().split(",") == [f"wayside.{name}" for name in ours]
