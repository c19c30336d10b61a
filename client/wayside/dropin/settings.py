"""`wandb.Settings` and `wandb.login`: what of them says which run it is takes effect; the rest is named once."""

from typing import Any, Dict, Mapping, Optional

from ..told import told_once

#: Settings that `init` has an argument for.
_ARGUMENTS = {
    **{name: name for name in ("project", "entity", "mode", "resume", "reinit")},
    **{"run_id": "id", "run_name": "name", "run_group": "group", "run_job_type": "job_type"},
    **{"run_notes": "notes", "run_tags": "tags"},
}
_SECRET = "api_key"  # named, never shown


class Settings:
    """Takes every setting that wandb 0.13 to 0.31 knows, by name; reads those that were not given as None."""

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return None

    def update(self, settings: Any = None, **more: Any) -> None:
        """Set some more."""
        self.__dict__.update(_fields(settings), **more)

    def __repr__(self) -> str:
        shown = (f"{name}={'***' if name == _SECRET else repr(value)}" for name, value in vars(self).items())
        return f"Settings({', '.join(shown)})"


def fill(settings: Any, asked: Dict[str, Any]) -> Dict[str, Any]:
    """The arguments of `init`, with those of the settings where the script gave none itself."""
    idle = []
    for name, value in _fields(settings).items():
        argument = _ARGUMENTS.get(name)
        if argument is None:
            idle += [name] if value is not None else []
        elif asked.get(argument) is None:
            asked[argument] = value
    if idle:
        told = "has no effect here; what it is about is the collector's (docs/drop-in.md)"
        told_once(f"Settings {sorted(idle)}", f"Settings({', '.join(f'{name}=' for name in sorted(idle))}) {told}")
    return asked


def of_run(run: Any) -> Settings:
    """What a run was begun with, under the names of settings."""
    mode = run._surroundings.fields.get("mode")
    identity = run._identity
    found = {name: getattr(identity, argument, None) for name, argument in _ARGUMENTS.items()}
    return Settings(**dict(found, mode=mode, root_dir=run._surroundings.overflow))


def login(  # noqa: PLR0913 -- wandb's own arguments
    key: Optional[str] = None,
    relogin: Optional[bool] = None,
    host: Optional[str] = None,
    force: Optional[bool] = None,
    timeout: Optional[int] = None,
    verify: bool = True,
    referrer: Optional[str] = None,
    prompt: bool = True,
    anonymous: Any = None,
) -> bool:
    """True, at once: the collector talks to W&B, and has the key (`WANDB_API_KEY` there)."""
    if key is not None or host is not None:
        told_once("login", "login() has no effect: the collector talks to W&B, and needs key and address there")
    return True


def setup(settings: Any = None) -> Settings:
    """Accepted: there is nothing to set up."""
    return Settings(**_fields(settings))


def _fields(settings: Any) -> Dict[str, Any]:
    if settings is None:
        return {}
    found = settings if isinstance(settings, Mapping) else vars(settings)
    return {str(name): value for name, value in found.items() if not str(name).startswith("_")}
