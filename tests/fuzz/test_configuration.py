"""A configuration may hold anything: it is taken, or refused with every problem under its path; and never a secret in
them. Files, trees, and the environment over them.
"""

import contextlib
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fuzz.damage import JSON, TEXT, damaged
from fuzz.effort import EFFORTS, Effort
from hypothesis import strategies as st
from wayside_collector.configuration import config
from wayside_collector.configuration.sections import Top
from wayside_collector.configuration.yaml_text import BadYaml, load_yaml
from wayside_collector.sinks import SINKS
from wayside_collector.sources import SAMPLERS, SOURCES

SECRET = "s3cret-0f-a-user"
FILE = b"""
socket: /run/wayside/wayside.sock
listen: 127.0.0.1:9750
spool: {path: /data/spool, max_size: 1GiB, max_age: 7d}
sources: {host: {interval: 5s, filesystems: {root: /}}, nvidia: {interval: 1s, devices: [0, GPU-1]}, amd: false}
sinks:
  prometheus: {stale_after: 1m, include: ["train/*"]}
  wandb: &one {mode: offline, project: p, every: 10 steps, tags: [a, b]}
  lens: {endpoint: "http://lens:8989/v1", headers: {Cookie: c}}
  archive: {kind: jsonl, <<: {max_files: 3}}
log: {level: debug}
"""

MARKS = (
    *("a", "b: ", "- ", "? ", "&x ", "*x", "{", "}", "[", "]", ", ", "\n", "\n  ", '"', "'", "#", "%YAML", "---\n"),
    *("<<: ", "!!int ", "!!float ", "!!timestamp ", "!!binary ", "!!set ", "2001-99-99", "1" * 5000, "0x" + "f" * 5000),
)

#: What an option may be given, from what is right to what is none of its business.
WRITTEN = ["1GiB", "5s", "0", "-1", "9" * 400, "http://h:1/x", "127.0.0.1:99999", "*", "10 steps", SECRET]
VALUES: Any = JSON | st.sampled_from(WRITTEN) | st.dictionaries(st.integers() | st.none(), JSON, max_size=2)


def names_of(kind: Any) -> list[str]:
    return [field.name for field in msgspec.structs.fields(kind)]


def options_of(import_string: str) -> Any:
    known = st.sampled_from([*names_of(config.load_name(import_string)), "kind", "no_such_option"])
    return st.dictionaries(known, VALUES, max_size=4) | VALUES


def parts_of(table: Any, import_strings: dict[str, str]) -> Any:
    fixed = st.fixed_dictionaries({}, optional={name: options_of(text) for name, text in import_strings.items()})
    return fixed | st.dictionaries(TEXT, VALUES, max_size=2) | VALUES


SECTIONS: dict[str, Any] = {
    field.name: st.dictionaries(st.sampled_from([*names_of(field.type), "none"]), VALUES, max_size=4) | VALUES
    for field in msgspec.structs.fields(Top)
    if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
}
SECTIONS["sinks"] = parts_of(SINKS, {name: kind.options for name, kind in SINKS.items()})
ALL_SOURCES = {**SAMPLERS, **SOURCES}
SECTIONS["sources"] = parts_of(ALL_SOURCES, {name: kind.options for name, kind in ALL_SOURCES.items()})
TREES = st.fixed_dictionaries({}, optional={name: SECTIONS.get(name, VALUES) for name in names_of(Top)})

_PARTS = st.sampled_from(
    [
        *(name.upper() for name in [*names_of(Top), *SINKS, *ALL_SOURCES, "path", "max_size", "api_key"]),
        "X",
        "",
        "Ä",
    ]
)
VARIABLES = st.lists(_PARTS, min_size=1, max_size=4).map(lambda parts: "WAYSIDE_" + "__".join(parts))
ENVIRONMENTS = st.dictionaries(VARIABLES, TEXT | st.sampled_from(["{}", "[", "false", "1", "{a: ", SECRET]), max_size=4)


def check(tree: dict[Any, Any], environ: dict[str, str]) -> None:
    """It is built and every number in it is finite, or each problem begins with a path and repeats nothing long."""
    found, problems = built(tree, environ)
    for problem in problems:
        path, _, said = problem.partition(": ")
        assert path, problem
        assert said, problem
        assert len(said) < 2000, problem
    if found is not None:
        assert found.spool_path.is_absolute()
        assert 0 <= found.address[1] <= 65535
        for part in (found.top.spool, *(one.options for one in (*found.sinks, *found.samplers))):
            numbers = [value for value in msgspec.to_builtins(part).values() if isinstance(value, float)]
            assert all(map(math.isfinite, numbers))


def built(tree: Any, environ: dict[str, str]) -> tuple[config.Config | None, list[str]]:
    """The configuration, or what is wrong with it: one of the two."""
    try:
        return config.build(tree, environ), []
    except config.ConfigError as refused:
        return None, refused.problems or [""]


@pytest.mark.parametrize("effort", EFFORTS)
def test_trees(effort: Effort) -> None:
    """Whatever stands where: no other error than ours."""
    effort.share(2).run(st.tuples(TREES, ENVIRONMENTS), lambda given: check(*given))


@pytest.mark.parametrize("effort", EFFORTS)
def test_files(effort: Effort, tmp_path: Path) -> None:
    """A file that is damaged anywhere, or is no YAML at all, is taken or refused by its name."""
    file = tmp_path / "wayside.yaml"

    def one(data: bytes) -> None:
        file.write_bytes(data)
        with contextlib.suppress(config.ConfigError):
            config.load(file, {})

    effort.run(damaged(FILE) | st.binary(max_size=200) | TEXT.map(lambda text: text.encode("utf-8", "replace")), one)


@pytest.mark.parametrize("effort", EFFORTS)
def test_yaml(effort: Effort) -> None:
    """YAML's own marks in any order: a value, or one kind of error that quotes nothing."""
    marks = st.sampled_from([*MARKS, SECRET])

    def one(pieces: list[str]) -> None:
        refusal = ""
        try:
            load_yaml("".join(pieces))
        except BadYaml as refused:
            refusal = str(refused)
        assert SECRET not in refusal

    effort.run(st.lists(marks, max_size=30), one)


@pytest.mark.parametrize("effort", EFFORTS)
def test_no_error_repeats_a_secret(effort: Effort) -> None:
    """A key in an option whose name says so, or in a branch that is no options, is not in what is told of it."""
    secrets = st.sampled_from(["api_key", "proxy", "headers", "header_env", "header_files", "key_file"])
    shapes = st.sampled_from([SECRET, [SECRET], {"a": [SECRET]}, {"a": {SECRET: 1}}, 5, {"a": SECRET}])

    def one(given: tuple[str, str, Any]) -> None:
        sink, option, value = given
        for tree in ({"sinks": {sink: {option: value}}}, {"sinks": {sink: [value]}}, {"sinks": [value]}):
            assert not any(SECRET in problem for problem in built(tree, {})[1])

    effort.share(3).run(st.tuples(st.sampled_from([*SINKS]), secrets, shapes), one)
