"""The last net for secrets: what the configuration holds of them is hidden in the log and in what is shown."""

import io
import json
import logging
from typing import Any

import pytest
from wayside_collector.configuration import config
from wayside_collector.log import HidingHandler, JsonFormatter
from wayside_collector.redaction import HIDDEN, Redaction, secrets_in

LENS = {"endpoint": "http://lens:8989/v1"}
ENVIRON = {"MY_HEADER": "fromtheenvironment", "OTHER": "not-a-secret-at-all"}


def secrets(environ: dict[str, str] = ENVIRON, **sinks: Any) -> frozenset[str]:
    return secrets_in(config.build({"sinks": sinks, "sources": {}}, {}), environ)


@pytest.mark.parametrize(
    ("sinks", "hidden"),
    [
        ({"wandb": {"api_key": "k" * 40}}, {"k" * 40}),
        ({"store": {"url": "postgresql://me:half/otherhalf@host/db"}}, {"half/otherhalf", "otherhalf"}),
        ({"wandb": {"proxy": "http://me:p%40ssw0rd@proxy:3128"}}, {"p%40ssw0rd", "p@ssw0rd"}),
        ({"lens": {**LENS, "headers": {"Authorization": "Bearer abcdefgh"}}}, {"abcdefgh", "Bearer abcdefgh"}),
        ({"lens": {**LENS, "header_env": {"X-Key": "MY_HEADER"}}}, {"fromtheenvironment"}),
        ({"store": {"url": "postgresql://me:sésame1@host/db"}}, {"sésame1", "s%C3%A9same1", "s\\u00e9same1"}),
    ],
    ids=["api_key", "in pieces", "proxy", "headers", "header_env", "url"],
)
def test_what_is_secret_in_the_options(sinks: dict[str, Any], hidden: set[str]) -> None:
    """Keys, headers, and passwords of addresses, as each may be spelt; none of it the name of a file or a host."""
    found = secrets(**sinks)
    assert hidden <= found
    assert not {"Bearer", "MY_HEADER", "proxy", "lens", "host"} & found


def test_what_is_secret_in_the_environment() -> None:
    """Variables with a telling name, and the passwords of proxies."""
    environ = {
        "WANDB_API_KEY": "wandbwandb",
        "https_proxy": "http://u:proxypass@h:1",
        "PGPASSWORD": "pgpgpgpg",
        "HOME": "/root/home",
        "KEYBOARD": "qwertz-layout",
    }
    assert secrets(environ) == {"wandbwandb", "proxypass", "pgpgpgpg"}


def test_files_are_not_secrets() -> None:
    """A path is said in errors, so that a person can mend it."""
    assert secrets({}, wandb={"api_key_file": "/var/run/secrets/wandb"}) == frozenset()
    assert secrets(
        {}, lens={**LENS, "header_files": {"X": "/var/run/secrets/x"}, "key_file": "/k", "cert_file": "/c"}
    ) == (frozenset())


def test_short_words_are_left() -> None:
    """Hiding a word of five letters would hide the sentence."""
    assert secrets({}, wandb={"api_key": "abcde"}) == frozenset()


def test_the_longer_goes_first() -> None:
    """Of two secrets where one is within the other, nothing of either is left."""
    assert Redaction(["secret1", "secret1-and-more"]).hide("secret1-and-more, secret1") == f"{HIDDEN}, {HIDDEN}"


def test_hidden_wherever_it_stands() -> None:
    """In texts at any depth, while numbers and keys stay."""
    value = {"secret1": [1, None, True, {"a": "x secret1"}], "b": ("secret1",)}
    assert Redaction(["secret1"]).hide_in(value) == {"secret1": [1, None, True, {"a": f"x {HIDDEN}"}], "b": [HIDDEN]}
    assert Redaction().hide("secret1") == "secret1"


class _Broken(Exception):
    pass


def _fail() -> None:
    raise _Broken("cannot send to https://me:letmein99@host with Authorization: Bearer abcdefgh")


@pytest.mark.parametrize("formatter", [logging.Formatter("%(message)s"), JsonFormatter()], ids=["text", "json"])
def test_a_traceback_tells_no_secret(formatter: logging.Formatter) -> None:
    """A sink's library raises with everything in its message: the log has the traceback, and none of the secrets."""
    out = io.StringIO()
    handler = HidingHandler(Redaction(["letmein99", "abcdefgh"]))
    handler.setStream(out)
    handler.setFormatter(formatter)
    log = logging.Logger("test")
    log.addHandler(handler)
    try:
        _fail()
    except _Broken:
        log.exception("sink %s failed: %s", "lens", {"Authorization": "abcdefgh"})
    said = out.getvalue()
    assert "_Broken" in said
    assert "in _fail" in said
    assert "letmein99" not in said
    assert "abcdefgh" not in said
    if isinstance(formatter, JsonFormatter):
        assert json.loads(said)["level"] == "error"
