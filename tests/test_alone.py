"""When a collector that was left alone stops by itself."""

from pathlib import Path

import psutil
import pytest
from wayside_collector.alone import NOBODY_CAME, Alone, others_run, shares_processes


class Pod:
    """Company, and a clock."""

    def __init__(self) -> None:
        self.company = False
        self.had = False
        self.now = 0.0

    def alone(self, after: float) -> Alone:
        return Alone(after, lambda: self.company, lambda: self.had, lambda: self.now)


def test_company_has_left() -> None:
    """It is over so many seconds after the last company, and not before."""
    pod = Pod()
    alone = pod.alone(10)
    pod.company = True
    assert not alone.is_over()
    pod.now, pod.company = 100.0, False
    assert alone.is_over(), "the last time anybody was seen is 100 s ago"
    pod.company = True
    assert not alone.is_over()
    pod.company, pod.now = False, 109.0
    assert not alone.is_over()
    pod.now = 110.0
    assert alone.is_over()


def test_nobody_ever_came() -> None:
    """The first company may take long: an image is pulled. In the end it is over all the same."""
    pod = Pod()
    alone = pod.alone(10)
    pod.now = NOBODY_CAME - 1
    assert not alone.is_over()
    pod.now = NOBODY_CAME
    assert alone.is_over()


def test_somebody_came_and_went_between_two_looks() -> None:
    """A training that was over before the first look has left its session: the collector waits for no other."""
    pod = Pod()
    alone = pod.alone(10)
    pod.had, pod.now = True, 5.0
    assert not alone.is_over()
    pod.now = 15.0
    assert alone.is_over()


def test_a_long_patience_is_kept() -> None:
    """Who wants to wait longer than that for those who left waits as long for the first."""
    pod = Pod()
    alone = pod.alone(2 * NOBODY_CAME)
    pod.now = NOBODY_CAME
    assert not alone.is_over()


@pytest.mark.parametrize(("first", "shared"), [("pause", True), ("systemd", False), ("wayside-collec", False)])
def test_a_shared_process_namespace_is_known_by_its_first(tmp_path: Path, first: str, shared: bool) -> None:
    """In a pod whose containers see each other's processes the first one is Kubernetes's own."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "comm").write_text(f"{first}\n")
    assert shares_processes(tmp_path) is shared
    assert not shares_processes(tmp_path / "nothing")


def test_a_process_of_which_we_may_not_ask_is_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose state the system denies us is somebody who runs, and no reason to stop with an error."""

    def denied(process: psutil.Process) -> str:
        raise psutil.AccessDenied(process.pid)

    ours = psutil.Process().pid
    monkeypatch.setattr(psutil, "pids", lambda: [1, ours])
    assert not others_run()
    monkeypatch.setattr(psutil, "pids", lambda: [1, ours, psutil.Process().ppid()])
    monkeypatch.setattr(psutil.Process, "status", denied)
    assert others_run()
