"""Options from the environment that YAML would read otherwise, or not at all; and what errors never repeat."""

from pathlib import Path

import pytest
from wayside_collector.configuration import config


def problems(tree: dict[str, object], environ: dict[str, str]) -> list[str]:
    with pytest.raises(config.ConfigError) as refused:
        config.build(tree, environ)
    return refused.value.problems


def test_text_that_is_no_yaml_is_text() -> None:
    """An option that takes text takes any text: an IPv6 address, a key with YAML's own marks in it."""
    environ = {"WAYSIDE_LISTEN": "[::1]:9750", "WAYSIDE_SINKS__WANDB__API_KEY": "@key: ["}
    found = config.build({"sinks": {"wandb": {}}}, environ)
    assert found.address == ("::1", 9750)
    assert found.sinks[0].options.api_key == "@key: ["  # type: ignore[attr-defined]


def test_what_is_neither_is_refused_without_its_value() -> None:
    """What an option cannot be made of is refused by its path, and a secret's value is not shown."""
    assert problems({}, {"WAYSIDE_SPOOL__MAX_SIZE": "[1GiB"})[0].startswith("spool.max_size: must be a size like")
    (said,) = problems({"sinks": {"lens": {"endpoint": "http://l"}}}, {"WAYSIDE_SINKS__LENS__HEADERS": "{s3cret"})
    assert said.startswith("sinks.lens.headers: ")
    assert "s3cret" not in said
    (said,) = problems({}, {"WAYSIDE_SINKS__WANDB": "{api_key"})
    assert said.startswith("sinks.wandb: must be options")


def test_a_file_that_is_no_yaml_is_not_quoted(tmp_path: Path) -> None:
    """The error names line and column of what YAML cannot read, and repeats nothing of the line: it may hold a key."""
    file = tmp_path / "wayside.yaml"
    file.write_text('sinks:\n  wandb: {api_key: "s3cret}\n')
    with pytest.raises(config.ConfigError) as refused:
        config.load(file, {})
    (said,) = refused.value.problems
    assert "line 3, column 1" in said
    assert "s3cret" not in said
