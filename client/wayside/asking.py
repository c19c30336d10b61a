"""What a script asks of `init`, made into what a run needs. Anything can be asked; nothing here raises, and whatever is
taken as something else than it was is told in `Asking.problems`.
"""

import sys
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

from .identity import Place, run_id
from .reading import choose
from .sessions import Identity
from .settings import DEFAULT_PROJECT, MAX_TAGS, MAX_TEXT, MODES, Settings
from .values import shown, text_of

REINIT = ("return_previous", "finish_previous", "create_new")


class Asking:
    """The arguments of one `init`. problems: what to tell the user of them."""

    def __init__(self) -> None:
        self.problems: List[str] = []

    def words(self, name: str, value: Any) -> Optional[str]:
        """What a user called something, short enough for the session record."""
        if value is None:
            return None
        text = text_of(value)[:MAX_TEXT]
        if not isinstance(value, str):
            self.problems.append(f"init({name}=) is {shown(value)}, which is no text; it was taken as {shown(text)}")
        elif len(value) > MAX_TEXT:
            self.problems.append(f"init({name}=) is {len(value)} characters long and was cut after {MAX_TEXT}")
        return text or None

    def tags(self, tags: Any) -> Tuple[str, ...]:
        """A list of texts."""
        if tags is None:
            return ()
        given: Sequence[Any] = [tags]
        if isinstance(tags, str):
            self.problems.append(f"init(tags=) is a text; it was taken as one tag, {shown(tags)}: give a list of texts")
        else:
            try:
                given = list(tags)
            except Exception:  # noqa: BLE001 -- a user's object may raise anything when asked
                self.problems.append(f"init(tags=) is {shown(tags)} and must be a list of texts")
        texts = tuple(text_of(tag)[:MAX_TEXT] for tag in given if tag is not None)
        if len(texts) > MAX_TAGS:
            self.problems.append(f"init(tags=) holds {len(texts)} tags; the first {MAX_TAGS} were taken")
        return texts[:MAX_TAGS]

    def mode(self, asked: Any, otherwise: str) -> str:
        """One of MODES."""
        text = "" if asked is None else text_of(asked).strip()
        chosen, problem = choose("init(mode=)", text or otherwise, MODES)
        if problem is not None:
            self.problems.append(problem)
        return chosen

    def reinit(self, asked: Any) -> str:
        """wandb's `reinit`, which may also be yes or no. Where nothing is asked a notebook's cell that is run again
        ends the run it began before, as with wandb.
        """
        if asked is True:
            return "finish_previous"
        usual = "finish_previous" if in_notebook() else REINIT[0]
        if asked is None or asked is False:
            return usual
        if isinstance(asked, str) and asked in (*REINIT, "default"):
            return usual if asked == "default" else asked
        choices = ", ".join(REINIT)
        self.problems.append(f"init(reinit=) is {shown(asked)} and must be one of {choices}; {usual} is used")
        return usual

    def others(self, names: Iterable[str], known: Iterable[str]) -> None:
        """Arguments that nothing here uses: wandb's own, or misspelt ones."""
        from .variables import nearest

        told = []
        for name in sorted(names):
            near = nearest(name, known)
            told.append(f"{name} (did you mean {near}?)" if near else name)
        if told:
            self.problems.append(f"init() has no use for {', '.join(told)}; ignored")


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    return "ipykernel.kernelapp" in sys.modules


def identity_of(
    told: Mapping[str, Any], settings: Settings, place: Place, nth: int, project: str = DEFAULT_PROJECT
) -> Tuple[Identity, List[str]]:
    """What a run is called, and what the user must hear of that. told: what was asked for (id, name, project, entity,
    group, job_type, notes, tags, resume), each None or empty where nothing was; then the settings say. nth: of the
    runs that this process begins. project: where neither names one.
    """
    chosen, name = told.get("project") or settings.project, told.get("name") or settings.name
    identifier, problems = run_id(told.get("id") or None, settings, place, chosen, name, nth)
    identity = Identity(
        id=identifier,
        name=name or identifier,
        project=chosen or project,
        entity=told.get("entity") or settings.entity,
        group=told.get("group") or settings.group,
        job_type=told.get("job_type") or settings.job_type,
        tags=told.get("tags") or settings.tags,
        notes=told.get("notes") or settings.notes,
        resume=told.get("resume") or settings.resume,
    )
    return identity, problems
