"""Variables that nobody reads: told of, with the one that was meant where one is close; others' are left alone."""

import pytest
from wayside import variables
from wayside.settings import read_settings
from wayside.variables import nearest, unknown
from wayside_collector.configuration.sections import Top


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WAYSIDE_SOKCET", "WAYSIDE_SOCKET"),
        ("WAYSIDE_PROJCT", "WAYSIDE_PROJECT"),
        ("WAYSIDE_RUNID", "WAYSIDE_RUN_ID"),
        ("WAYSIDE_LISTN", "WAYSIDE_LISTEN"),
        ("WAYSIDE_SNKS__WANDB__MODE", "WAYSIDE_SINKS__WANDB__MODE"),
        ("WAYSIDE_XYZ__WANDB__MODE", None),
        ("WAYSIDE_COLOUR", None),
        ("WAYSIDE_MODE__OFFLINE", "WAYSIDE_MODE"),
        ("WAYSIDE_DIR__SPOOL", "WAYSIDE_DIR"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest(name: str, meant: str | None) -> None:
    """The message holds the variable and, where one is close, that one; never a value."""
    (told,) = unknown({name: "s3cret", "PATH": "/bin"})
    assert told.startswith(f"{name} means nothing")
    assert (f"did you mean {meant}?" in told) == (meant is not None)
    assert "s3cret" not in told


@pytest.mark.parametrize(
    "name",
    [
        *(f"WAYSIDE_{name}" for name in (*variables.CLIENTS, *variables.COLLECTORS)),
        "WAYSIDE_SINKS__WANDB__MODE",
        "WAYSIDE_TOKEN",
        "WAYSIDE_SERVICE_HOST",
        "WAYSIDE_GATEWAY_SERVICE_PORT_HTTP",
        "WAYSIDE_PORT",
        "WAYSIDE_PORT_9750_TCP_ADDR",
        "WANDB_SOMETHING",
        "MY_WAYSIDE_SOKCET",
    ],
)
def test_what_means_something_is_not_told(name: str) -> None:
    """The client's variables and the collector's, those Kubernetes makes of a Service, and everybody else's."""
    assert unknown([name]) == []


def test_every_option_of_either_side_is_known() -> None:
    """Neither side takes a variable that the other would call unknown."""
    assert {name.upper() for name in Top.__struct_fields__} <= {*variables.CLIENTS, *variables.COLLECTORS}


def test_a_flood_of_them_is_bounded() -> None:
    """At most so many are told of."""
    assert len(unknown(f"WAYSIDE_X{number}" for number in range(1000))) == variables.MAX_NAMED


def test_settings_tell_of_them() -> None:
    """`read_settings`, and so `init` and the doctor, names them among its problems."""
    assert any("WAYSIDE_MOD " in problem for problem in read_settings({"WAYSIDE_MOD": "offline"}, "/").problems)


def test_nothing_near() -> None:
    """A word that is like none brings no suggestion."""
    assert nearest("zzz", ["socket", "dir"]) is None
