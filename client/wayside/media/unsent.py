"""What W&B's server alone knows of an artifact, or does with it: here nothing is known of that, which is told once."""

from typing import Any, Callable, Optional

from ..told import told_once

#: Read as None.
_UNKNOWN = (
    *("collection", "commit_hash", "created_at", "digest", "entity", "history_step", "id", "linked_artifacts"),
    *("linked_at", "project", "source_artifact", "source_collection", "source_entity", "source_name"),
    *("source_project", "source_qualified_name", "source_version", "updated_at", "url"),
)
_CALLS = ("delete", "get", "json_encode", "link", "logged_by", "new_draft", "unlink", "used_by", "verify")


class Unsent:
    """An artifact as far as it needs W&B's server."""

    name: str
    ttl: Any = None
    distributed_id: Optional[str] = None
    digest_algorithm = "MD5"
    is_link = False
    state = "PENDING"

    @property
    def qualified_name(self) -> str:
        """Its name: project and entity are the collector's to say."""
        return self.name

    def download(self, root: Any = None, *args: Any, **named: Any) -> str:
        """A folder with nothing in it, as what `use_artifact` gives."""
        from ..dropin.absent import Absent

        return Absent(self.name, None, "artifacts").download(root)

    checkout = file = download

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __getattr__(self, name: str) -> Any:
        if name in _UNKNOWN:
            _tell(name, "is None")
            return None
        if name in _CALLS:
            return _idle(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _idle(name: str) -> Callable[..., None]:
    def call(*args: Any, **named: Any) -> None:
        _tell(f"{name}()", "has no effect")

    return call


def _tell(name: str, what: str) -> None:
    told = "the collector uploads artifacts, and only W&B's server knows what becomes of them"
    told_once(f"Artifact.{name}", f"Artifact.{name} {what} here: {told}")
