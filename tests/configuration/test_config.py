"""The configuration file and the environment over it: what is taken, and what is refused, all of it at once."""

from pathlib import Path
from typing import Any

import pytest
from wayside_collector.configuration import config
from wayside_collector.configuration.units import parse_duration, parse_size
from wayside_collector.configuration.yaml_text import MAX_TEXT, BadYaml, load_yaml


def problems(tree: dict[Any, Any], environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(config.ConfigError) as refused:
        config.build(tree, environ or {})
    return refused.value.problems


def test_the_shape_that_is_promised() -> None:
    """A file with a part of everything, sizes and times written with their units, is taken as it stands."""
    file = """
socket: /run/wayside/wayside.sock
listen: 127.0.0.1:9750
spool: {path: /data/spool, max_size: 1GiB, max_age: 7d}
sources: {host: {interval: 5s}, nvidia: {interval: 500ms, slow_interval: 1m}}
sinks:
  prometheus: {stale_after: 2m}
  jsonl: {path: /data/jsonl, max_size: 64 MiB}
  wandb: {mode: offline, project: p, upload_interval: 15s}
  lens: {endpoint: "http://lens:8989/v1", timeout: 45s, workload_wait: 10m}
  archive: {kind: jsonl, path: /archive}
log: {level: debug, format: json}
"""
    found = config.build(load_yaml(file), {})
    assert (found.top.spool.max_size, found.top.spool.max_age) == (1 << 30, 7 * 86400.0)
    assert [sampler.options.interval for sampler in found.samplers] == [5.0, 0.5]
    assert [sink.name for sink in found.sinks] == ["prometheus", "jsonl", "wandb", "lens", "archive"]
    lens: Any = found.sinks[3].options
    assert (lens.timeout, lens.workload_wait) == (45.0, 600.0)


def test_nothing_configured() -> None:
    """No file and no environment: prometheus and jsonl, every sampler, files below ./.wayside."""
    found = config.load(None, {})
    assert [sink.name for sink in found.sinks] == ["prometheus", "jsonl", "store"]
    assert [sampler.name for sampler in found.samplers] == ["host", "nvidia", "amd"]
    assert found.spool_path == Path.cwd() / ".wayside" / "spool"
    assert found.address == ("127.0.0.1", 9750)


def test_every_problem_is_told_at_once_with_its_path() -> None:
    """One mistake hides no other, wherever they are."""
    said = problems(
        {
            "listen": "127.0.0.1:70000",
            "grace": -1,
            "spool": {"max_sise": "1GiB"},
            "sinks": {"jsonl": {"max_files": 1}, "wandb": {"mode": "on"}, "nowhere": {}, "lens": {}},
            "sources": {"host": {"interval": "5 parsecs"}},
        }
    )
    for path in (
        "listen",
        "grace",
        "spool.max_sise",
        "sinks.jsonl.max_files",
        "sinks.wandb.mode",
        "sinks.nowhere",
        "sinks.lens.endpoint",
        "sources.host.interval",
    ):
        assert len([one for one in said if one.startswith(f"{path}: ")]) == 1, (path, said)
    assert len(said) == 8


def test_no_option_is_without_limit() -> None:
    """Infinite sizes and times, the zero that elsewhere means "unlimited", and numbers beyond any disk are refused."""
    for value in (0, "0", -1, float("inf"), "inf", "9" * 30, "9" * 400 + "GiB", True):
        assert problems({"spool": {"max_size": value}})[0].startswith("spool.max_size: "), value
        assert problems({"spool": {"max_age": value}})[0].startswith("spool.max_age: "), value


def test_a_number_that_python_does_not_write_out() -> None:
    """YAML can spell one, in hexadecimal: it is refused wherever it stands, as a value, a name or a list's item."""
    huge = load_yaml("0x" + "f" * 5000)
    for tree in (
        {"spool": {"max_size": huge}},
        {"listen": huge},
        {huge: 1},
        {"sinks": {huge: {}}},
        {"sinks": {"jsonl": {huge: 1, "max_files": huge}}},
        {"sinks": {"jsonl": {"kind": huge}}},
        {"clients": {"group": huge}},
        {"sources": huge},
    ):
        assert problems(tree)


@pytest.mark.parametrize(
    ("text", "size"), [("1KiB", 1024), ("1 kB", 1000), ("1.5MiB", 3 << 19), ("2G", 2 << 30), (7, 7), (" 8b ", 8)]
)
def test_sizes(text: object, size: int) -> None:
    """As people write them; k, M and G alone are powers of 1024."""
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "seconds"), [("250ms", 0.25), ("90", 90.0), ("1.5h", 5400.0), ("2 d", 172800.0)])
def test_times(text: object, seconds: float) -> None:
    """As people write them; a plain number is seconds."""
    assert parse_duration(text) == seconds


def test_the_environment_goes_over_the_file_in_whole_branches_and_in_single_options() -> None:
    """A branch written as YAML replaces the file's, and single options go over either."""
    tree = {"sinks": {"jsonl": {"path": "/file", "max_files": 5}, "prometheus": {}}}
    single = config.build(tree, {"WAYSIDE_SINKS__JSONL__PATH": "/variable"})
    assert single.sinks[0].options.path == "/variable"  # type: ignore[attr-defined]
    assert single.sinks[0].options.max_files == 5  # type: ignore[attr-defined]
    whole = config.build(tree, {"WAYSIDE_SINKS": "{jsonl: {}}", "WAYSIDE_SINKS__JSONL__MAX_FILES": "7"})
    assert [(sink.name, sink.options.max_files) for sink in whole.sinks] == [("jsonl", 7)]  # type: ignore[attr-defined]
    assert config.build({}, {"WAYSIDE_SOURCES": "{}"}).samplers == ()
    assert config.build({}, {"WAYSIDE_SPOOL": "{max_size: 1MiB}"}).top.spool.max_size == 1 << 20
    assert [sink.name for sink in config.build({}, {"WAYSIDE_SINKS__JSONL": "false"}).sinks] == ["prometheus", "store"]
    assert tree == {"sinks": {"jsonl": {"path": "/file", "max_files": 5}, "prometheus": {}}}


def test_a_branch_that_is_none_is_refused_without_its_text() -> None:
    """What was to be a sink's options and is not may hold a key: the error says what it is, and not what it says."""
    for tree, environ in (
        ({}, {"WAYSIDE_SINKS__WANDB": "{api_key: s3cret"}),
        ({}, {"WAYSIDE_SINKS": "[s3cret]"}),
        ({"sinks": ["s3cret"]}, {}),
        ({"spool": "s3cret"}, {}),
        ({"sinks": {"jsonl": {"include": {"s3cret": 1}}}}, {}),
    ):
        said = problems(tree, environ)
        assert len(said) == 1
        assert "s3cret" not in said[0]


@pytest.mark.parametrize(
    "text",
    [
        "sinks: {}\nlisten: 127.0.0.1:1\nsinks: {jsonl: {}}",  # the last would win in silence
        "[" * 800,
        "{a: " * 200 + "1" + "}" * 200,
        "a: &a [*a]",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "\n".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]" for i in range(8)),
        "at: 2001-99-99",
        "n: " + "1" * 5000,
        "n: !!int ''",
        "n: !!python/object/apply:os.getcwd []",
        "a: \x00",
        "x" * (MAX_TEXT + 1),
    ],
    ids=["twice", "deep", "nested", "itself", "bomb", "date", "digits", "tag", "python", "control", "long"],
)
def test_yaml_that_would_harm_is_refused(text: str, tmp_path: Path) -> None:
    """As one error that names the file, whatever PyYAML would have made of it; and in the environment it is text."""
    with pytest.raises(BadYaml):
        load_yaml(text)
    file = tmp_path / "wayside.yaml"
    file.write_text(text)
    with pytest.raises(config.ConfigError) as refused:
        config.load(file, {})
    assert refused.value.problems[0].startswith(f"{file} is not YAML: ")
    assert problems({}, {"WAYSIDE_SPOOL": text})[0].startswith("spool: ")


def test_a_merge_may_be_overridden() -> None:
    """`<<` brings names in that may be given again: that is what it is for."""
    text = "a: &a {max_files: 3}\nsinks: {jsonl: {<<: *a, max_files: 4}, more: {<<: *a, kind: jsonl}}"
    assert load_yaml(text)["sinks"] == {"jsonl": {"max_files": 4}, "more": {"max_files": 3, "kind": "jsonl"}}


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, not UTF-8, or no mapping: an error with its path."""
    (tmp_path / "latin").write_bytes(b"dir: \xff")
    (tmp_path / "list").write_text("[1]")
    for name, said in (("no", "cannot be read"), (".", "cannot be read"), ("latin", "UTF-8"), ("list", "must hold")):
        with pytest.raises(config.ConfigError, match=name.replace(".", "") + ".*" + said.replace("UTF-8", "not YAML")):
            config.load(tmp_path / name, {})
