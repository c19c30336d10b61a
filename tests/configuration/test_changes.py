"""What two configurations differ in, and what it takes to follow."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from wayside_collector.configuration.changes import Changes, Loaded, compare, mark, read
from wayside_collector.configuration.config import ConfigError

QUIET: dict[str, Any] = {"sources": {}, "sinks": {"jsonl": {}}}


def loaded(folder: Path, config: dict[str, Any], **environ: str) -> Loaded:
    path = folder / "wayside.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return read(path, {"WAYSIDE_DIR": str(folder), **environ})


def changes(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> Changes:
    return compare(loaded(folder, {**QUIET, **before}), loaded(folder, {**QUIET, **after}))


def test_nothing_changed(tmp_path: Path) -> None:
    """The same file read twice differs in nothing, and says so."""
    found = changes(tmp_path, {}, {})
    assert (*found.sinks, *found.samplers, *found.needs_restart) == ((), (), (), (), (), ())
    assert str(found) == "no sink and no source is another"


def test_parts_are_added_changed_and_removed(tmp_path: Path) -> None:
    """Each by its name; one that stays as it was is not named. Sinks and sources likewise."""
    before = {
        "sinks": {"jsonl": {}, "prometheus": {}, "store": {}},
        "sources": {"host": {}, "nvidia": {}},
    }
    after = {
        "sinks": {"jsonl": {"max_size": "1MiB"}, "store": {}, "copy": {"kind": "jsonl"}},
        "sources": {"host": {"interval": "3s"}, "amd": {}},
    }
    found = changes(tmp_path, before, after)
    assert found.sinks == (("copy",), ("jsonl",), ("prometheus",))
    assert found.samplers == (("amd",), ("host",), ("nvidia",))
    assert str(found) == (
        "sinks added: copy; sinks changed: jsonl; sinks removed: prometheus; "
        "sources added: amd; sources changed: host; sources removed: nvidia"
    )
    assert [sink.name for sink in found.config.sinks] == ["jsonl", "store", "copy"]


def test_sources_that_are_no_samplers(tmp_path: Path) -> None:
    """They are exchanged by themselves, also when a file that they name is another."""
    password = tmp_path / "password"
    password.write_text("one")
    options = {"endpoint": "mqtt://b", "topics": ["a"], "username": "me", "password_file": str(password)}
    before = loaded(tmp_path, {**QUIET, "sources": {"mqtt": options, "host": {}}})
    password.write_text("another")
    after = loaded(tmp_path, {**QUIET, "sources": {"mqtt": options, "host": {}, "second": {"kind": "mqtt", **options}}})
    found = compare(before, after)
    assert found.sources == (("second",), ("mqtt",), ())
    assert found.samplers == ((), (), ())
    assert str(found) == "sources added: second; sources changed: mqtt"


def test_another_kind_under_one_name_is_a_change(tmp_path: Path) -> None:
    """Although its options are the same."""
    found = changes(tmp_path, {"sinks": {"mine": {"kind": "jsonl"}}}, {"sinks": {"mine": {"kind": "store"}}})
    assert found.sinks == ((), ("mine",), ())


def test_the_order_of_sinks_is_no_change(tmp_path: Path) -> None:
    """They stay, and what is in force has the new order."""
    found = changes(tmp_path, {"sinks": {"jsonl": {}, "store": {}}}, {"sinks": {"store": {}, "jsonl": {}}})
    assert found.sinks == ((), (), ())
    assert [sink.name for sink in found.config.sinks] == ["store", "jsonl"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("grace", "3s"),
        ("log", {"level": "error", "format": "json"}),
        ("spool", {"max_size": "7MiB"}),
        ("spool", {"max_age": "1h"}),
    ],
)
def test_what_is_followed_at_once_is_in_force(tmp_path: Path, option: str, value: Any) -> None:
    """And needs no restart."""
    new = loaded(tmp_path, {**QUIET, option: value})
    found = compare(loaded(tmp_path, QUIET), new)
    assert found.needs_restart == ()
    assert found.config.top == new.config.top != loaded(tmp_path, QUIET).config.top


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("spool", {"path": "/else"}, "spool.path"),
        ("listen", "127.0.0.1:1", "listen"),
        ("listen_public", "127.0.0.1:2", "listen_public"),
        ("socket", "/else/socket", "socket"),
    ],
)
def test_what_only_a_new_start_can_follow_keeps_its_old_value(
    tmp_path: Path, option: str, value: Any, named: str
) -> None:
    """It is named, whichever way it changes, and the rest is followed all the same."""
    old, new = loaded(tmp_path, QUIET), loaded(tmp_path, {**QUIET, option: value, "grace": "3s"})
    for before, after in ((old, new), (new, old)):
        found = compare(before, after)
        assert found.needs_restart == (named,)
        assert getattr(found.config.top, option) == getattr(before.config.top, option)
        assert found.config.top.grace == after.config.top.grace


def test_a_file_that_a_sink_names_is_part_of_it(tmp_path: Path) -> None:
    """Written anew or gone, its sink is another one; the sinks beside it stay."""
    ca = tmp_path / "ca.pem"
    ca.write_text("one")
    lens = {"endpoint": "https://127.0.0.1:9/v1", "workload_uid": "w-1", "ca_file": str(ca)}
    config = {**QUIET, "sinks": {"jsonl": {}, "lens": lens}}
    old = loaded(tmp_path, config)
    assert sorted(old.files) == sorted([str(ca), str(tmp_path / "wayside.yaml")])
    (tmp_path / "new.pem").write_text("two")
    (tmp_path / "new.pem").replace(ca)
    assert compare(old, loaded(tmp_path, config)).sinks == ((), ("lens",), ())
    ca.unlink()
    assert compare(old, loaded(tmp_path, config)).sinks == ((), ("lens",), ())


def test_a_mark_tells_one_state_of_a_file_from_another(tmp_path: Path) -> None:
    """Replaced, written to, renamed behind a link with its old time, gone: each is another state."""
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    one.write_text("a")
    two.write_text("a")
    os.utime(one, (1, 1))
    os.utime(two, (1, 1))
    link.symlink_to(one)
    seen = [mark(link)]
    assert mark(link) == seen[0]
    (tmp_path / "beside").symlink_to(two)
    (tmp_path / "beside").replace(link)
    seen.append(mark(link))
    two.write_text("ab")
    os.utime(two, (1, 1))
    seen.append(mark(link))
    two.unlink()
    seen.append(mark(link))
    assert seen[-1] is None
    assert len(set(seen)) == 4


def test_without_a_file_there_is_none_to_look_at(tmp_path: Path) -> None:
    """All is from the environment, and what changes there is found."""
    environ = {"WAYSIDE_DIR": str(tmp_path), "WAYSIDE_SOURCES": "{}", "WAYSIDE_SINKS": "{jsonl: {}}"}
    old = read(None, environ)
    assert (old.files, old.file) == ([], None)
    found = compare(old, read(None, {**environ, "WAYSIDE_GRACE": "3s"}))
    assert found.config.top.grace == 3.0


def test_a_file_that_is_wrong_is_not_taken(tmp_path: Path) -> None:
    """Whoever asked is told."""
    with pytest.raises(ConfigError, match="jsonnl"):
        loaded(tmp_path, {"sinks": {"jsonnl": {}}})
