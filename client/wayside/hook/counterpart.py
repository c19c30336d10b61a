"""The Wayside run beside a run of wandb's, or in its place."""

import os
from typing import Any, Dict, Optional

from .. import api
from ..asking import identity_of
from ..detection import say_as_primus
from ..identity import find_place
from ..notices import say
from ..runs import Run
from ..settings import read_settings
from .native import began

PROJECT = "uncategorized"  #: where wandb puts a run for which nobody names one

_NOT_CARRIED = (
    "W&B gets this run from the collector, without console output and code files; WAYSIDE_WANDB_HOOK=mirror keeps both"
)

_nth = 0  # runs of wandb's that this process has begun
_said = False  # what is not carried


def begin(told: Dict[str, Any], config: Any, origin: str, step: int = 0) -> Run:
    """Begin the run. told: what wandb calls it (id, name, project, entity, group, job_type, tags, notes, resume,
    each None or empty where it does not say). origin: "wandb" where wandb uploads it itself, "wayside" where it is
    diverted, "tensorflow" where TensorBoard tells it. step: the next one.
    """
    global _nth, _said
    _nth += 1
    settings = read_settings(os.environ)
    place = find_place(os.environ)
    told = dict(told, tags=tuple(str(tag) for tag in told.get("tags") or ()), resume=_resume(told.get("resume")))
    identity, problems = identity_of(told, settings, place, _nth, PROJECT)
    around = api.surroundings_of(settings.mode, settings, place)
    around = around._replace(fields=dict(around.fields, origin=origin))
    run = Run(identity, around, config)
    run._step = step
    if around.debug:
        say_as_primus(
            f"wandb.init() is heard: run {identity.id} of project {identity.project}, its rows by wandb.log()"
        )
    for problem in (*settings.problems, *problems):
        run.notices.tell(problem, problem)
    if around.enabled and not around.quiet:
        say(api.where_of(run, around))
        if origin == "wayside" and not _said:
            _said = say(_NOT_CARRIED)
    api.remember(run, current=False)
    began(run)
    return run


def _resume(asked: Any) -> Optional[str]:
    return None if not asked else "allow" if asked is True else str(asked)
