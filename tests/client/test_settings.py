"""What the environment asks of the client, and where a collector's socket may be."""

import pytest
from wayside.reading import choose
from wayside.settings import (
    KEPT_LIMIT,
    MAX_SOCKET_PATH,
    MAX_TAGS,
    MAX_TEXT,
    SYSTEM_SOCKET,
    Settings,
    read_settings,
    socket_candidates,
)
from wayside_collector.configuration.units import parse_size


def test_an_empty_environment_gives_the_defaults() -> None:
    """With nothing set the client is online, writes a journal, keeps it below the working directory, and is content."""
    settings = read_settings({}, "/work")
    assert settings == Settings(dir="/work/.wayside", cwd="/work")
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("field", "suffix"),
    [
        ("run_id", "RUN_ID"),
        ("project", "PROJECT"),
        ("name", "NAME"),
        ("entity", "ENTITY"),
        ("group", "RUN_GROUP"),
        ("job_type", "JOB_TYPE"),
        ("notes", "NOTES"),
    ],
)
def test_wayside_goes_before_wandb(field: str, suffix: str) -> None:
    """Each name is taken from WAYSIDE_*, else from WANDB_*, and an empty or blank variable counts as unset."""
    wandb, wayside = f"WANDB_{suffix}", f"WAYSIDE_{suffix}"
    assert getattr(read_settings({wandb: "theirs"}), field) == "theirs"
    assert getattr(read_settings({wandb: "theirs", wayside: "ours"}), field) == "ours"
    assert getattr(read_settings({wandb: "theirs", wayside: " "}), field) == "theirs"
    assert getattr(read_settings({wandb: ""}), field) is None


def test_tags_stand_between_commas() -> None:
    """Tags are split at commas, stripped, and each kept once, in order."""
    assert read_settings({"WANDB_TAGS": " a, b ,,a,c d"}).tags == ("a", "b", "c d")
    assert read_settings({"WAYSIDE_TAGS": "x", "WANDB_TAGS": "y"}).tags == ("x",)


@pytest.mark.parametrize(
    ("variable", "value", "field", "used"),
    [
        ("WAYSIDE_MODE", "ofline", "mode", "online"),
        ("WAYSIDE_TRANSPORT", "tcp", "transport", "journal"),
        ("WAYSIDE_QUIET", "perhaps", "quiet", False),
        ("WANDB_DISABLE_GIT", "perhaps", "git", False),
        ("WAYSIDE_DISABLE_CODE", "perhaps", "diff", False),
    ],
)
def test_a_bad_value_is_the_default_and_a_problem(variable: str, value: str, field: str, used: object) -> None:
    """A value that cannot be used never raises: the default (for a wish for privacy: privacy) and a clear message."""
    settings = read_settings({variable: value})
    assert getattr(settings, field) == used
    (problem,) = settings.problems
    assert variable in problem
    assert value in problem


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_modes_are_read_in_any_case(mode: str) -> None:
    """Each mode is known, whatever its case."""
    assert read_settings({"WAYSIDE_MODE": mode.upper()}).mode == mode


def test_choose_says_what_is_possible() -> None:
    """A refused value is named together with those that are possible and the one that is used."""
    assert choose("init(mode=)", "offline", ("online", "offline")) == ("offline", None)
    assert choose("init(mode=)", "", ("online", "offline")) == ("online", None)
    chosen, problem = choose("init(mode=)", "x" * 500, ("online", "offline"))
    assert chosen == "online"
    assert problem is not None
    assert "init(mode=)" in problem
    assert "online or offline; online is used" in problem
    assert len(problem) < 250


@pytest.mark.parametrize(
    ("environ", "git", "diff"),
    [
        ({}, True, True),
        ({"WANDB_DISABLE_GIT": "true"}, False, False),
        ({"WAYSIDE_DISABLE_GIT": "1"}, False, False),
        ({"WANDB_DISABLE_CODE": "true"}, True, False),
        ({"WAYSIDE_DISABLE_CODE": "yes"}, True, False),
        ({"WANDB_DISABLE_GIT": "false", "WANDB_DISABLE_CODE": "0"}, True, True),
        ({"WAYSIDE_DISABLE_GIT": "false", "WANDB_DISABLE_GIT": "true"}, True, True),
    ],
)
def test_git_and_code_can_be_switched_off(environ: dict[str, str], git: bool, diff: bool) -> None:
    """DISABLE_GIT records nothing of the repository, DISABLE_CODE the commit without the changes."""
    settings = read_settings(environ)
    assert (settings.git, settings.diff) == (git, diff)


def test_what_is_too_long_is_cut() -> None:
    """Values from the environment are bounded, since they open every journal segment; the cut is said."""
    settings = read_settings(
        {"WANDB_NOTES": "n" * (MAX_TEXT + 1), "WANDB_TAGS": ",".join(map(str, range(MAX_TAGS + 1)))}
    )
    assert settings.notes == "n" * MAX_TEXT
    assert len(settings.tags) == MAX_TAGS
    assert len(settings.problems) == 2
    assert len(read_settings({"WANDB_TAGS": "t" * (MAX_TEXT + 1)}).tags[0]) == MAX_TEXT


def test_the_usual_sockets_in_their_order() -> None:
    """The system's socket comes first, then the user's, then the working directory's."""
    settings = read_settings({"XDG_RUNTIME_DIR": "/run/user/7"}, "/work")
    assert socket_candidates(settings) == [
        SYSTEM_SOCKET,
        "/run/user/7/wayside/wayside.sock",
        "/work/.wayside/wayside.sock",
    ]
    assert socket_candidates(read_settings({}, "/work")) == [SYSTEM_SOCKET, "/work/.wayside/wayside.sock"]


def test_a_socket_that_was_named_is_the_only_one() -> None:
    """WAYSIDE_SOCKET leaves no other candidate; a relative one starts where the process did."""
    environ = {"WAYSIDE_SOCKET": "sockets/w", "XDG_RUNTIME_DIR": "/run/user/7"}
    assert socket_candidates(read_settings(environ, "/work")) == ["/work/sockets/w"]


def test_the_longest_socket_path_is_taken_and_one_more_is_a_problem() -> None:
    """A path of 107 bytes is a socket's; of 108 it is left out and the problem says what to do."""
    fits = "/" + "s" * (MAX_SOCKET_PATH - 1)
    assert socket_candidates(read_settings({"WAYSIDE_SOCKET": fits}, "/")) == [fits]
    settings = read_settings({"WAYSIDE_SOCKET": fits + "s"}, "/")
    assert socket_candidates(settings) == []
    (problem,) = settings.problems
    assert "WAYSIDE_SOCKET" in problem
    assert "108 bytes" in problem
    umlauts = read_settings({"WAYSIDE_SOCKET": "/" + "ü" * 60}, "/")
    assert socket_candidates(umlauts) == []


def test_in_a_deep_folder_the_relative_socket_serves() -> None:
    """Where only the absolute path is too long for a socket, the relative one is a candidate, and nothing is wrong."""
    settings = read_settings({}, "/" + "deep/" * 30)
    assert socket_candidates(settings) == [SYSTEM_SOCKET, ".wayside/wayside.sock"]
    assert settings.problems == ()


def test_a_working_directory_that_is_gone(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """A deleted working directory is a problem to be told, not an exception."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    settings = read_settings({})
    assert "working directory" in settings.problems[0]
    assert settings.dir == ".wayside"


def test_the_folder_of_journals_stays_when_the_process_moves() -> None:
    """WAYSIDE_DIR is made absolute, and `~` is the home folder."""
    assert read_settings({"WAYSIDE_DIR": "kept"}, "/work").dir == "/work/kept"
    assert read_settings({"WAYSIDE_DIR": "/kept"}, "/work").dir == "/kept"
    assert not read_settings({"WAYSIDE_DIR": "~/kept"}, "/work").dir.startswith("/work")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10GiB", 10 << 30),
        ("500 MB", 500_000_000),
        ("1.5g", 3 << 29),
        ("4096", 4096),
        ("1TiB", 1 << 40),
        (" ", KEPT_LIMIT),
    ],
)
def test_a_size_may_have_a_unit(text: str, size: int) -> None:
    """WAYSIDE_KEPT_LIMIT is read as sizes are in the collector's configuration."""
    settings = read_settings({"WAYSIDE_KEPT_LIMIT": text})
    assert (settings.kept_limit, settings.problems) == (size, ())
    assert not text.strip() or parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "-1", "unlimited", "10 parsecs", "nan", "inf", "1e30", "GiB", "1 2 GiB"])
def test_a_size_that_is_none_is_the_default_and_a_problem(text: str) -> None:
    """There is no way to ask for no limit; what is no size is told, and the default holds."""
    settings = read_settings({"WAYSIDE_KEPT_LIMIT": text})
    assert settings.kept_limit == KEPT_LIMIT
    (problem,) = settings.problems
    assert "WAYSIDE_KEPT_LIMIT" in problem
    assert "10 GiB is used" in problem
