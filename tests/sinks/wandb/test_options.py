"""What can be set of the W&B sink, and that its secrets stay secret."""

import msgspec
import pytest
from wayside_collector.sinks.base import Retry, Sink, SinkOptions
from wayside_collector.sinks.wandb import WandbOptions, WandbSink
from wayside_collector.sinks.wandb.options import read_key, redact, secrets_of

KEY = "0123456789abcdef0123456789abcdef01234567"


def read(**values) -> WandbOptions:
    return msgspec.convert(values, WandbOptions)


def test_nothing_is_required():
    """The defaults are those of the documents, and pass the check."""
    options = read()
    assert isinstance(options, SinkOptions)
    assert (options.mode, options.project, options.base_url) == ("online", "wayside", "https://api.wandb.ai")
    assert (options.upload_interval, options.finish_timeout, options.max_dir_size) == (5, 60.0, 10 << 30)
    assert options.check() == []


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "shared"},
        {"upload_interval": 0},
        {"upload_interval": 1.5},
        {"project": ""},
        {"max_dir_size": 10},
        {"tags": ["x" * 65]},
        {"finish_timeout": 0},
        {"step_axis": "x"},
        {"unknown": 1},
    ],
)
def test_a_value_that_cannot_be_is_refused_when_read(values):
    """A mistake in the file is found when it is read, by its name."""
    with pytest.raises(msgspec.ValidationError, match=next(iter(values))):
        read(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"base_url": "api.wandb.ai"},
        {"base_url": "https://user:pw@wandb.corp"},
        {"proxy": "socks5://p"},
        {"api_key": KEY, "api_key_file": "/f"},
        {"ca_file": "/f", "verify_tls": False},
    ],
)
def test_check_finds_what_does_not_fit_together(values):
    """The check needs no network, and names the option."""
    (problem,) = read(**values).check()
    assert problem.split(":")[0] in values


def test_no_secret_is_shown():
    """Neither repr nor check holds the API key or the proxy's password."""
    options = read(api_key=KEY, proxy="http://user:hunter2@proxy:3128", base_url="https://me:pw9@wandb.corp")
    said = repr(options) + str(options) + " ".join(options.check())
    assert "proxy:3128" in said
    for secret in (KEY, "hunter2", "pw9"):
        assert secret not in said


def test_where_the_key_comes_from(tmp_path):
    """The file first, read anew each time; then the option; then WANDB_API_KEY."""
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    environ = {"WANDB_API_KEY": "from-environ"}
    assert read_key(read(api_key_file=str(path)), environ) == KEY
    path.write_text("rotated\n")
    assert read_key(read(api_key_file=str(path)), environ) == "rotated"
    assert read_key(read(api_key=KEY), environ) == KEY
    assert read_key(read(), environ) == "from-environ"


def test_a_missing_key_says_what_to_do(tmp_path):
    """No key, no such file, an empty file: each says which option, none quotes a secret."""
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(Retry, match="set api_key_file, api_key, or WANDB_API_KEY"):
        read_key(read(), {})
    with pytest.raises(Retry, match="api_key_file: /nowhere: No such file"):
        read_key(read(api_key_file="/nowhere"), {})
    with pytest.raises(Retry, match="must hold one line"):
        read_key(read(api_key_file=str(tmp_path / "empty")), {})


def test_secrets_are_hidden_in_any_text():
    """The key and the proxy's user and password, also as the address spells them."""
    options = read(proxy="http://us%40er:hunter2@proxy:3128")
    secrets = secrets_of(options, KEY)
    assert redact(f"key {KEY} via us@er us%40er hunter2 at proxy", secrets) == "key *** via *** *** *** at proxy"
    assert secrets_of(read(), "") == frozenset()


def test_the_sinks_traits():
    """The pump hands it complete steps of primary ranks and samples, from the oldest on, no mirrored runs."""
    traits = WandbSink.traits
    sink: Sink = WandbSink(read(), environ={})
    assert sink.traits is traits
    assert (traits.unit, traits.start, traits.ranks, traits.system) == ("step", "oldest", "primary", True)
