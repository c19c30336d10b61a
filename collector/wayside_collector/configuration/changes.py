"""What two configurations differ in, told apart by what it takes to follow: a part is exchanged, a number is set, or
only a new start can follow. Pure but for the look at files.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .config import Config, SamplerConfig, SinkConfig, SourceConfig, load
from .sections import Top

Part = SinkConfig | SamplerConfig | SourceConfig
Mark = tuple[str, int, int, int] | None  #: what tells one state of a file from another; None: it cannot be read


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration. file: where it was read, None when it is all from the environment. marks: how that file, and
    those that its options name, stood then: a certificate that was renewed is a change, too.
    """

    config: Config
    file: Path | None
    marks: Mapping[str, Mark]

    @property
    def files(self) -> list[str]:
        return list(self.marks)


class Difference(NamedTuple):
    """Names of parts."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """config: what is in force from now on; it keeps the old value of what only a new start can follow, which
    `needs_restart` names.
    """

    config: Config
    sinks: Difference
    samplers: Difference
    needs_restart: tuple[str, ...]
    sources: Difference

    def __str__(self) -> str:
        told = []
        for what, parts in (("sinks", self.sinks), ("sources", self.samplers), ("sources", self.sources)):
            for how, names in parts._asdict().items():
                if names:
                    told.append(f"{what} {how}: {', '.join(names)}")
        return "; ".join(told) or "no sink and no source is another"


def read(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """The configuration as it is now. Blocks on files; raises ConfigError."""
    before = mark(path) if path is not None else None  # first: a change while it is read is a change after it
    config = load(path, environ)
    options = [part.options for part in parts_of(config)]
    marks = {name: mark(Path(name)) for one in options for name in _files_of(one)}
    if path is not None:
        marks[str(path)] = before
    return Loaded(config, path, marks)


def parts_of(config: Config) -> list[Part]:
    """All that can be exchanged."""
    return [*config.sinks, *config.samplers, *config.sources]


def mark(path: Path) -> Mark:
    """How a file stands. Its real path is part of that: Kubernetes exchanges the folder behind a link."""
    try:
        found = os.stat(path)
        return os.path.realpath(path), found.st_ino, found.st_mtime_ns, found.st_size
    except OSError:
        return None


def compare(old: Loaded, new: Loaded) -> Changes:
    """What it takes to come from one to the other."""
    top = _followed(old.config.top, new.config.top)
    stays = tuple(name for name in _leaves(top, new.config.top) if _at(top, name) != _at(new.config.top, name))
    return Changes(
        Config(top, new.config.sinks, new.config.samplers, sources=new.config.sources),
        _differ(old, new, old.config.sinks, new.config.sinks),
        _differ(old, new, old.config.samplers, new.config.samplers),
        stays,
        _differ(old, new, old.config.sources, new.config.sources),
    )


def _followed(old: Top, new: Top) -> Top:
    """The old one with what can change while the collector runs."""
    spool = msgspec.structs.replace(new.spool, path=old.spool.path)
    return msgspec.structs.replace(old, grace=new.grace, log=new.log, spool=spool)


def _leaves(*trees: msgspec.Struct) -> list[str]:
    """Paths of all options outside of sinks and sources."""
    found: dict[str, None] = {}
    for tree in trees:
        for name in tree.__struct_fields__:
            value = getattr(tree, name)
            inner = _leaves(value) if isinstance(value, msgspec.Struct) else []
            found.update(dict.fromkeys(f"{name}.{leaf}" for leaf in inner) if inner else {name: None})
    return list(found)


def _at(tree: Any, path: str) -> Any:
    for name in path.split("."):
        tree = getattr(tree, name, None)
    return tree


def _differ(old: Loaded, new: Loaded, before: Sequence[Part], after: Sequence[Part]) -> Difference:
    was = {part.name: (part.kind, part.options, _marks(old, part)) for part in before}
    now = {part.name: (part.kind, part.options, _marks(new, part)) for part in after}
    return Difference(
        tuple(name for name in now if name not in was),
        tuple(name for name in now if name in was and now[name] != was[name]),
        tuple(name for name in was if name not in now),
    )


def _marks(loaded: Loaded, part: Part) -> list[Mark]:
    return [loaded.marks.get(name) for name in _files_of(part.options)]


def _files_of(options: Any) -> list[str]:
    """Files that a part reads when it is opened, by the names of its options. Those of `header_files` are read anew for
    each request.
    """
    values = (getattr(options, name) for name in options.__struct_fields__ if name.endswith("_file"))
    return [value for value in values if isinstance(value, str)]
