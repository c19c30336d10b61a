"""What a run says of itself under the names that wandb has for it, and which of them a script may set."""

import time
from typing import Any, Dict, Optional, Tuple

from .recorder import Recorder
from .sessions import Identity, Surroundings
from .settings import MAX_TEXT
from .told import told_once
from .values import text_of


class Facts(Recorder):
    """What is known here of what wandb's scripts ask a run."""

    def __init__(self, identity: Identity, surroundings: Surroundings) -> None:
        super().__init__(identity, surroundings)
        self._began = time.time()

    # --- what it is called ---------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._identity.name

    @name.setter
    def name(self, name: Any) -> None:
        self._call("name", text_of(name)[:MAX_TEXT])

    @property
    def tags(self) -> Tuple[str, ...]:
        return self._identity.tags

    @tags.setter
    def tags(self, tags: Any) -> None:
        from .asking import Asking

        self._call("tags", Asking().tags(tags))

    @property
    def notes(self) -> Optional[str]:
        return self._identity.notes

    @notes.setter
    def notes(self, notes: Any) -> None:
        self._call("notes", None if notes is None else text_of(notes)[:MAX_TEXT])

    def _call(self, what: str, value: Any) -> None:
        """Seen in this process, and by those forked from it: the record of a session that has begun stays as it is."""
        self._identity = self._identity._replace(**{what: value})
        told = f"the collector keeps what init() was told; give it there, as init({what}=)"
        told_once(f"run.{what}", f"run.{what} was set after init(), and is so in this script alone: {told}")

    # --- where it is ---------------------------------------------------------------------------------------------

    def get_url(self) -> Optional[str]:
        """The run's page; see `Run.url`."""
        url: Optional[str] = getattr(self, "url", None)
        return url

    @property
    def project_url(self) -> Optional[str]:
        """None: the collector's page has the runs of all projects."""
        return None

    @property
    def sweep_url(self) -> Optional[str]:
        """None, as `sweep_id`."""
        return None

    @property
    def sync_dir(self) -> str:
        """Where the run is kept while no collector is there: WAYSIDE_DIR."""
        return self._surroundings.overflow

    @property
    def config_static(self) -> Dict[str, Any]:
        """The config as it is now, to be read."""
        return dict(self._told_config())

    def project_name(self) -> str:
        return self._identity.project

    def _label(self, code: Any = None, repo: Any = None, code_version: Any = None, **kwargs: Any) -> None:
        """Frameworks tell W&B by this that it is they who call; nothing is kept of it."""

    @property
    def path(self) -> str:
        """entity/project/id, as W&B's addresses have it."""
        return "/".join(filter(None, (self._identity.entity, self._identity.project, self._identity.id)))

    @property
    def settings(self) -> Any:
        """What wandb's settings of this run would say."""
        from .dropin.settings import of_run

        return of_run(self)

    @property
    def start_time(self) -> float:
        return self._began

    @property
    def starting_step(self) -> int:
        return 0

    @property
    def offline(self) -> bool:
        return bool(self._surroundings.fields.get("mode") == "offline")

    @property
    def disabled(self) -> bool:
        return not self._surroundings.enabled

    @property
    def resumed(self) -> bool:
        """False: what a run with this id logged before is not known here."""
        return False

    @property
    def sweep_id(self) -> Optional[str]:
        """None: sweeps need wandb itself, with the hook in mode mirror."""
        return None
