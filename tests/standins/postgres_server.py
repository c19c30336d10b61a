"""A PostgreSQL of Debian's on a Unix socket below a folder, run by a user who is not root, since it refuses to be."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from memory import make_folder


def programs() -> Path | None:
    """Where Debian keeps the newest server's programs; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def _as_user(folder: Path) -> dict[str, int]:
    """What `subprocess` needs to leave root; the folder becomes that user's."""
    if os.getuid():
        return {}
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid}


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A running server's address, without a database's name. In a folder of its own with a short path, as a socket
    needs it, on memory: what is tested is not the disk.
    """
    bin = programs()
    assert bin is not None, "Debian's postgresql is missing: scripts/install-test-packages"
    folder = make_folder("pg-")
    try:
        folder.chmod(0o755)
        who = _as_user(folder)
        data = folder / "data"
        init = [str(bin / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(init, check=True, stdout=subprocess.DEVNULL, cwd=folder, **who)  # type: ignore[call-overload]
        options = [f"-cunix_socket_directories={folder}", "-clisten_addresses=", "-cshared_buffers=32MB"]
        with (folder / "log").open("wb") as log:
            command = [str(bin / "postgres"), "-D", str(data), *options]
            server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **who)  # type: ignore[call-overload]
        try:
            url = f"postgresql://postgres@/{{}}?host={folder}"
            _wait_until_up(url.format("postgres"), server, folder / "log")
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # its "fast" end, which does not wait for clients
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)  # between looks
        else:
            return


def create_database(url: str, name: str) -> str:
    """An empty database's address."""
    with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.format(name)
