"""The Wayside run beside a run of wandb's, or in its place."""

import os
from typing import Any, Dict, Optional

from .. import api
from ..identity import find_place, run_id
from ..runs import Run
from ..sessions import Identity
from ..settings import read_settings

_nth = 0  # runs of wandb's that this process has begun


def begin(told: Dict[str, Any], config: Any, origin: str, step: int = 0) -> Run:
    """Begin the run. told: what wandb calls it (id, name, project, entity, group, job_type, tags, notes, resume,
    each None or empty where it does not say). origin: "wandb" where wandb uploads it itself. step: the next one.
    """
    global _nth
    _nth += 1
    settings = read_settings(os.environ)
    place = find_place(os.environ)
    project, name = told.get("project") or settings.project, told.get("name") or settings.name
    identifier, problems = run_id(told.get("id") or None, settings, place, project, name, _nth)
    identity = Identity(
        id=identifier,
        name=name or identifier,
        project=project or "uncategorized",
        entity=told.get("entity") or settings.entity,
        group=told.get("group") or settings.group,
        job_type=told.get("job_type") or settings.job_type,
        tags=tuple(str(tag) for tag in told.get("tags") or settings.tags),
        notes=told.get("notes") or settings.notes,
        resume=_resume(told.get("resume")),
    )
    around = api.surroundings_of(settings.mode, settings, place)
    around = around._replace(fields=dict(around.fields, origin=origin))
    run = Run(identity, around, config)
    run._step = step
    for problem in (*settings.problems, *problems):
        run.notices.tell(problem, problem)
    api.remember(run, current=False)
    return run


def _resume(asked: Any) -> Optional[str]:
    return None if not asked else "allow" if asked is True else str(asked)
