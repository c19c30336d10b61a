"""What a diverted run of wandb's is asked beside rows: artifacts, files, watched models, by our run's own calls. The
script gets what wandb gives in mode "disabled".
"""

from typing import Any, Callable, Dict

from ..media.artifacts import Artifact
from ..runs import Run
from .guarded import guarded

NAMES = ("log_artifact", "log_model", "save", "watch", "unwatch")  #: also rebound in the module, as wandb.init does


def methods(ours: Run, theirs: Any) -> Dict[str, Callable[..., Any]]:
    """For the class of a diverted run. theirs: the run, as wandb made it."""
    return {name: _both(getattr(ours, name), getattr(theirs, name)) for name in NAMES if hasattr(theirs, name)}


def _both(ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **named: Any) -> Any:
        guarded(ours, *(_ours(argument) for argument in args), **{name: _ours(named[name]) for name in named})
        return theirs(*args, **named)

    return method


def _ours(argument: Any) -> Any:
    """An artifact of wandb's as one of ours; anything else as it is."""
    if type(argument).__name__ != "Artifact" or not str(type(argument).__module__).startswith("wandb."):
        return argument
    made = Artifact(argument.name, argument.type, argument.description, dict(argument.metadata or {}))
    for name, entry in argument.manifest.entries.items():
        if entry.local_path is not None:
            made.add_file(entry.local_path, name)
        elif entry.ref is not None:
            made.add_reference(entry.ref, name)
    return made
