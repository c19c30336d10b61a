"""What a script asks of `init`: anything may stand there, nothing raises, and what was made of it is told."""

import sys
from enum import StrEnum
from types import ModuleType
from typing import Any

import pytest
import wayside
from client.conftest import Place
from hypothesis import given
from hypothesis import strategies as st
from wayside.asking import Asking


class Bad:
    """An object that can be asked nothing."""

    def _refuse(self, *given: Any) -> Any:
        raise RuntimeError("no")

    __str__ = __repr__ = __bool__ = __iter__ = __len__ = __eq__ = __hash__ = _refuse


class Colour(StrEnum):
    RED = "red"


ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.builds(Bad))
ASKED: list[tuple[dict[str, Any], str]] = [
    ({"project": 5}, "init(project=) is 5"),
    ({"name": ["a"]}, "init(name=) is ['a']"),
    ({"id": 5}, "init(id=) is 5"),
    ({"id": Bad()}, "init(id=) is <Bad>"),
    ({"tags": "a"}, "init(tags=) is a text"),
    ({"tags": 5}, "init(tags=) is 5"),
    ({"tags": Bad()}, "init(tags=) is <Bad>"),
    ({"mode": "ofline"}, "init(mode=) is 'ofline'"),
    ({"mode": 5}, "init(mode=) is '5'"),
    ({"mode": Bad()}, "init(mode=) is '<Bad that"),
    ({"reinit": "always"}, "init(reinit=) is 'always'"),
    ({"reinit": Bad()}, "init(reinit=) is <Bad>"),
    ({"config": 5}, "a config is a dictionary"),
    ({"projct": "x"}, "projct (did you mean project?)"),
    ({"magic": True}, "init() has no use for magic"),
]


@pytest.mark.parametrize(("asked", "told"), ASKED, ids=[told for _, told in ASKED])
def test_nonsense_is_told_and_the_run_begins(
    asked: dict[str, Any], told: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """A notice says what was made of it; the run begins all the same."""
    with wayside.init(**asked) as run:
        run.log({"loss": 1.0})
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked",
    [
        {"project": "p", "name": "n", "tags": ["a", "b"], "mode": "offline", "reinit": True},
        {"project": Colour.RED, "tags": ("a",), "mode": "", "reinit": None, "config": {}},
        {"name": "", "tags": [], "reinit": False, "resume": "allow"},
        {"reinit": "default", "resume": True},
    ],
)
def test_what_wandb_takes_is_taken_without_a_word(
    asked: dict[str, Any], place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No notice for what wandb's scripts commonly say."""
    monkeypatch.setenv("WAYSIDE_QUIET", "1")
    with wayside.init(**asked) as run:
        run.log({"loss": 1.0})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"RANK": "x"}, "RANK is 'x'"),
        ({"RANK": "${SLURM_PROCID}", "WORLD_SIZE": "4"}, "RANK is '${SLURM_PROCID}'"),
        ({"RANK": "4", "WORLD_SIZE": "4"}, "RANK is 4 and WORLD_SIZE 4"),
        ({"LOCAL_RANK": "-1"}, "LOCAL_RANK is '-1'"),
        ({"WAYSIDE_PROJCT": "p"}, "did you mean WAYSIDE_PROJECT?"),
        ({"WAYSIDE_SHARED_MEMORY": "/proc"}, "WAYSIDE_SHARED_MEMORY is /proc, which is not memory-backed"),
    ],
)
def test_nonsense_in_the_environment_is_told(
    environ: dict[str, str],
    told: str,
    place: Place,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Variables that cannot be meant so are named with what was made of them."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with wayside.init() as run:
        run.log({"loss": 1.0})
    assert told in capsys.readouterr().err


@given(ANYTHING, st.one_of(ANYTHING, st.lists(ANYTHING)))
def test_anything_can_be_asked(value: Any, tags: Any) -> None:
    """Whatever stands there, texts come out, and nothing raises."""
    asking = Asking()
    assert isinstance(asking.words("name", value), (str, type(None)))
    assert all(isinstance(tag, str) for tag in asking.tags(tags))
    assert asking.mode(value, "offline") in ("online", "offline", "disabled")
    assert isinstance(asking.reinit(value), str)


def test_nonsense_beside_an_open_run(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A second `init` gives the open run back, and says what it made of its arguments all the same."""
    with wayside.init() as run:
        assert wayside.init(reinit="always") is run
    assert "init(reinit=) is 'always'" in capsys.readouterr().err


def test_a_notebooks_cell_that_is_run_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the run that it began before, unless it says otherwise."""
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", ModuleType("kernelapp"))
    first = wayside.init(name="r1")
    second = wayside.init(name="r2")
    assert (first._finished, second.name, wayside.run is second) == (True, "r2", True)
    assert wayside.init(reinit="return_previous") is second
    second.finish()
