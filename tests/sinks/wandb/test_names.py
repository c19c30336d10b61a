"""Names that W&B accepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.session import Run, Session
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.sinks.wandb.names import (
    MAX_ID,
    identity,
    metric_name,
    project_name,
    rank_prefix,
    run_id,
    run_key,
)
from wayside_collector.testing import make_session


@pytest.mark.parametrize("id", ["r1", "llama3.1-8b_lr-3e-4", "A" * 128, "_", "_x", "_xg0", "x_"])
def test_an_ordinary_id_stays(id):
    """Who chose an id that W&B takes finds the run under it."""
    assert run_id(id) == id


@pytest.mark.parametrize(
    ("id", "there"),
    [("a/b", "a_x2fb"), ("a b", "a_x20b"), ("é", "_xc3_xa9"), ("_x2f", "_x5fx2f"), ("", "_x00"), ("a:b", "a_x3ab")],
)
def test_other_characters_are_escaped(id, there):
    """What W&B refuses in an id becomes its bytes; what looks like that already is escaped itself."""
    assert run_id(id) == there


IDS = st.text(st.sampled_from("_x2f/5é:ab0"), max_size=8) | st.text(max_size=200)


@given(IDS, IDS)
def test_two_ids_never_become_one(one, other):
    """Two runs must not be written into each other."""
    assert (run_id(one) == run_id(other)) == (one == other)


@given(IDS)
def test_every_id_is_one_w_and_b_takes(id):
    """Within the length and characters that W&B accepts, never empty."""
    there = run_id(id)
    assert 1 <= len(there) <= MAX_ID
    assert all(c.isascii() and (c.isalnum() or c in "-_.") for c in there)


def test_a_run_without_project_goes_where_the_options_say():
    """Entity and project are the run's own, else the sink's."""
    options = WandbOptions(project="ours", entity="team")
    assert run_key(Run(id="r"), options)[:3] == ("team", "ours", "r")
    assert run_key(Run(id="r", project="p", entity="e"), options)[:3] == ("e", "p", "r")
    assert project_name("a/b:c") == "a-b-c"
    assert len(project_name("x" * 500)) == 128


def test_identity_is_cut_to_what_the_sdk_takes():
    """A tag of 65 characters or a name of a thousand would make the SDK raise for ever."""
    run = Run(id="r", name="n" * 1000, tags=("t" * 65, "", "same", "same"), notes="", group="g", job_type="train")
    session = Session("0" * 32, run, host="host-a")
    about = {"command": ["train.py", "--lr", "1"], "git": {"commit": "abc", "remote": "https://x/y.git"}}
    found = identity(run_key(run, WandbOptions()), session, WandbOptions(tags=("same", "sink")), about)
    assert found.tags == ("t" * 64, "same", "sink")
    assert (len(found.name), found.notes, found.group, found.job_type) == (128, None, "g", "train")
    assert (found.program, found.git_commit, found.git_remote) == ("train.py", "abc", "https://x/y.git")


def test_identity_survives_an_about_of_any_shape():
    """The about event is whatever a sender wrote."""
    session = make_session()
    for about in ({}, {"git": "x", "command": 5}, {"git": {"commit": 5}, "command": []}):
        found = identity(run_key(session.run, WandbOptions()), session, WandbOptions(), about)
        assert (found.program, found.git_commit) == (None, None)


def test_reserved_metrics_are_moved():
    """A user's `_timestamp` must not become the row's time."""
    assert metric_name("_timestamp") == "wayside/user/_timestamp"
    assert metric_name("wayside/step") == "wayside/user/wayside/step"
    assert metric_name("train/loss") == "train/loss"


def test_ranks_beside_the_first_have_names_of_their_own():
    """Ranks share one run at W&B: their loss must not be one curve."""
    assert rank_prefix(make_session(rank=0), primary=True) == ""
    assert rank_prefix(make_session(rank=3), primary=False) == "rank3/"
    assert rank_prefix(make_session(id="ab" * 16), primary=False) == "abababab/"
