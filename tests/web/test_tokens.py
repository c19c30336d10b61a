"""The token file, the cookie that stands for a token, and logging in."""

import asyncio
import logging
from pathlib import Path

import pytest
from wayside_collector.cli import main
from wayside_collector.configuration.access import Outside, PublicSection
from wayside_collector.web.roles import Role
from wayside_collector.web.tokens import COOKIE_LIFE, LOOK_INTERVAL, MAX_FILE, MAX_TOKENS, Grant, Tokens, parse_tokens
from web.serving import served

TOKEN, OTHER = "t" * 24, "o" * 24


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_interval(self) -> None:
        self.now += LOOK_INTERVAL


@pytest.mark.parametrize(
    "line",
    [
        "reader",
        "reader a b",
        f"owner {TOKEN}",
        "reader short",
        f"reader {'x' * 600}",
        f"reader {'ä' * 20}",
        TOKEN,
        f"reader {TOKEN} namespace=Bad_Name",
        f"reader {TOKEN} namespace=a.b",
        f"reader {TOKEN} namespace={'x' * 64}",
        f"reader {OTHER} namespace=team-a",
    ],
)
def test_a_bad_line_is_told_by_its_number_and_not_quoted(line: str) -> None:
    """The other lines count; what is wrong says where, and repeats nothing of the line."""
    tokens, problems = parse_tokens(f"reader {OTHER}\n{line}\n")
    assert tokens == {OTHER: Grant(Role.READER)}
    assert len(problems) == 1
    assert "line 2" in problems[0]
    assert not any(word in problems[0] for word in line.split() if len(word) > 6)


def test_tokens_are_counted() -> None:
    """Beyond MAX_TOKENS lines are not read, and that is told."""
    tokens, problems = parse_tokens("".join(f"reader {number:024d}\n" for number in range(MAX_TOKENS + 5)))
    assert len(tokens) == MAX_TOKENS
    assert len(problems) == 1


def test_the_file_is_taken_as_it_stands_now(tmp_path: Path) -> None:
    """A token is good from the moment it is in the file until it is not: replaced, emptied, deleted, too long."""
    file, clock = tmp_path / "tokens", Clock()
    file.write_text(f"reader {TOKEN}\n")
    tokens = Tokens(file, clock)
    assert tokens.grant(TOKEN).role is Role.READER
    assert tokens.grant(OTHER).role is tokens.grant("").role is tokens.grant("\udcff").role is Role.NONE
    new = tmp_path / "new"
    new.write_text(f"writer {OTHER}\n")
    new.replace(file)
    clock.pass_interval()
    assert tokens.grant(TOKEN).role is Role.NONE
    assert tokens.grant(OTHER).role is Role.WRITER
    for broken in ("", "#" * (MAX_FILE + 1)):
        file.write_text(f"reader {TOKEN}\n")
        clock.pass_interval()
        assert tokens.grant(TOKEN).role is Role.READER
        file.write_text(broken)
        clock.pass_interval()
        assert tokens.grant(TOKEN).role is Role.NONE
    file.unlink()
    clock.pass_interval()
    assert tokens.grant(TOKEN).role is Role.NONE
    file.write_text(f"reader {TOKEN}\n")
    clock.pass_interval()
    assert tokens.grant(TOKEN).role is Role.READER


def test_a_secret_volume_s_exchange_is_seen(tmp_path: Path) -> None:
    """Kubernetes replaces a mounted Secret by moving a symbolic link: the new tokens are taken."""
    for number, token in ((1, TOKEN), (2, OTHER)):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "tokens").write_text(f"reader {token}\n")
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "tokens").symlink_to("..data/tokens")
    clock = Clock()
    tokens = Tokens(tmp_path / "tokens", clock)
    assert tokens.grant(TOKEN).role is Role.READER
    (tmp_path / "..next").symlink_to("v2")
    (tmp_path / "..next").rename(tmp_path / "..data")
    clock.pass_interval()
    assert tokens.grant(TOKEN).role is Role.NONE
    assert tokens.grant(OTHER).role is Role.READER


def test_what_is_wrong_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A missing file and a bad line are warned of when they are news, without a token."""
    file, clock = tmp_path / "tokens", Clock()
    tokens = Tokens(file, clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            tokens.grant(TOKEN)
            clock.pass_interval()
        assert len(caplog.records) == 1
        file.write_text(f"reader {TOKEN} {OTHER}\nreader {OTHER}\n")
        tokens.grant(TOKEN)
        assert len(caplog.records) == 2
    assert TOKEN not in caplog.text


def test_a_cookie_stands_for_its_token_for_a_while(tmp_path: Path) -> None:
    """It has its token's roles until it ends or the token is gone, does not tell it, and cannot be made without it."""
    file, clock = tmp_path / "tokens", Clock()
    file.write_text(f"reader {TOKEN}\n")
    tokens = Tokens(file, clock)
    cookie = tokens.cookie(TOKEN, 1000.0)
    assert TOKEN not in cookie
    assert tokens.cookie_grant(cookie, 1000.0).role is Role.READER
    assert tokens.cookie_grant(cookie, 1000.0 + COOKIE_LIFE - 1).role is Role.READER
    assert tokens.cookie_grant(cookie, 1000.0 + COOKIE_LIFE + 1).role is Role.NONE
    assert Tokens(file).cookie_grant(cookie, 1000.0).role is Role.READER, "a restart logs everybody out"
    ends, _, signature = cookie.partition(".")
    late = str(int(ends) + COOKIE_LIFE)
    for forged in (f"{late}.{signature}", f"{ends}.{'0' * 64}", ends, "", ".", f"{ends}.ä", f"٣{cookie}", "9" * 9999):
        assert tokens.cookie_grant(forged, 1000.0).role is Role.NONE, forged
    assert tokens.cookie_grant(tokens.cookie(OTHER, 1000.0), 1000.0).role is Role.NONE
    file.write_text(f"reader {OTHER}\n")
    clock.pass_interval()
    assert tokens.cookie_grant(cookie, 1000.0).role is Role.NONE


@pytest.mark.asyncio
async def test_logging_in_and_out(tmp_path: Path) -> None:
    """A browser without a cookie is shown the form; the token in it becomes a cookie that no script reads and no other
    site sends; logging out takes it away.
    """
    (tmp_path / "tokens").write_text(f"reader {TOKEN}\n")
    outside = Outside("127.0.0.1:0", PublicSection(token_file=str(tmp_path / "tokens")))
    async with served(outside) as s:
        async with s.asking.get(f"{s.public}/status?a=1", headers={"Accept": "text/html"}) as asked:
            assert asked.status == 401
            assert 'name="next" value="/status?a=1"' in await asked.text()
        form = {"token": f" {TOKEN}\n", "next": "/status?a=1"}
        async with s.asking.post(f"{s.public}/login", data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/status?a=1")
            cookie = answer.cookies["wayside"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        shown = {"Cookie": f"wayside={cookie.value}"}
        assert await s.status(f"{s.public}/status", headers=shown) == 200
        assert await s.status(f"{s.public}/status", headers={"Cookie": f"wayside={TOKEN}"}) == 401
        async with s.asking.post(f"{s.public}/logout", headers=shown, allow_redirects=False) as answer:
            assert answer.cookies["wayside"].value == ""


@pytest.mark.asyncio
async def test_a_wrong_token_logs_nobody_in(tmp_path: Path) -> None:
    """The form comes again and says so; nothing of what was typed is in it; an address with a token in it is no way."""
    (tmp_path / "tokens").write_text(f"reader {TOKEN}\n")
    outside = Outside("127.0.0.1:0", PublicSection(token_file=str(tmp_path / "tokens")))
    async with served(outside) as s:
        async with s.asking.post(f"{s.public}/login", data={"token": OTHER}, allow_redirects=False) as answer:
            assert answer.status == 403
            assert OTHER not in await answer.text()
            assert "wayside" not in answer.cookies
        assert await s.status(f"{s.public}/status?token={TOKEN}") == 401
        assert s.refusals.counts()["listen_public", "token"] == 2


def test_a_token_is_for_a_namespace(tmp_path: Path) -> None:
    """The third word of its line, the same on each of its lines; a cookie stands for that, too."""
    file = tmp_path / "tokens"
    file.write_text(f"reader {TOKEN} namespace=team-a\nwriter {TOKEN} namespace=team-a\nreader {OTHER}\n")
    tokens = Tokens(file)
    assert tokens.grant(TOKEN) == (Role.READER | Role.WRITER, "team-a")
    assert tokens.grant(OTHER) == (Role.READER, None)
    assert tokens.cookie_grant(tokens.cookie(TOKEN, 1000.0), 1000.0).namespace == "team-a"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"reader short\nreeder {TOKEN}\n", ["line 1: a token is 16", "line 2 is not `reader TOKEN`", "no line holds"]),
        (f"reader {TOKEN}\nwriter {OTHER} namespace=a/b\n", ["line 2: a namespace is"]),
        ("# tokens\n", ["no line holds a good token: no token is accepted"]),
        (None, ["No such file or directory: no token is accepted"]),
        (f"reader {TOKEN}\n", []),
    ],
)
@pytest.mark.asyncio
async def test_a_bad_file_is_told_before_anybody_comes(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
    told: list[str],
) -> None:
    """At the start, in the log, and by `check` as a warning: a gateway must not stand for days letting nobody in."""
    file, written = tmp_path / "tokens", tmp_path / "wayside.yaml"
    if text is not None:
        file.write_text(text)
    caplog.set_level(logging.WARNING)
    async with served(Outside("127.0.0.1:0", PublicSection(token_file=str(file)))):
        found = [record.getMessage() for record in caplog.records if "token_file" in record.getMessage()]
    written.write_text(f"listen_public: 127.0.0.1:0\npublic: {{token_file: {file}}}\n")
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(main, ["check", str(written)])
    warned = [line.removeprefix("warning: ") for line in capsys.readouterr().err.splitlines() if "token_file" in line]
    assert ended.value.code == 0
    assert len(found) == len(told)
    assert warned == found
    assert all(f"{file}: {words}" in line for words, line in zip(told, found, strict=True))
    assert TOKEN not in "".join(found)
