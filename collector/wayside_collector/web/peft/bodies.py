"""What PEFT Studio's service takes. Fields that are not known are passed over, as its own server does."""

from typing import Annotated, Any

import msgspec

from ..ingest.runs import Tag

DEFAULT_PROJECT = "peft-studio"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What runs begun from now on have in common: where they go at W&B, their tags and notes."""

    enabled: bool = True
    project_name: Name = DEFAULT_PROJECT
    entity: Name | None = None
    tags: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=64)] = ()
    notes: Annotated[str, msgspec.Meta(max_length=16384)] | None = None


class Configure(Settings, frozen=True, kw_only=True):
    """`configure`. api_key: one line; it is never shown or kept on disk."""

    api_key: Annotated[str, msgspec.Meta(max_length=512)] | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"{type(self).__name__}({self.project_name!r})"

    @property
    def settings(self) -> Settings:
        return Settings(**{name: getattr(self, name) for name in Settings.__struct_fields__})


class StartRun(msgspec.Struct, frozen=True, kw_only=True):
    """`start-run`."""

    job_id: Word
    model_name: Word
    dataset_name: Word
    use_case: Word
    run_name: Name | None = None
    config: dict[str, Any] = {}
