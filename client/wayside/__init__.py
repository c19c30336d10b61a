"""Wayside's client: log metrics without ever slowing a training step. Standard library only.

    import wayside

    with wayside.init(project="demo", config={"lr": 3e-4}):
        for step in range(100):
            wayside.log({"train/loss": 1 / (step + 1)}, step=step)

`wayside.run`, `wayside.config` and `wayside.summary` are those of the current run, as in wandb. What is asked of this
module is imported when it is first asked for: every Python process of an image may import it just to find that it has
nothing to do (`hook.activate`).
"""

from __future__ import annotations

from ._version import __version__

TYPE_CHECKING = False  # as type checkers know it; importing `typing` takes longer than all the rest of a Python's start
if TYPE_CHECKING:
    from typing import Any

    from . import compat as compat
    from .api import AlertLevel, alert, define_metric, finish, init, log
    from .dropin import charts as plot
    from .dropin import errors
    from .dropin import small as util
    from .dropin.absent import Api, agent, attach, controller, sweep
    from .dropin.charts import plot_table
    from .dropin.errors import CommError, Error, UsageError
    from .dropin.said import ensure_configured, require, teardown, termerror, termlog, termwarn
    from .dropin.settings import Settings, login, setup
    from .hook import install_wandb_hook
    from .media.artifacts import Artifact
    from .media.histogram import Histogram
    from .media.pictures import Image
    from .media.recordings import Audio, Html, Molecule, Object3D, Plotly, Video
    from .media.tables import Table
    from .runs import Run

_HOMES = {
    "api": ("AlertLevel", "alert", "define_metric", "finish", "init", "log"),
    "runs": ("Run",),
    "hook": ("install_wandb_hook",),
    "media.artifacts": ("Artifact",),
    "media.histogram": ("Histogram",),
    "media.pictures": ("Image",),
    "media.recordings": ("Audio", "Html", "Molecule", "Object3D", "Plotly", "Video"),
    "media.tables": ("Table",),
    "dropin.absent": ("Api", "agent", "attach", "controller", "sweep"),
    "dropin.charts": ("plot_table",),
    "dropin.errors": ("CommError", "Error", "UsageError"),
    "dropin.said": ("ensure_configured", "require", "teardown", "termerror", "termlog", "termwarn"),
    "dropin.settings": ("Settings", "login", "setup"),
}
_MODULES = {"compat": "compat", "errors": "dropin.errors", "plot": "dropin.charts", "util": "dropin.small"}
_CURRENT = ("run", "config", "summary")  # the current run's, as everything of it below: asked anew each time
_OF_RUN = (
    *("link_model", "log_artifact", "log_model", "mark_preempting", "pin_config_keys", "restore", "save"),
    *("unwatch", "use_artifact", "use_model", "watch"),
)

__all__ = [
    "AlertLevel",
    "Api",
    "Artifact",
    "Audio",
    "CommError",
    "Error",
    "Histogram",
    "Html",
    "Image",
    "Molecule",
    "Object3D",
    "Plotly",
    "Run",
    "Settings",
    "Table",
    "UsageError",
    "Video",
    "__version__",
    "agent",
    "alert",
    "attach",
    "config",
    "controller",
    "define_metric",
    "ensure_configured",
    "errors",
    "finish",
    "init",
    "install_wandb_hook",
    "link_model",
    "log",
    "log_artifact",
    "log_model",
    "login",
    "mark_preempting",
    "pin_config_keys",
    "plot",
    "plot_table",
    "require",
    "restore",
    "run",
    "save",
    "setup",
    "summary",
    "sweep",
    "teardown",
    "termerror",
    "termlog",
    "termwarn",
    "unwatch",
    "use_artifact",
    "use_model",
    "util",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _CURRENT or name in _OF_RUN:
        from . import api

        return api.current(name)
    home = _MODULES.get(name) or next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'wayside' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{home}", __name__)
    # From now on without asking, and all that comes from there: in Python 3.8 and 3.9 an exception of a signal handler
    # that meets an import, be it of what is loaded, leaves the import lock held, and `log` is asked for at any time.
    names = (name,) if name in _MODULES else _HOMES[home]
    globals().update((one, module if name in _MODULES else getattr(module, one)) for one in names)
    return globals()[name]


def __dir__() -> Any:
    return __all__
