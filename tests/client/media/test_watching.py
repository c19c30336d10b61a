"""What `watch` hooks into a model, without torch: which tensors, how often, and that nothing of it reaches training."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import wayside
from client.conftest import Place
from client.media.heard import finished, refused
from wayside.watching import MAX_LAYERS


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
