"""What is said of a configuration that cannot be used: where, what is allowed, and what was probably meant, in the
words of those who write configurations.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from wayside_collector.cli import main
from wayside_collector.configuration import config
from wayside_collector.configuration.sections import Top
from wayside_collector.configuration.wording import form_of, show, words_of
from wayside_collector.configuration.yaml_text import lines_of
from wayside_collector.sinks import SINKS
from wayside_collector.sources import SAMPLERS, SOURCES

WRONG: list[Any] = ["abc", 5, -1, 1.5, True, None, [], ["a"], [5], [None], {}, {"a": 1}, {"a": "b"}, {1: {}}]

#: Words of a language or a library, which those who write YAML need not know.
FOREIGN = re.compile(
    r"\$|\b(int|float|str|bool|null|array|object|dict|list\[|tuple|NoneType|None|True|False|Expected)\b"
)


def options() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every option of every part, with its type."""
    yield from _options_of(Top, ())
    for word, table in (("sinks", SINKS), ("sources", {**SAMPLERS, **SOURCES})):
        for name, kind in table.items():
            yield from _options_of(config.load_name(kind.options), (word, name))


def _options_of(kind: type[msgspec.Struct], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for field in msgspec.structs.fields(kind):
        yield (*path, field.name), field.type
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _options_of(field.type, (*path, field.name))


def problems(tree: dict[Any, Any], environ: dict[str, str] | None = None) -> list[str]:
    try:
        config.build(tree, environ or {})
    except config.ConfigError as error:
        return error.problems
    return []


def tree_of(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("path", [path for path, _ in options()], ids=".".join)
def test_every_option_of_a_wrong_type(path: tuple[str, ...]) -> None:
    """Whatever stands there, it is taken or refused under its path without a word of Python's or the library's."""
    for value in WRONG:
        for problem in problems(tree_of(path, value)):
            where, _, said = problem.partition(": ")
            assert where.startswith(path[0]), problem
            assert not FOREIGN.search(said), problem


def test_every_form_is_in_plain_words() -> None:
    """What an option must be is said without patterns and names of types."""
    for path, kind in options():
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            assert not FOREIGN.search(form_of(kind)), (path, form_of(kind))
            assert "^" not in form_of(kind), (path, form_of(kind))


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({"spool": {"max_sise": 1}}, "spool.max_sise: unknown option; did you mean max_size? known are"),
        ({"sinsk": {}}, "sinsk: unknown option; did you mean sinks? known are"),
        ({"sinks": {"wand": {}}}, "sinks.wand: there is no 'wand'; did you mean wandb? known are"),
        (
            {"sinks": {"wandb": {"mode": "ofline"}}},
            "sinks.wandb.mode: must be online or offline; it is 'ofline': did you mean offline?",
        ),
        (
            {"sinks": {"wandb": {"tags": ["a", 5]}}},
            "sinks.wandb.tags: must be a list of texts; item 2 of the list is 5",
        ),
        ({"grace": "soon"}, "grace: must be a time like 30s, more than zero; it is 'soon'"),
        ({"spool": {"max_size": True}}, "spool.max_size: must be a size like 256MiB; it is true"),
        ({"sources": {"host": {"interval": 1e9}}}, "sources.host.interval: must be a time like 30s, 0.1s to 1h; it is"),
        ({"listen": 9750}, "listen: must be a host and a port, like 127.0.0.1:9750; it is 9750"),
        ({"sinks": {"wandb": {"api_key": 5}}}, "sinks.wandb.api_key: must be text; what it is, is not shown"),
        (
            {"sinks": {"jsonl": {"rename": {"a": 5}}}},
            "sinks.jsonl.rename: must be names and values, like {name: value}; the value of name 1 is 5",
        ),
        (
            {"sinks": {"jsonl": {"max_files": 1}}},
            "sinks.jsonl.max_files: must be a whole number, 2 to 1000000; it is 1",
        ),
    ],
)
def test_messages(tree: dict[str, Any], said: str) -> None:
    """What is allowed, what was given, and what was meant where one is close."""
    (found,) = problems(tree)
    assert found.startswith(said)


def test_each_problem_names_the_line_or_the_variable(tmp_path: Path) -> None:
    """The file's have their line, a missing option that of its branch; the environment's have their variable."""
    file = tmp_path / "wayside.yaml"
    file.write_text(
        "base: &base {max_files: 1}\nspool:\n  max_age: soon\nsinks:\n  jsonl:\n    <<: *base\n  lens: {}\n"
        "  wandb: {mode: no}\nlog:\n  level: loud\n"
    )
    environ = {"WAYSIDE_GRACE": "x", "WAYSIDE_LOG": "{level: quiet}"}
    with pytest.raises(config.ConfigError) as refused:
        config.load(file, environ)
    found = {problem.partition(": ")[0] for problem in refused.value.problems}
    assert found == {
        "base (line 1)",
        "spool.max_age (line 3)",
        "sinks.jsonl.max_files (line 1)",
        "sinks.lens.endpoint (line 7)",
        "sinks.wandb.mode (line 8)",
        "grace (WAYSIDE_GRACE)",
        "log.level (WAYSIDE_LOG)",
    }


def test_lines_of_odd_texts() -> None:
    """Nothing at all, a list, and a value without a name have no lines."""
    for text in ("", "[a, b]", "x", "# nothing"):
        assert lines_of(text) == {}


def test_no_value_in_python_s_words() -> None:
    """True and nothing are shown as YAML has them."""
    assert [show(value) for value in (True, False, None)] == ["true", "false", "nothing"]
    assert [show(value) for value in ([1], {})] == ["a list", "names and values"]
    assert words_of(str) == []


def test_variables_that_mean_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` warns of them, as does a collector when it starts, and takes the configuration all the same."""
    (tmp_path / "wayside.yaml").write_text("{}")
    found = config.build({}, {"WAYSIDE_LOG_LEVEL": "debug", "WAYSIDE_SINSK__A": "1", "WAYSIDE_DIR": "x"})
    assert [warning.partition("; ")[2] for warning in found.warnings] == [
        "did you mean WAYSIDE_LOG__LEVEL?",
        "did you mean WAYSIDE_SINKS__A?",
    ]
    monkeypatch.setenv("WAYSIDE_LISTN", "1")
    with pytest.raises(SystemExit) as ended:
        main(["check", str(tmp_path / "wayside.yaml")])
    assert ended.value.code == 0
    assert "warning: WAYSIDE_LISTN means nothing to Wayside; did you mean WAYSIDE_LISTEN?" in capsys.readouterr().err
