"""The container's files: where they are, and how they read. Trees of files stand for the kernel's."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.sources.cgroup import (
    FILES,
    Limits,
    NoCgroup,
    cpu_ratio,
    locate,
    own_path,
    parse_container,
    parse_disks,
    parse_flat,
    parse_limits,
    parse_nested,
    read_files,
)

TEXTS = {
    "cpu.stat": "usage_usec 12500000\nuser_usec 10000000\nsystem_usec 2500000\nnr_periods 100\nnr_throttled 7\n"
    "throttled_usec 350000\nnr_bursts 0\nburst_usec 0\n",
    "memory.current": "1000000\n",
    "memory.peak": "1500000\n",
    "memory.stat": "anon 600000\nfile 400000\ninactive_file 300000\n",
    "memory.events": "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n",
    "memory.swap.current": "4096\n",
    "pids.current": "42\n",
    "pids.max": "max\n",
    "io.stat": "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n7:0 \n",
    "cpu.pressure": "some avg10=2.50 avg60=0.94 avg300=0.32 total=2802411\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "memory.pressure": "some avg10=0.85 avg60=0.90 avg300=0.28 total=2772961\n",
}


def make(root: Path, path: str = "", **files: str) -> Path:
    """A cgroup's folder below `root`, which is made the mount of version 2."""
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    (root / "cgroup.controllers").write_text("cpu io memory pids\n")
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return folder


def proc(tmp_path: Path, text: str) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(text)
    return tmp_path / "proc"


def test_every_file_arrives_in_base_units() -> None:
    """Microseconds become seconds, percent ratios; what has no limit has no metric of one."""
    found = parse_container(TEXTS, Limits(cores=1.5, memory=1400000))
    assert found == {
        "container/cpu_usage_seconds_total": 12.5,
        "container/cpu_user_seconds_total": 10.0,
        "container/cpu_system_seconds_total": 2.5,
        "container/cpu_periods_total": 100,
        "container/cpu_throttled_periods_total": 7,
        "container/cpu_throttled_seconds_total": 0.35,
        "container/cpu_limit_cores": 1.5,
        "container/memory_used_bytes": 1000000,
        "container/memory_working_set_bytes": 700000,
        "container/memory_utilization_ratio": 0.5,
        "container/memory_peak_bytes": 1500000,
        "container/memory_limit_bytes": 1400000,
        "container/memory_limit_hits_total": 4,
        "container/oom_kills_total": 1,
        "container/swap_used_bytes": 4096,
        "container/tasks": 42,
        "container/cpu_pressure_some_ratio": 0.025,
        "container/cpu_pressure_some_seconds_total": pytest.approx(2.802411),
        "container/cpu_pressure_full_ratio": 0,
        "container/cpu_pressure_full_seconds_total": 0,
        "container/memory_pressure_some_ratio": 0.0085,
        "container/memory_pressure_some_seconds_total": pytest.approx(2.772961),
    }


@pytest.mark.parametrize("missing", list(TEXTS))
def test_a_file_that_is_not_there_hides_no_other(missing: str) -> None:
    """Controllers and kernels differ: each file stands for its own metrics."""
    whole = parse_container(TEXTS, Limits(None, None))
    part = parse_container({name: text for name, text in TEXTS.items() if name != missing}, Limits(None, None))
    assert part.items() <= whole.items()


@given(st.dictionaries(st.sampled_from(FILES), st.text(max_size=200)))
def test_whatever_a_file_holds_nothing_is_raised(texts: dict[str, str]) -> None:
    """A kernel to come may write lines that this version does not know."""
    assert all(isinstance(value, float | int) for value in parse_container(texts, Limits(None, None)).values())
    parse_disks(texts.get("io.stat", ""))


def test_the_working_set_is_never_below_nothing() -> None:
    """The two numbers are read one after the other, and may not fit."""
    texts = {"memory.current": "100", "memory.stat": "inactive_file 200"}
    assert parse_container(texts, Limits(None, None))["container/memory_working_set_bytes"] == 0


def test_disks_are_told_by_their_numbers_and_empty_lines_are_none() -> None:
    """io.stat has a line without counters for a disk that was not used."""
    assert parse_disks(TEXTS["io.stat"]) == {
        "254:0": {"read_bytes_total": 4096, "write_bytes_total": 8192, "reads_total": 1, "writes_total": 2}
    }


def test_the_tightest_limit_on_the_way_up_is_the_limit() -> None:
    """A container without a limit of its own has its pod's."""
    own = {"cpu.max": "max 100000\n", "memory.max": "8000\n"}
    pod = {"cpu.max": "150000 100000\n", "memory.max": "4000\n"}
    assert parse_limits([own, pod, {}]) == Limits(1.5, 4000)
    assert parse_limits([{"cpu.max": "max 100000", "memory.max": "max"}]) == Limits(None, None)


def test_the_own_path_is_the_line_of_version_2() -> None:
    """A hybrid machine lists the controllers of version 1 as well."""
    assert own_path("9:name=systemd:/a\n4:memory:/b\n0::/kubepods/pod1/c\n") == "/kubepods/pod1/c"
    assert own_path("4:memory:/b\n") is None


def test_a_container_finds_itself_at_the_root(tmp_path: Path) -> None:
    """With a cgroup namespace of its own, as in every pod, its path is "/"."""
    root = tmp_path / "cgroup"
    make(root, memory_current="1")
    assert locate(root, None, proc(tmp_path, "0::/\n")) == [root]


def test_a_service_finds_itself_and_those_above(tmp_path: Path) -> None:
    """Without a namespace the path leads down from the root; limits are looked for on the way back up."""
    root = tmp_path / "cgroup"
    own = make(root, "system.slice/wayside.service", memory_current="1")
    found = locate(root, None, proc(tmp_path, "0::/system.slice/wayside.service\n"))
    assert found == [own, own.parent, root]


@pytest.mark.parametrize("path", ["/../other", "/gone/away"])
def test_a_path_outside_of_what_is_seen_means_the_root(tmp_path: Path, path: str) -> None:
    """A container that keeps the host's namespace may see only its own files, at the root of what it sees."""
    root = tmp_path / "cgroup"
    make(root, memory_current="1")
    make(tmp_path, "other", memory_current="1")
    assert locate(root, None, proc(tmp_path, f"0::{path}\n")) == [root]


def test_a_given_folder_goes_before(tmp_path: Path) -> None:
    """An operator who mounts the pod's cgroup names it."""
    root = tmp_path / "cgroup"
    make(root, memory_current="1")
    pod = make(root, "kubepods/pod1", memory_current="1")
    assert locate(root, "kubepods/pod1", proc(tmp_path, "0::/\n"))[0] == pod


def test_no_version_2_and_no_container_are_said_to_be_so(tmp_path: Path) -> None:
    """Version 1 is not read; and the root of a whole machine, which has no limits, is no container."""
    with pytest.raises(NoCgroup, match="no cgroup version 2"):
        locate(tmp_path, None, tmp_path)
    make(tmp_path)
    with pytest.raises(NoCgroup, match="no container around the collector"):
        locate(tmp_path, None, tmp_path)


def test_files_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    """Some are there only for some controllers, and a folder in a file's place is no reason to fail."""
    (tmp_path / "cpu.stat").write_text("usage_usec 1\n")
    (tmp_path / "memory.stat").mkdir()
    assert read_files(tmp_path, FILES) == {"cpu.stat": "usage_usec 1\n"}


def test_lines_of_unknown_shape_are_passed_over() -> None:
    """Both shapes of file, with rubbish among them."""
    assert parse_flat("a 1\nb\nc x\n d 4\nemax 5") == {"a": 1, "emax": 5}
    assert parse_nested("some avg10=1.5 total=x =3 lone\n\nfull total=2\n") == {
        "some": {"avg10": 1.5, "": 3.0},
        "full": {"total": 2.0},
    }


@pytest.mark.parametrize(
    ("usage", "before", "cores", "ratio"),
    [
        ((12.0, 10.0), (10.0, 5.0), 2.0, 0.2),
        ((20.0, 10.0), (10.0, 5.0), 2.0, 1.0),
        ((12.0, 5.0), (10.0, 5.0), 2.0, None),
        ((1.0, 10.0), (10.0, 5.0), 2.0, None),
        ((12.0, 10.0), (10.0, 5.0), 0.0, None),
    ],
)
def test_the_ratio_of_processor_time_needs_time_to_pass(
    usage: tuple[float, float], before: tuple[float, float], cores: float, ratio: float | None
) -> None:
    """None when no time passed, or when the counter began anew: no value rather than a wrong one."""
    assert cpu_ratio(usage, before, cores) == ratio
