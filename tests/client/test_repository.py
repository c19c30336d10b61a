"""The state of the code, from real repositories planted in a folder; git itself is never replaced but to misbehave."""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from wayside import repository
from wayside.repository import (
    MAX_CHANGED,
    MAX_DIFF,
    MAX_UNTRACKED,
    describe,
    find_repository,
    parse_status,
)

SECRET = "5Ecr3tValueThatNobodyMaySee"
ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, cwd=folder, env=ENVIRON, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A repository with one commit of `train.py`."""
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("lr = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def fake_git(tmp_path: Path, script: str) -> dict[str, str]:
    """An environment whose git is a shell script: for what the real one does only when it is ill."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {**ENVIRON, "PATH": f"{tools}:{ENVIRON['PATH']}"}


def test_a_clean_working_copy(code: Path) -> None:
    """Commit, branch and remote are told; nothing is dirty, and the diff is empty."""
    git(code, "remote", "add", "origin", "git@github.com:o/r.git")
    found, problems = describe(str(code), True, ENVIRON)
    assert problems == []
    assert found == {
        "commit": git(code, "rev-parse", "HEAD"),
        "branch": "main",
        "remote": "git@github.com:o/r.git",
        "dirty": False,
        "changed": 0,
        "untracked": [],
        "untracked_left_out": 0,
        "left_out": [],
        "diff": "",
        "diff_cut": False,
    }


def test_a_diff_that_git_applies(code: Path, tmp_path: Path) -> None:
    """The diff holds staged and unstaged changes, of added and deleted files too, and git applies it to the commit."""
    (code / "old.py").write_text("old\n")
    (code / "name with blank and ü.py").write_text("one\n")
    git(code, "add", ".")
    git(code, "commit", "-qm", "second")
    (code / "train.py").write_text("lr = 2\n")
    (code / "name with blank and ü.py").write_text("two\n")
    (code / "old.py").unlink()
    (code / "new.py").write_text("new = 1\r\n")
    git(code, "add", "new.py", "train.py")
    (code / "train.py").write_text("lr = 3\n")
    found, problems = describe(str(code), True, ENVIRON)
    assert problems == []
    assert found["dirty"]
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(code), str(copy))
    (tmp_path / "patch").write_bytes(found["diff"].encode())
    git(copy, "apply", "--whitespace=nowarn", str(tmp_path / "patch"))
    assert (copy / "train.py").read_text() == "lr = 3\n"
    assert (copy / "name with blank and ü.py").read_text() == "two\n"
    assert (copy / "new.py").read_bytes() == b"new = 1\r\n"
    assert not (copy / "old.py").exists()


def test_only_the_commit_when_changes_are_not_wanted(code: Path) -> None:
    """Without changes there is neither a diff nor a name of a file, but whether the commit is the whole truth."""
    (code / "train.py").write_text("lr = 2\n")
    (code / "notes.txt").write_text("x")
    found, problems = describe(str(code), False, ENVIRON)
    assert problems == []
    assert set(found) == {"commit", "branch", "remote", "dirty"}
    assert found["dirty"]


def test_files_with_secrets_are_named_only(code: Path) -> None:
    """The content of files that hold secrets never gets into the diff: tracked, added, renamed from or to."""
    for name in (".env", "server.pem", "gcp-credentials.json", "notes.txt", "*"):
        (code / name).write_text("X=1\n" + "same\n" * 20)
    git(code, "add", ".")
    git(code, "commit", "-qm", "second")
    (code / ".env").write_text(f"X={SECRET}\n" + "same\n" * 20)
    git(code, "mv", "server.pem", "plain.txt")
    git(code, "mv", "gcp-credentials.json", "settings.txt")
    (code / "settings.txt").write_text(f"X={SECRET}\n" + "same\n" * 20)
    git(code, "add", "settings.txt")
    git(code, "mv", "notes.txt", "notes.key")
    (code / "notes.key").write_text(f"X={SECRET}\n" + "same\n" * 20)
    git(code, "add", "notes.key")
    (code / "*").write_text("a name that is a pattern\n")
    (code / "id_rsa").write_text(SECRET)
    git(code, "add", "-N", "id_rsa")
    (code / "train.py").write_text("lr = 2\n")
    found, problems = describe(str(code), True, ENVIRON)
    assert problems == []
    assert SECRET not in str(found)
    assert {".env", "plain.txt", "settings.txt", "notes.key", "id_rsa"} <= set(found["left_out"])
    assert "+lr = 2" in found["diff"]
    assert "+a name that is a pattern" in found["diff"]
    assert "+same" not in found["diff"]


def test_keys_in_ordinary_files_are_masked(code: Path) -> None:
    """A key of a known form, or a random value with a telling name, is masked in the diff of any file."""
    (code / "train.py").write_text(f"api_key = '{SECRET}123'\nhf = 'hf_abcdefghijklmnopQRSTUV'\nlr = 2\n")
    found, _ = describe(str(code), True, ENVIRON)
    assert SECRET not in found["diff"]
    assert "hf_abc" not in found["diff"]
    assert "+lr = 2" in found["diff"]


@pytest.mark.parametrize(
    "url",
    [f"https://user:{SECRET}@host/r.git", f"https://{SECRET}@host/r.git", f"https://host/r.git?private_token={SECRET}"],
)
def test_a_remote_shows_no_credentials(code: Path, url: str) -> None:
    """The credentials of a remote's address are told nowhere."""
    git(code, "remote", "add", "origin", url)
    found, _ = describe(str(code), True, ENVIRON)
    assert found["remote"] == "https://host/r.git"


def test_origin_goes_before_other_remotes(code: Path) -> None:
    """Of several remotes `origin` is told, else the first."""
    git(code, "remote", "add", "fork", "https://host/fork")
    assert describe(str(code), False, ENVIRON)[0]["remote"] == "https://host/fork"
    git(code, "remote", "add", "origin", "https://host/origin")
    assert describe(str(code), False, ENVIRON)[0]["remote"] == "https://host/origin"


def test_a_detached_head_has_no_branch(code: Path) -> None:
    """On a commit without a branch, the branch is None."""
    git(code, "checkout", "-q", "--detach")
    found, problems = describe(str(code), True, ENVIRON)
    assert (found["branch"], problems) == (None, [])
    assert found["commit"] == git(code, "rev-parse", "HEAD")


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    """Before the first commit there is a branch, and what was added is the diff."""
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("lr = 1\n")
    git(tmp_path, "add", ".")
    found, problems = describe(str(tmp_path), True, ENVIRON)
    assert problems == []
    assert (found["commit"], found["branch"]) == (None, "main")
    assert "+lr = 1" in found["diff"]


def test_untracked_files_are_named_up_to_a_limit(code: Path) -> None:
    """Files git does not know are named, ignored ones are not, and of too many the rest is counted."""
    (code / ".gitignore").write_text("ignored*\n")
    (code / "ignored.txt").write_text(SECRET)
    for number in range(MAX_UNTRACKED + 5):
        (code / f"u{number:03}").write_text("x")
    found, _ = describe(str(code), True, ENVIRON)
    assert len(found["untracked"]) == MAX_UNTRACKED
    assert found["untracked"][0] == ".gitignore"
    assert found["untracked_left_out"] == 6
    assert found["dirty"] is False


def test_a_large_diff_is_cut_at_a_line(code: Path) -> None:
    """A diff beyond the limit ends with a whole line, is marked, and git's remaining output is never read."""
    line = "x = 'häßlich'\n"
    (code / "train.py").write_text(line * (4 * MAX_DIFF // len(line)))
    found, problems = describe(str(code), True, ENVIRON)
    assert problems == []
    assert found["diff_cut"]
    size = len(found["diff"].encode())
    assert MAX_DIFF - 100 < size <= MAX_DIFF
    assert found["diff"].endswith("+" + line)


def test_more_changed_files_than_a_diff_takes(code: Path) -> None:
    """Of very many changed files those beyond the limit are named as left out."""
    for number in range(MAX_CHANGED + 2):
        (code / f"f{number:04}").write_text("x")
    git(code, "add", ".")
    found, problems = describe(str(code), True, ENVIRON)
    assert problems == []
    assert found["diff"].count("diff --git") == MAX_CHANGED
    assert len(found["left_out"]) == 2
    assert found["changed"] == MAX_CHANGED + 2


def test_a_list_of_changes_beyond_its_limit(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a list of changes that is too long the first ones are told, and that there were more."""
    monkeypatch.setattr(repository, "MAX_STATUS", 2000)
    for number in range(100):
        (code / f"f{number:03}").write_text("x")
    git(code, "add", ".")
    found, problems = describe(str(code), True, ENVIRON)
    assert problems == ["git's list of changes is longer than 2000 bytes and was read in part"]
    assert 0 < found["changed"] < 100
    assert found["diff"].count("diff --git") == found["changed"]


def test_binary_files_and_submodules(code: Path, tmp_path: Path) -> None:
    """A binary file is named as changed, and a submodule's own changes are not gone into."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-qm", "x", "--allow-empty")
    (code / "weights.bin").write_bytes(bytes(range(256)))
    git(code, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "sub")
    git(code, "add", ".")
    git(code, "commit", "-qm", "second")
    (code / "weights.bin").write_bytes(bytes(reversed(range(256))))
    (code / "sub" / "new").write_text(SECRET)
    found, problems = describe(str(code), True, ENVIRON)
    assert problems == []
    assert "Binary files" in found["diff"]
    assert SECRET not in str(found)


def test_nothing_is_written_and_no_hook_runs(code: Path, tmp_path: Path) -> None:
    """Looking changes no file of the repository and runs none of the programs its configuration names."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in (
        "core.fsmonitor",
        "diff.external",
        "core.pager",
        "core.editor",
        "credential.helper",
        "diff.x.textconv",
    ):
        git(code, "config", name, str(trap))
    (code / ".git" / "hooks" / "post-index-change").symlink_to(trap)
    (code / ".gitattributes").write_text("*.py diff=x\n")
    (code / "train.py").write_text("lr = 2\n")
    os.utime(code / "train.py", (1, 1))
    before = {path: path.stat().st_mtime_ns for path in (code / ".git").rglob("*")}
    found, problems = describe(str(code), True, {**ENVIRON, "GIT_EXTERNAL_DIFF": str(trap), "GIT_PAGER": str(trap)})
    assert problems == []
    assert "+lr = 2" in found["diff"]
    assert not (tmp_path / "sprung").exists()
    assert {path: path.stat().st_mtime_ns for path in (code / ".git").rglob("*")} == before


def test_git_is_kept_in_its_repository(code: Path, tmp_path: Path) -> None:
    """Variables that point git elsewhere, as its own hooks set them, are not followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "-q")
    git(elsewhere, "commit", "-qm", "other", "--allow-empty")
    astray = {"GIT_DIR": str(elsewhere / ".git"), "GIT_WORK_TREE": str(elsewhere), "GIT_TRACE": "1"}
    found, problems = describe(str(code), True, {**ENVIRON, **astray})
    assert problems == []
    assert found["commit"] == git(code, "rev-parse", "HEAD")


def test_a_partial_clone_fetches_nothing(code: Path, tmp_path: Path) -> None:
    """A diff that would need objects of the remote fails, and the remote is not asked for them."""
    git(code, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{code}", str(partial))
    (partial / "train.py").write_text("lr = 2\n")
    objects = sorted(path.name for path in (partial / ".git" / "objects").rglob("*"))
    found, problems = describe(str(partial), True, {**ENVIRON, "GIT_ALLOW_PROTOCOL": "file"})
    assert found["commit"] == git(code, "rev-parse", "HEAD")
    assert found["dirty"]
    assert "diff" not in found
    assert problems[0].startswith("git diff ended with 128")
    assert sorted(path.name for path in (partial / ".git" / "objects").rglob("*")) == objects


def test_without_git_there_is_one_problem(code: Path, tmp_path: Path) -> None:
    """Where git is not installed that is said once."""
    found, problems = describe(str(code), True, {**ENVIRON, "PATH": str(tmp_path)})
    assert (found, problems) == ({}, ["git is not installed, so commit and changes are not recorded"])


@pytest.mark.skipif(os.getuid() != 0, reason="takes root to give a repository to somebody else")
def test_a_repository_of_somebody_else(code: Path) -> None:
    """Git refuses a repository of another user; its reason is the problem, once, and nothing is overridden."""
    os.chown(code, 12345, 12345)
    found, problems = describe(str(code), True, ENVIRON)
    assert found == {}
    (problem,) = problems
    assert "dubious ownership" in problem


def test_a_slow_git_is_given_up(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A git that hangs is ended with all it started when the time for all calls is over."""
    monkeypatch.setattr(repository, "GIT_SECONDS", 0.3)
    environ = fake_git(tmp_path, f"echo $$ >> {tmp_path}/pids; sleep 60 & echo $! >> {tmp_path}/pids; wait")
    began = time.monotonic()
    _, problems = describe(str(code), True, environ)
    assert time.monotonic() - began < 5
    assert problems == ["git took longer than 0.3 s, so the state of the code is recorded in part"]
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_inherited_pipe_holds_nobody_up(code: Path, tmp_path: Path) -> None:
    """A process that inherited git's pipe, as a forked data loader may, does not keep us waiting for its end."""
    environ = fake_git(tmp_path, f'sleep 60 & echo $! > {tmp_path}/pid; echo "abc\nmain"')
    began = time.monotonic()
    try:
        found, _ = describe(str(code), False, environ)
        assert time.monotonic() - began < repository.GIT_SECONDS / 2
        assert found["commit"] == "abc"
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


def test_errors_are_short_and_show_no_secret(code: Path, tmp_path: Path) -> None:
    """What a failing git says is told, in bounds, with addresses cleaned, however much of it there is."""
    said = f"fatal: https://user:{SECRET}@host/r not found"
    environ = fake_git(tmp_path, f'echo "{said}" >&2; yes warning | head -c 300000 >&2; exit 3')
    _, problems = describe(str(code), True, environ)
    (problem,) = problems
    assert problem.startswith("git rev-parse ended with 3: fatal: https://host/r not found")
    assert len(problem) < 500


def test_git_inherits_none_of_our_files(code: Path, tmp_path: Path) -> None:
    """Git gets no descriptor of the process but its own three, even of inheritable files."""
    ours = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(ours, True)
    try:
        environ = fake_git(tmp_path, f"ls /proc/self/fd > {tmp_path}/fds; exit 3")
        describe(str(code), True, environ)
    finally:
        os.close(ours)
    assert str(ours) not in (tmp_path / "fds").read_text().split()


def test_several_threads_may_look_at_once(code: Path) -> None:
    """Nothing is shared between two calls."""
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(describe(str(code), True, ENVIRON))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result == results[0] for result in results)


def test_the_repository_is_looked_for_upwards(code: Path, tmp_path: Path) -> None:
    """The working copy's top is found from any folder in it, worktrees included, and nowhere else."""
    deep = code / "a" / "b"
    deep.mkdir(parents=True)
    assert find_repository(str(deep)) == str(code)
    git(code, "worktree", "add", "-q", str(tmp_path / "tree"))
    assert find_repository(str(tmp_path / "tree")) == str(tmp_path / "tree")
    assert describe(str(tmp_path / "tree"), True, ENVIRON)[0]["branch"] == "tree"
    assert find_repository("/") is None


def test_reading_a_status() -> None:
    """Each kind of line gives its path, a renamed file its old name, and unknown lines are passed over."""
    oid = "0" * 40
    text = "\0".join(
        [
            f"# branch.oid {oid}",
            "# branch.head main",
            f"1 .M N... 100644 100644 100644 {oid} {oid} a b",
            f"2 R. N... 100644 100644 100644 {oid} {oid} R100 new name",
            "old name",
            f"u UU N... 100644 100644 100644 100644 {oid} {oid} {oid} both",
            "? un known",
            "! ignored",
            "9 something else",
            "",
        ]
    )
    status = parse_status(text.encode())
    assert status.branch == "main"
    assert status.changed == [("a b", "a b"), ("new name", "old name"), ("both", "both")]
    assert status.untracked == ["un known"]
    assert parse_status(b"# branch.head (detached)\0").branch is None
    assert parse_status(b"").changed == []


def test_a_name_that_is_no_text(code: Path) -> None:
    """A file whose name is not UTF-8 gets into the diff, and its name can be written as JSON."""
    name = os.fsencode(code) + b"/\xff.py"
    with open(name, "w") as file:
        file.write("x = 1\n")
    git(code, "add", ".")
    with open(os.fsencode(code) + b"/\xfe", "w") as file:
        file.write("x")
    found, problems = describe(str(code), True, ENVIRON)
    assert problems == []
    assert "+x = 1" in found["diff"]
    str(found).encode()
