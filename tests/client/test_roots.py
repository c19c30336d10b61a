"""Where journals may lie, and how much they may hold there."""

import os
from pathlib import Path

import pytest
from wayside.roots import FOLDER_LIMIT, FREE_SHARE, SESSION_LIMIT, Root, find_roots, held_below, is_memory, room
from wayside.settings import read_settings

MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /dev/shm tmpfs rw,size=65536k 0 0
tmpfs /run tmpfs rw 0 0
/dev/vdb /run/user/disk ext4 rw 0 0
overlay /var/lib/x overlay rw 0 0
tmpfs /with\\040space tmpfs rw 0 0
ramfs /ram ramfs rw 0 0
odd
"""


@pytest.mark.parametrize(
    ("path", "memory"),
    [
        ("/dev/shm", True),
        ("/dev/shm/wayside-0", True),
        ("/dev/shmx", False),
        ("/run/wayside", True),
        ("/run/user/disk/wayside", False),
        ("/home/me/.wayside", False),
        ("/var/lib/x/y", False),
        ("/with space/y", True),
        ("/ram", True),
        ("/", False),
    ],
)
def test_memory_is_told_by_the_innermost_mount(path: str, memory: bool) -> None:
    """tmpfs and ramfs are memory; the deepest mount point above the path decides, by whole names."""
    assert is_memory(path, MOUNTS) is memory
    assert not is_memory(path, "")


def test_memory_comes_first(tmp_path: Path, memory: Path) -> None:
    """The socket's folder where it is memory, else shared memory, else the socket's folder on disk; overflow last."""
    overflow = str(tmp_path / "overflow")
    shared = Root(f"/dev/shm/wayside-{os.geteuid()}", True)
    assert find_roots(str(memory / "w.sock"), overflow) == [Root(str(memory), True), shared, Root(overflow, False)]
    disk = tmp_path / "s"
    assert find_roots(str(disk / "w.sock"), overflow) == [shared, Root(str(disk), False), Root(overflow, False)]
    assert find_roots(None, overflow) == [shared, Root(overflow, False)]
    assert find_roots(None, overflow, str(tmp_path)) == [Root(overflow, False)]
    assert find_roots(None, str(memory)) == [shared, Root(str(memory), True)]


def test_links_are_followed_to_where_files_really_lie(tmp_path: Path, memory: Path) -> None:
    """A socket's folder that is a link into memory is memory."""
    (tmp_path / "link").symlink_to(memory)
    assert find_roots(str(tmp_path / "link/w.sock"), str(tmp_path))[0] == Root(str(memory), True)


def test_a_session_takes_a_tenth_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than that, and never more than its limit; what it holds already counts as free."""

    class Free:
        f_frsize = 4096

        def __init__(self, size: int) -> None:
            self.f_bavail = size // 4096

    for free, held, expected in (
        (1 << 40, 0, SESSION_LIMIT),
        (64 << 20, 0, (64 << 20) // FREE_SHARE),
        (60 << 20, 4 << 20, (64 << 20) // FREE_SHARE),
        (0, 0, 0),
    ):
        monkeypatch.setattr(os, "statvfs", lambda path, free=free: Free(free))
        assert room("/anywhere", held) == expected
    assert (SESSION_LIMIT, FREE_SHARE, FOLDER_LIMIT) == (16 << 20, 10, 256 << 20)


def test_what_journals_hold_is_counted(tmp_path: Path) -> None:
    """The files of all sessions below a root, and nothing else there; no root holds nothing."""
    for session, sizes in {"a": (100, 200), "b": (3000,)}.items():
        folder = tmp_path / "journals" / session
        folder.mkdir(parents=True)
        for number, size in enumerate(sizes):
            (folder / f"{number}.seg").write_bytes(bytes(size))
    (tmp_path / "other").write_bytes(bytes(5000))
    assert held_below(str(tmp_path)) == 3300
    assert held_below(str(tmp_path / "nowhere")) == 0


def test_another_folder_in_memory(tmp_path: Path, memory: Path) -> None:
    """WAYSIDE_SHARED_MEMORY takes the place of /dev/shm, relative paths and links included."""
    (tmp_path / "link").symlink_to(memory)
    settings = read_settings({"WAYSIDE_SHARED_MEMORY": "link"}, str(tmp_path))
    own = Root(f"{memory}/wayside-{os.geteuid()}", True)
    assert find_roots(None, str(tmp_path), settings.shared_memory) == [own, Root(str(tmp_path), False)]
