"""Waiting for a module's import without a trace in how it is imported."""

import importlib
import importlib.resources
import importlib.util
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wayside.hook.finder import Finder, when_imported


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `planted_one` with a resource, and one that fails when imported; both forgotten afterwards."""
    (tmp_path / "planted_one").mkdir()
    (tmp_path / "planted_one" / "__init__.py").write_text("ready = True\n")
    (tmp_path / "planted_one" / "words.txt").write_text("found")
    (tmp_path / "planted_broken.py").write_text("raise ValueError('theirs')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("planted_one", "planted_two", "planted_broken"):
        sys.modules.pop(name, None)
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]


def test_called_when_the_body_has_run(planted: Path):
    """Once, with the whole module; its loader and its resources are as without us."""
    heard: list[Any] = []
    when_imported("planted_one", lambda module: heard.append(module.ready))
    assert heard == []
    module = importlib.import_module("planted_one")
    importlib.import_module("planted_one")
    assert heard == [True]
    assert "exec_module" not in vars(module.__spec__.loader)
    assert (importlib.resources.files("planted_one") / "words.txt").read_text() == "found"


def test_called_again_for_a_reload(planted: Path):
    """Its body gives a module back what it had before us; so does a second import after it was forgotten."""
    heard: list[Any] = []
    when_imported("planted_one", heard.append)
    module = importlib.import_module("planted_one")
    importlib.reload(module)
    del sys.modules["planted_one"]
    other = importlib.import_module("planted_one")
    assert heard == [module, module, other]


def test_called_at_once_for_what_is_there(planted: Path):
    """A module that has been imported is patched where it stands, and again when it is reloaded."""
    module = importlib.import_module("planted_one")
    heard: list[Any] = []
    when_imported("planted_one", heard.append)
    assert heard == [module]
    importlib.reload(module)
    assert heard == [module, module]


def test_a_module_that_is_not_installed(planted: Path):
    """Its import fails as ever, and may succeed later."""
    when_imported("planted_absent", lambda module: pytest.fail("there is none"))
    with pytest.raises(ModuleNotFoundError, match="planted_absent"):
        importlib.import_module("planted_absent")
    assert any(isinstance(finder, Finder) for finder in sys.meta_path)


def test_looked_for_before_it_is_imported(tmp_path: Path, planted: Path, monkeypatch: pytest.MonkeyPatch):
    """Scripts ask whether a package is installed first, and an archive gives the same loader twice: its import is as
    ever, and heard once.
    """
    archive = tmp_path / "planted.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("planted_two.py", "ready = True\n")
    monkeypatch.syspath_prepend(archive)
    heard: list[Any] = []
    when_imported("planted_two", heard.append)
    assert importlib.util.find_spec("planted_two") is not None
    module = importlib.import_module("planted_two")
    assert heard == [module]
    assert "exec_module" not in vars(module.__spec__.loader)


def test_a_module_that_fails(planted: Path):
    """Its own error reaches the script, and we are not called."""
    when_imported("planted_broken", lambda module: pytest.fail("it never ran to its end"))
    with pytest.raises(ValueError, match="theirs"):
        importlib.import_module("planted_broken")


def test_asked_for_twice(planted: Path):
    """One finder for each name."""
    for _ in range(2):
        when_imported("planted_one", lambda module: None)
    assert sum(isinstance(finder, Finder) for finder in sys.meta_path) == 1
