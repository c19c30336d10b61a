"""What `watch` hooks into a model, without torch: which tensors, how often, and that nothing of it reaches training."""

import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import wayside
from client.conftest import Place
from client.media.heard import finished, refused
from wayside.tensors import Coming
from wayside.watching import BINS, MAX_LAYERS, MAX_ROW, Watch


class Parameter:
    """A tensor that remembers its hooks."""

    def __init__(self, requires_grad: bool = True) -> None:
        self.requires_grad = requires_grad
        self.hooks: list[Callable[[Any], None]] = []

    def register_hook(self, hook: Callable[[Any], None]) -> Any:
        self.hooks.append(hook)
        return SimpleNamespace(remove=lambda: self.hooks.remove(hook))


class Model:
    def __init__(self, *parameters: Parameter) -> None:
        self.parameters = parameters

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        return [(f"layer{number}", each) for number, each in enumerate(self.parameters)]


@pytest.fixture(autouse=True)
def run(place: Place, monkeypatch: pytest.MonkeyPatch) -> wayside.Run:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    return wayside.init()


@pytest.mark.parametrize(("log", "hooks"), [("gradients", 1), ("parameters", 1), ("all", 2), (None, 0)])
def test_what_is_hooked(run: wayside.Run, log: Any, hooks: int) -> None:
    """Parameters that are trained; unwatching takes every hook out, of one model or of all."""
    models = [Model(Parameter(), Parameter(requires_grad=False)) for _ in range(2)]
    wayside.watch(models, log=log)
    assert [[len(each.hooks) for each in model.parameters] for model in models] == [[hooks, 0]] * 2
    run.unwatch(models[0])
    assert [len(model.parameters[0].hooks) for model in models] == [0, hooks]
    wayside.unwatch()
    assert [len(model.parameters[0].hooks) for model in models] == [0, 0]


def test_nothing_is_queued_into_a_graph_that_is_captured(
    run: wayside.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be done at every replay: the tensor is not even looked at, and the reason is told."""
    cuda = SimpleNamespace(is_current_stream_capturing=lambda: True, Event=object)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    parameter = Parameter()
    run.watch(Model(parameter), log_freq=1)
    parameter.hooks[0](SimpleNamespace(device=SimpleNamespace(type="cuda"), is_floating_point=lambda: True))
    assert run.notices.refused == {"watch": 1}
    assert "is being captured" in capsys.readouterr().err


def test_a_failing_look_is_ours_alone(run: wayside.Run, place: Place) -> None:
    """The hook returns as if nothing were; what failed is counted, at the passes that are looked at."""
    parameter = Parameter()
    run.watch(Model(parameter), log_freq=3)
    for _ in range(7):
        assert parameter.hooks[0](object()) is None
    assert refused(finished(place)) == {"watch": 2}


def test_so_many_layers_are_watched(run: wayside.Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The first, and it is told."""
    model = Model(*(Parameter() for _ in range(MAX_LAYERS + 1)))
    run.watch(model)
    assert sum(bool(each.hooks) for each in model.parameters) == MAX_LAYERS
    assert f"the first {MAX_LAYERS} of this model's {MAX_LAYERS + 1}" in capsys.readouterr().err


def test_what_cannot_be_watched(run: wayside.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raises what wandb raises."""
    with pytest.raises(ValueError, match="log must be one of"):
        run.watch(Model(), log="everything")
    with pytest.raises(TypeError, match="Expected a pytorch model"):
        run.watch([Model(), object()])
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(TypeError, match="Expected a pytorch model"):
        run.watch(Model())


class Numbers(list[float]):
    """What stands on the host in place of a small tensor."""

    def tolist(self) -> list[float]:
        return list(self)


def test_so_many_layers_are_one_row(run: wayside.Run, place: Place) -> None:
    """Of a pass; those beyond are another row of the same step."""
    watch = Watch(run, Model(), "all", 1, "")
    numbers = Numbers([1.0, 0.0, 2.0, 1.5, 0.0, 2.0, *range(BINS)])
    watch._pass = {f"gradients/layer{number}": Coming(numbers, lambda: True) for number in range(MAX_ROW + 1)}
    watch._keep_pass()
    rows = [row for row in finished(place).rows if row.metrics]
    assert [(row.step, row.commit, len(row.metrics)) for row in rows] == [(0, False, 4 * MAX_ROW), (0, False, 4)]


def test_a_device_that_is_behind(run: wayside.Run, place: Place) -> None:
    """Its numbers come into the step that was open at their pass, before the row that was logged meanwhile."""
    there = threading.Event()
    watch = Watch(run, Model(), "all", 1, "")
    for step in range(2):
        run.log({"loss": 1.0}, step=step)
        watch._pass = {"gradients/layer": Coming(Numbers([float(step)] * 6 + [1.0] * BINS), there.is_set)}
        watch._keep_pass()
    run.log({"loss": 2.0}, step=2)
    there.set()
    rows = [(row.step, row.metrics) for row in finished(place).rows if row.metrics]
    looks = [{f"gradients/layer/{name}": float(step) for name in ("norm", "min", "max", "mean")} for step in range(2)]
    assert rows == [(0, {"loss": 1.0}), (0, looks[0]), (1, {"loss": 1.0}), (1, looks[1]), (2, {"loss": 2.0})]
