"""A real broker, Debian's mosquitto, as a process of a test: with passwords, TLS and an access list where asked."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from e2e.machine import free_port

PROGRAM = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


class Mosquitto:
    """lines: more of its configuration. It may be started again after `stop` or `kill`, on the same port."""

    def __init__(self, folder: Path, lines: Iterable[str] = (), port: int = 0, memory: bool = True) -> None:
        assert Path(PROGRAM).exists(), "mosquitto is missing: run scripts/install-test-packages"
        self.folder = folder
        self.port = port or free_port()
        self._config = folder / "mosquitto.conf"
        kept = () if memory else ("persistence true", f"persistence_location {folder}/", "autosave_interval 1")
        anonymous = () if any("password_file" in line for line in lines) else ("allow_anonymous true",)
        # It gives up root's rights by itself, and could then not read our folder.
        user = ("user root",) if os.getuid() == 0 else ()
        text = [*user, f"listener {self.port} 127.0.0.1", *anonymous, *kept, "log_type all", *lines]
        self._config.write_text("\n".join(text) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "mosquitto.log"
        self.start()

    @property
    def endpoint(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as out:
            before = out.tell()
            self._process = subprocess.Popen([PROGRAM, "-c", str(self._config)], stdout=out, stderr=out)
        deadline = time.monotonic() + 30
        while b" running" not in self.log.read_bytes()[before:]:
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            process.wait(30)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)


def make_passwords(path: Path, user: str, password: str) -> None:
    """A file of one user, as the broker reads it."""
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(path), user, password], check=True, capture_output=True)
