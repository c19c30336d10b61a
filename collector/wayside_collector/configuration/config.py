"""The configuration: a YAML file and the environment, turned into the frozen options of each part.

This and the client's `settings.py` are the two places that read the environment. Every option can be set there: its
path in capitals, `__` between the parts, `WAYSIDE_` before it (`WAYSIDE_SINKS__WANDB__MODE=offline`). Nothing here
touches the network, and all problems are found at once.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from wayside.variables import PREFIX, unknown

from ..sinks import SINKS, SinkKind
from ..sinks.base import SinkOptions
from ..sources import SAMPLERS, SOURCES, SamplerKind, SourceKind
from .access import Outside, split_address
from .adoption import check_adopting
from .options import Problems, Text, is_below, read_struct, read_text, with_place
from .sections import Top
from .wording import kind_of, known_names, show
from .yaml_text import MAX_TEXT, BadYaml, lines_of, load_yaml

DEFAULT_SINKS = ("prometheus", "jsonl", "store")
DEFAULT_SOURCES = ("host", "nvidia", "amd")


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """One configured sink. kind_name: what its kind is called; what a sink keeps is for its own kind alone."""

    name: str
    kind_name: str
    kind: SinkKind
    options: SinkOptions


@dataclass(frozen=True, slots=True)
class SamplerConfig:
    """One configured sampler."""

    name: str
    kind: SamplerKind
    options: Any


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One configured source that is no sampler."""

    name: str
    kind: SourceKind
    options: Any


@dataclass(frozen=True, slots=True)
class Config:
    """Everything, checked. listen_given, level_given: whether `listen` and the log's level are somebody's wish, and not
    the default. unknown: what to tell of variables that look like ours and mean nothing.
    """

    top: Top
    sinks: tuple[SinkConfig, ...]
    samplers: tuple[SamplerConfig, ...]
    listen_given: bool = True
    level_given: bool = True
    unknown: tuple[str, ...] = ()
    sources: tuple[SourceConfig, ...] = ()

    @property
    def dir(self) -> Path:
        return Path(self.top.dir).expanduser().absolute()

    @property
    def spool_path(self) -> Path:
        return Path(self.top.spool.path).expanduser().absolute() if self.top.spool.path else self.dir / "spool"

    @property
    def address(self) -> tuple[str, int]:
        return split_address(self.top.listen)

    @property
    def outside(self) -> Outside:
        """What there is for callers from elsewhere."""
        return Outside(self.top.listen_public, self.top.public, self.top.ingest)

    @property
    def warnings(self) -> list[str]:
        """What is allowed, and an operator should know at each start."""
        unchecked = [f"sinks.{sink.name}" for sink in self.sinks if not getattr(sink.options, "verify_tls", True)]
        unchecked += [f"sources.{one.name}" for one in self.sources if not getattr(one.options, "verify_tls", True)]
        words = "whoever is on the way can read what is sent, and the key, and answer"
        return [
            *self.unknown,
            *self.outside.warnings(),
            *(f"{name}.verify_tls: false: {words}" for name in unchecked),
        ]


class ConfigError(Exception):
    """Everything that is wrong with a configuration, each with its path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration of a file (or of none) and an environment; raises ConfigError with all problems."""
    tree: Any = {}
    text = ""
    if path is not None:
        try:
            text = _read(path)
            tree = load_yaml(text) or {}
        except OSError as problem:
            raise ConfigError([f"{path} cannot be read: {problem.strerror}"]) from problem
        except UnicodeDecodeError as problem:
            raise ConfigError([f"{path} is not YAML: {problem.reason} at byte {problem.start}"]) from None
        except BadYaml as problem:
            raise ConfigError([f"{path} is not YAML: {problem}"]) from None
        if not isinstance(tree, dict):
            raise ConfigError([f"{path} must hold names and values, like `sinks: {{prometheus: {{}}}}`"])
    try:
        return build(tree, environ)
    except ConfigError as error:
        places = _places(text, environ)
        raise ConfigError([with_place(problem, places) for problem in error.problems]) from None


def _places(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Where each option was given: a line of the file, or the variable that goes over it."""
    over = {".".join(keys): name for name, keys in _asked(environ)}
    lines = {option: f"line {line}" for option, line in lines_of(text).items()}
    return {option: line for option, line in lines.items() if not is_below(option, over)} | over


def _asked(environ: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Each variable that sets an option, with the option's path, shorter ones first."""
    known = {name.upper() for name in Top.__struct_fields__}
    for name in sorted(environ):
        parts = name.removeprefix(PREFIX).split("__")
        if name.startswith(PREFIX) and parts[0] in known and all(parts):
            yield name, [part.lower() for part in parts]


def _read(path: Path) -> str:
    """A file's text, at most a little more than is taken. Raises OSError or UnicodeDecodeError."""
    with path.open("rb") as file:
        return file.read(4 * MAX_TEXT + 1).decode("utf-8")


def build(tree: dict[str, Any], environ: Mapping[str, str]) -> Config:
    """The configuration of a parsed file and an environment; raises ConfigError with all problems."""
    problems = Problems()
    tree = dict(tree)
    if tree.get("sinks") is None:
        tree["sinks"] = {name: {} for name in DEFAULT_SINKS}
    if tree.get("sources") is None:
        tree["sources"] = {name: {} for name in DEFAULT_SOURCES}
    tree = _overlay(tree, environ)
    top = read_struct(Top, {**tree, "sinks": {}, "sources": {}}, "", problems)  # each part's own options follow
    sinks = _parts(tree["sinks"], "sinks", SINKS, problems)
    sources = _parts(tree["sources"], "sources", {**SAMPLERS, **SOURCES}, problems)
    if isinstance(top, Top):
        check_adopting(top.adopt, {name: kind for name, _, kind, _ in sinks}, problems)
    if not isinstance(top, Top) or problems.found:
        raise ConfigError(problems.found)
    return Config(
        top,
        tuple(SinkConfig(*sink) for sink in sinks),
        tuple(SamplerConfig(name, *one) for name, _, *one in sources if isinstance(one[0], SamplerKind)),
        "listen" in tree,
        _gives_level(tree.get("log")),
        tuple(unknown(environ, _nested())),
        tuple(SourceConfig(name, *one) for name, _, *one in sources if isinstance(one[0], SourceKind)),
    )


def _gives_level(log: Any) -> bool:
    section = read_text(log) if isinstance(log, Text) else log
    return isinstance(section, dict) and "level" in section


def _nested() -> Iterator[str]:
    """The variables of options within a section, without the prefix: one `_` too few is a common slip."""
    for section in msgspec.structs.fields(Top):
        if isinstance(section.type, type) and issubclass(section.type, msgspec.Struct):
            for option in section.type.__struct_fields__:
                yield f"{section.name}__{option}".upper()


def _overlay(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The tree with what the environment says put over it. A copy."""
    for name, keys in _asked(environ):
        branch = tree
        for key in keys[:-1]:
            inner = branch.get(key)
            if isinstance(inner, Text):
                inner = read_text(inner)
            branch[key] = dict(inner) if isinstance(inner, dict) else {}
            branch = branch[key]
        branch[keys[-1]] = Text(environ[name])
    return tree


def _parts(tree: Any, path: str, table: Mapping[str, Any], problems: Problems) -> list[tuple[str, str, Any, Any]]:
    """Named parts of one table: (name, name of the kind, kind, options)."""
    found: list[tuple[str, str, Any, Any]] = []
    if isinstance(tree, Text):
        tree = read_text(tree)
    if not isinstance(tree, dict):
        problems.add(path, f"must be names with their options, like `{next(iter(table))}: {{}}`, not {kind_of(tree)}")
        return found
    for name, options in tree.items():
        here = f"{path}.{name if isinstance(name, str) else show(name)}"
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", name):
            problems.add(here, "a name is lower-case letters, digits, `-` and `_`, at most 63")
            continue
        options = {} if options is None else options
        if isinstance(options, Text):
            options = read_text(options)
        if options is False:
            continue
        if not isinstance(options, dict):
            problems.add(here, f"must be options, like `{{}}`, or false to leave it out, not {kind_of(options)}")
            continue
        asked = options.get("kind", name)
        kind_name = asked if isinstance(asked, str) else show(asked)
        kind = table.get(kind_name)
        if kind is None:
            problems.add(here, f"there is no {kind_name!r}; {known_names(kind_name, list(table))}")
            continue
        values = {key: value for key, value in options.items() if key != "kind"}
        try:
            struct = load_name(kind.options)
        except ModuleNotFoundError as problem:
            extra = f"wayside-collector[{kind_name.replace('_', '-')}]"
            problems.add(here, f"the package {problem.name} is missing: pip install '{extra}'")
            continue
        built = read_struct(struct, values, here, problems)
        found.append((name, kind_name, kind, built))
    return found


def load_name(text: str) -> Any:
    """What an import string names."""
    module, _, name = text.partition(":")
    return getattr(import_module(module), name)


def environment() -> Mapping[str, str]:
    """The process's environment."""
    return os.environ
