"""The NVIDIA sampler, through the real pynvml module and its ctypes calls, against a stand-in for the driver's library.

The stand-in (`nvml_stand_in.c`) is compiled once and found by pynvml's own search, by way of LD_LIBRARY_PATH. What it
cannot show is how a real driver behaves in time: how long calls take, and what it does under a GPU's real failure.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wayside_collector.sources.gpu import MAX_PROCESSES, METRICS, MIG_METRICS, NVIDIA, PROCESS_METRICS

HERE = Path(__file__).parent
LOST = "GPU is lost"
SETS = 0xFFFFFFFF
DCGM_BLANK = 0x7FFFFFFFFFFFFFF2

Steps = list[list[Any]]
Drive = Callable[..., list[dict[str, Any]]]


def build(folder: Path, *flags: str) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to build the stand-in for libnvidia-ml.so.1 with")
    library = folder / "libnvidia-ml.so.1"
    command = [compiler, "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run([*command, *flags, "-o", library, HERE / "nvml_stand_in.c"], check=True)
    return folder


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-in's library."""
    return build(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def drive(driver: Path, tmp_path: Path) -> Drive:
    """Runs a sampler through steps in a process of its own, against the stand-in."""

    def run(steps: Steps, *, library: Path = driver, gpus: int = 2, **options: Any) -> list[dict[str, Any]]:
        (tmp_path / "control").touch()
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(library),
            "FAKE_NVML_CONTROL": str(tmp_path / "control"),
            "FAKE_NVML_GPUS": str(gpus),
        }
        ended = subprocess.run(
            [sys.executable, "-W", "error", HERE / "nvidia_steps.py"],
            input=json.dumps({"options": options, "steps": steps}),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        results: list[dict[str, Any]] = json.loads(ended.stdout)
        return results

    return run


def test_every_field_of_a_data_centre_gpu_arrives_in_base_units(drive: Drive) -> None:
    """Percent become ratios, milliwatts watts, millijoules joules, megahertz hertz, and counts stay counts."""
    (sample,) = drive([["open"], ["sample"]], gpus=1)
    assert sample["metrics"] == {
        "gpu/0/utilization_ratio": 0.97,
        "gpu/0/memory_utilization_ratio": 0.4,
        "gpu/0/memory_total_bytes": 140 << 30,
        "gpu/0/memory_used_bytes": 10 << 30,
        "gpu/0/memory_reserved_bytes": 1 << 29,
        "gpu/0/temperature_celsius": 61,
        "gpu/0/memory_temperature_celsius": 70,
        "gpu/0/power_watts": 512.345,
        "gpu/0/power_limit_watts": 700,
        "gpu/0/energy_joules_total": 123456.789,
        "gpu/0/graphics_clock_hertz": 1755e6,
        "gpu/0/sm_clock_hertz": 1980e6,
        "gpu/0/memory_clock_hertz": 3201e6,
        "gpu/0/throttled_idle": 0,
        "gpu/0/throttled_application_clocks": 0,
        "gpu/0/throttled_sw_power_cap": 1,
        "gpu/0/throttled_hw_slowdown": 0,
        "gpu/0/throttled_sync_boost": 0,
        "gpu/0/throttled_sw_thermal": 0,
        "gpu/0/throttled_hw_thermal": 0,
        "gpu/0/throttled_hw_power_brake": 0,
        "gpu/0/throttled_display_clock": 0,
        "gpu/0/throttled_board_limit": 0,
        "gpu/0/throttled_reliability": 0,
        "gpu/0/performance_state": 0,
        "gpu/0/encoder_utilization_ratio": 0.03,
        "gpu/0/decoder_utilization_ratio": 0.04,
        "gpu/0/ecc_corrected_errors_total": 5,
        "gpu/0/ecc_uncorrected_errors_total": 0,
        "gpu/0/remapped_rows_corrected_total": 2,
        "gpu/0/remapped_rows_uncorrected_total": 1,
        "gpu/0/row_remap_pending": 1,
        "gpu/0/row_remap_failed": 0,
        "gpu/0/retired_pages_single_bit_total": 2,
        "gpu/0/retired_pages_double_bit_total": 0,
        "gpu/0/retired_pages_pending": 0,
        "gpu/0/pcie_replays_total": 7,
        "gpu/0/pcie_transmit_bytes_total": 1111111111111,
        "gpu/0/pcie_receive_bytes_total": 2222222222222,
        "gpu/0/pcie_link_generation": 5,
        "gpu/0/pcie_link_width": 16,
        "gpu/0/recovery_action": 0,
        "gpu/0/mig_enabled": 0,
        "gpu/0/processes": 0,
        "gpu/0/lost": 0,
        "gpu/0/xid_errors_total": 0,
    }
    assert sample["problems"] == ["gpu/0: not supported here: fan"]
    assert sample["devices"] == {
        "gpu/0": {
            "index": "0",
            "uuid": "GPU-000000a0-1111-2222-3333-000000000000",
            "name": "NVIDIA H200",
            "vendor": "nvidia",
            "driver": "570.86.15",
            "pci_bus_id": "00000000:1B:00.0",
            "memory_bytes": str(140 << 30),
        }
    }


def test_every_name_it_gives_is_in_the_table_and_every_name_of_the_table_is_given(drive: Drive) -> None:
    """What the sampler emits, at its fullest, is what the table of names and so the documentation promise."""
    control = "mig 0 1\nprocess 0 10 1000\nxid 1 0 79\n"
    (sample,) = drive([["control", control], ["open"], ["sample"]], pcie="sampled")
    given = {re.sub(r"/[0-9]+", "", name) for name in sample["metrics"]}
    table = {f"gpu/{metric.name}" for metric in METRICS if NVIDIA in metric.vendors}
    table |= {f"gpu/process/{metric.name}" for metric in PROCESS_METRICS}
    table |= {f"gpu/mig/{metric.name}" for metric in MIG_METRICS}
    assert given == table


def test_a_field_that_is_not_supported_hides_no_other(drive: Drive) -> None:
    """The desktop card lacks nine fields and still tells all the rest; what it lacks is said in one line."""
    (sample,) = drive([["open"], ["sample"]])
    desktop = {name for name in sample["metrics"] if name.startswith("gpu/1/")}
    assert {"gpu/1/utilization_ratio", "gpu/1/fan_speed_ratio", "gpu/1/pcie_link_width"} <= desktop
    assert not desktop & {"gpu/1/energy_joules_total", "gpu/1/ecc_corrected_errors_total", "gpu/1/xid_errors_total"}
    assert sum("gpu/1: not supported here: " in problem for problem in sample["problems"]) == 1
    assert "gpu/1: XID errors cannot be heard: Not Supported" in sample["problems"]


def test_a_field_that_is_not_supported_is_asked_for_again_after_an_hour_and_not_before(drive: Drive) -> None:
    """A driver may learn a field while the collector runs, and asking at each sample would cost for nothing."""
    fails = "fail nvmlDeviceGetPowerUsage 0 3\n"
    steps: Steps = [["control", fails], ["open"], ["sample"], ["control", ""], ["forward", 3599], ["sample"]]
    before, still, after = drive([*steps, ["forward", 1], ["sample"]], gpus=1)
    assert "gpu/0: not supported here: fan, power" in before["problems"]
    assert "gpu/0/power_watts" not in still["metrics"]
    assert still["problems"] == []
    assert after["metrics"]["gpu/0/power_watts"] == 512.345


def test_a_field_that_fails_for_a_moment_is_asked_for_at_the_next_sample(drive: Drive) -> None:
    """An unknown error of one call is said, costs that one value, and nothing else."""
    fails = "fail nvmlDeviceGetPowerUsage 0 999\n"
    failed, after = drive([["control", fails], ["open"], ["sample"], ["control", ""], ["sample"]], gpus=1)
    assert "gpu/0: power: Unknown Error" in failed["problems"]
    assert "gpu/0/power_watts" not in failed["metrics"]
    assert failed["metrics"]["gpu/0/utilization_ratio"] == 0.97
    assert after["metrics"]["gpu/0/power_watts"] == 512.345


@pytest.mark.parametrize(
    ("function", "metric", "number"),
    [
        ("nvmlDeviceGetUtilizationRates", "utilization_ratio", SETS),
        ("nvmlDeviceGetUtilizationRates", "utilization_ratio", 101),
        ("field82", "memory_temperature_celsius", 0x7FFFFFF2),
        ("nvmlDeviceGetTemperature", "temperature_celsius", 301),
        ("nvmlDeviceGetPowerUsage", "power_watts", SETS),
        ("nvmlDeviceGetTotalEnergyConsumption", "energy_joules_total", DCGM_BLANK),
        ("nvmlDeviceGetTotalEccErrors", "ecc_corrected_errors_total", 0xFFFFFFFFFFFFFFFF),
        ("nvmlDeviceGetPerformanceState", "performance_state", 32),
        ("nvmlDeviceGetMemoryInfo", "memory_used_bytes", 0xFFFFFFFFFFFFFFFF),
        ("nvmlDeviceGetCurrentClocksEventReasons", "throttled_hw_thermal", 0xFFFFFFFFFFFFFFFF),
    ],
)
def test_a_sentinel_never_becomes_a_value(drive: Drive, function: str, metric: str, number: int) -> None:
    """A number that means "no value", or that no GPU can have, is left out and said, and its neighbours stay."""
    (sample,) = drive([["control", f"value {function} 0 {number}"], ["open"], ["sample"]], gpus=1)
    assert f"gpu/0/{metric}" not in sample["metrics"]
    assert any(problem.startswith(f"gpu/0: {metric}: left out") for problem in sample["problems"])
    assert sample["metrics"]["gpu/0/memory_total_bytes"] == 140 << 30


def test_a_gpu_that_falls_off_the_bus_is_said_to_be_lost_and_looked_for_again(drive: Drive) -> None:
    """The other GPU goes on; the lost one tells nothing but that, and is back five minutes later, after its reset."""
    steps: Steps = [["open"], ["control", "lost 0"], ["sample"], ["control", ""], ["forward", 299], ["sample"]]
    lost, still, back = drive([*steps, ["forward", 1], ["sample"]])
    for sample in (lost, still):
        told = {name for name in sample["metrics"] if name.startswith("gpu/0/")}
        assert told == {"gpu/0/lost", "gpu/0/xid_errors_total"}
        assert sample["metrics"]["gpu/0/lost"] == 1
        assert "gpu/0: does not answer: GPU is lost" in sample["problems"]
        assert sample["metrics"]["gpu/1/utilization_ratio"] == 0.97
    assert back["metrics"]["gpu/0/lost"] == 0
    assert back["metrics"]["gpu/0/utilization_ratio"] == 0.97


def test_a_gpu_still_lost_when_opened_anew_is_told_under_its_number(drive: Drive) -> None:
    """NVML lists a lost GPU and cannot open it: it is the one that was known, and not another."""
    steps: Steps = [["open"], ["sample"], ["control", "lost 0"], ["sample"], ["forward", 300], ["sample"]]
    *_, anew = drive(steps)
    assert anew["metrics"]["gpu/0/lost"] == 1
    assert anew["metrics"]["gpu/1/utilization_ratio"] == 0.97
    assert {name.split("/")[1] for name in anew["metrics"]} == {"0", "1"}


def test_gpus_behind_a_vanished_one_keep_their_numbers(drive: Drive) -> None:
    """NVML counts anew when a GPU is gone from its list; a chart of gpu/2 must not turn into one of gpu/1."""
    before, _, after = drive(
        [
            ["open"],
            ["sample"],
            ["control", "lost 1"],
            ["sample"],
            ["control", "absent 1"],
            ["forward", 300],
            ["sample"],
        ],
        gpus=3,
    )
    assert after["devices"]["gpu/2"] == before["devices"]["gpu/2"]
    assert after["metrics"]["gpu/2/utilization_ratio"] == 0.97
    assert after["metrics"]["gpu/1/lost"] == 1
    assert "gpu/1: does not answer: the driver does not list it any more" in after["problems"]


def test_a_gpu_lost_before_the_start_is_told_by_its_index(drive: Drive) -> None:
    """There is no UUID to be had of it, and still a person sees that a GPU is missing."""
    lost, back = drive([["control", "lost 1"], ["open"], ["sample"], ["control", ""], ["forward", 300], ["sample"]])
    assert lost["metrics"]["gpu/1/lost"] == 1
    assert lost["metrics"]["gpu/0/lost"] == 0
    assert "gpu/1" not in lost["devices"]
    assert back["metrics"]["gpu/1/lost"] == 0
    assert set(back["devices"]) == {"gpu/0", "gpu/1"}


@pytest.mark.parametrize("code", [1, 9, 18])
def test_a_driver_that_goes_away_ends_the_sampling_and_not_the_collector(drive: Drive, code: int) -> None:
    """The sampler says that there is nothing to measure, and measures again once it is opened with a driver there."""
    gone = f"fail nvmlDeviceGetUtilizationRates * {code}"
    steps: Steps = [["open"], ["sample"], ["control", gone], ["sample"], ["close"], ["control", ""]]
    _, without, after = drive([*steps, ["open"], ["sample"]])
    assert without["unavailable"].startswith("the NVIDIA driver went away: ")
    assert after["metrics"]["gpu/0/utilization_ratio"] == 0.97


def test_xid_errors_are_counted_and_explained(drive: Drive) -> None:
    """Each error counts once, the last code is kept, and a person reads what it means."""
    steps: Steps = [["open"], ["sample"], ["control", "xid 1 0 13\nxid 2 0 79\n"], ["sample"], ["sample"]]
    quiet, struck, after = drive(steps)
    assert quiet["metrics"]["gpu/0/xid_errors_total"] == 0
    assert "gpu/0/xid_last_code" not in quiet["metrics"]
    assert struck["metrics"]["gpu/0/xid_errors_total"] == 2
    assert "gpu/0: XID 79: the GPU has fallen off the bus" in struck["problems"]
    assert (after["metrics"]["gpu/0/xid_errors_total"], after["metrics"]["gpu/0/xid_last_code"]) == (2, 79)
    assert after["problems"] == []


def test_counts_of_xid_errors_outlive_the_loss_of_a_gpu(drive: Drive) -> None:
    """A counter that began anew whenever NVML is opened anew would hide the very error that made it so."""
    steps: Steps = [["open"], ["control", "xid 1 0 79\nlost 1"], ["sample"], ["control", ""], ["forward", 300]]
    _, after = drive([*steps, ["sample"]])
    assert after["metrics"]["gpu/0/xid_errors_total"] == 1


def test_a_storm_of_errors_does_not_hold_a_sample_up(drive: Drive) -> None:
    """At most 64 events are taken at once; the rest come with the next sample."""
    storm = "".join(f"xid {number} 0 31\n" for number in range(1, 101))
    first, second = drive([["open"], ["control", storm], ["sample"], ["sample"]], gpus=1)
    assert first["metrics"]["gpu/0/xid_errors_total"] == 64
    assert second["metrics"]["gpu/0/xid_errors_total"] == 100


def test_processes_are_counted_and_the_largest_told(drive: Drive) -> None:
    """The count is of all, the memory of sixteen, and one whose memory the driver does not tell is only counted."""
    control = "".join(f"process 0 {1000 + i} {(i + 1) << 20}\n" for i in range(20))
    control += "process 0 5000 18446744073709551615\nprocess 1 1000 4096\n"
    (sample,) = drive([["control", control], ["open"], ["sample"]])
    memory = {name: value for name, value in sample["metrics"].items() if re.fullmatch("gpu/0/process/[0-9]+/.*", name)}
    assert sample["metrics"]["gpu/0/processes"] == 21
    assert memory == {f"gpu/0/process/{1000 + i}/memory_used_bytes": (i + 1) << 20 for i in range(4, 20)}
    assert len(memory) == MAX_PROCESSES
    assert "gpu/0: more than 16 processes, only the largest are told one by one" in sample["problems"]
    assert sample["metrics"]["gpu/1/process/1000/memory_used_bytes"] == 4096


def test_a_process_on_two_instances_counts_once(drive: Drive) -> None:
    """NVML lists it once for each MIG instance: its memory is the sum."""
    control = "process 0 1000 100\nprocess 0 1000 50\n"
    (sample,) = drive([["control", control], ["open"], ["sample"]], gpus=1)
    assert sample["metrics"]["gpu/0/processes"] == 1
    assert sample["metrics"]["gpu/0/process/1000/memory_used_bytes"] == 150


def test_processes_can_be_only_counted(drive: Drive) -> None:
    """`processes: count` leaves out a series for each process id."""
    (sample,) = drive([["control", "process 0 1000 100"], ["open"], ["sample"]], gpus=1, processes="count")
    assert sample["metrics"]["gpu/0/processes"] == 1
    assert not any("/process/" in name for name in sample["metrics"])


def test_the_instances_of_a_divided_gpu_are_noticed(drive: Drive) -> None:
    """Each has its memory and its own UUID, and one made while the collector runs appears at the next slow look."""
    steps: Steps = [["control", "mig 0 2"], ["open"], ["sample"], ["control", "mig 0 2\nmig 0 4"], ["forward", 10]]
    first, second = drive([*steps, ["sample"]])
    assert first["metrics"]["gpu/0/mig_enabled"] == 1
    assert first["metrics"]["gpu/0/mig/2/memory_used_bytes"] == 3 << 30
    assert first["metrics"]["gpu/0/mig/2/memory_total_bytes"] == 18 << 30
    assert first["devices"]["gpu/0/mig/2"]["uuid"].startswith("MIG-")
    assert "gpu/0/mig/4" not in first["devices"]
    assert second["metrics"]["gpu/0/mig/4/memory_used_bytes"] == 3 << 30


def test_what_seldom_changes_is_asked_for_seldom(drive: Drive) -> None:
    """Between two slow looks a sample has only what moves; its share is what makes a second's interval affordable."""
    steps: Steps = [["open"], ["sample"], ["forward", 9], ["sample"], ["forward", 1], ["sample"]]
    full, fast, again = drive(steps, gpus=1)
    assert set(full["metrics"]) - set(fast["metrics"]) >= {
        "gpu/0/power_limit_watts",
        "gpu/0/ecc_corrected_errors_total",
    }
    assert {"gpu/0/utilization_ratio", "gpu/0/power_watts", "gpu/0/throttled_hw_thermal"} <= set(fast["metrics"])
    assert set(again["metrics"]) == set(full["metrics"])


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        ((1,), {"gpu/1"}),
        (("GPU-000000a0",), {"gpu/0"}),
        (("gpu-000000A2-1111-2222-3333-000000000000", 1), {"gpu/1", "gpu/2"}),
    ],
)
def test_only_the_gpus_asked_for_are_sampled(drive: Drive, devices: tuple[int | str, ...], told: set[str]) -> None:
    """By index, by UUID or by how it begins, whatever its letters' case; they keep NVML's numbers."""
    (sample,) = drive([["open"], ["sample"]], gpus=3, devices=devices)
    assert set(sample["devices"]) == told


def test_a_gpu_the_process_may_not_open_is_none_of_ours(drive: Drive) -> None:
    """A container is given some of a node's GPUs; NVML lists the others and refuses them."""
    (sample,) = drive([["control", "fail nvmlDeviceGetHandleByIndex 1 4"], ["open"], ["sample"]])
    assert set(sample["devices"]) == {"gpu/0"}
    assert "gpu/1/lost" not in sample["metrics"]


@pytest.mark.parametrize(
    ("control", "options", "reason"),
    [
        ("fail nvmlInitWithFlags * 9", {}, "the NVIDIA driver is not loaded"),
        ("fail nvmlInitWithFlags * 18", {}, "restart the collector"),
        ("fail nvmlInitWithFlags * 999", {}, "lost its device files"),
        ("fail nvmlInitWithFlags * 77", {}, "NVML does not start: Unknown Error (code 77)"),
        ("fail nvmlDeviceGetCount * 999", {}, "NVML lists no GPUs: Unknown Error"),
        ("gpus 0", {}, "shows this process no GPU"),
        ("", {"devices": [7]}, "none of the GPUs that `devices` names: [7]"),
    ],
)
def test_nothing_to_measure_is_said_in_a_sentence_that_helps(
    drive: Drive, control: str, options: dict[str, Any], reason: str
) -> None:
    """Whoever reads the status learns what to do, and the sampler can be opened again when it has been done."""
    refused, sample = drive([["control", control], ["open"], ["control", ""], *_reopen(options)], **options)
    assert reason in refused["unavailable"]
    assert ("metrics" in sample) != bool(options)


def _reopen(options: dict[str, Any]) -> Steps:
    return [["open"]] if options else [["open"], ["sample"]]


def test_a_machine_without_the_library_is_told_how_to_get_one(drive: Drive, tmp_path: Path) -> None:
    """No libnvidia-ml.so.1 is the ordinary case, and in a container one that a person can change."""
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has an NVIDIA driver of its own")
    (refused,) = drive([["open"], ["close"]], library=tmp_path / "nowhere")
    assert "libnvidia-ml.so.1 was not found" in refused["unavailable"]
    assert "NVIDIA_DRIVER_CAPABILITIES=utility" in refused["unavailable"]


def test_a_driver_older_than_the_calls_is_asked_by_their_elders(
    drive: Drive, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Driver 470 knows neither version 2 of the memory nor version 3 of the processes: the earlier ones serve."""
    old = build(tmp_path_factory.mktemp("old"), "-DOLD_DRIVER")
    (sample,) = drive([["control", "process 0 10 4096"], ["open"], ["sample"]], library=old, gpus=1)
    assert sample["metrics"]["gpu/0/memory_used_bytes"] == (10 << 30) + (1 << 29)  # what is reserved counts as used
    assert "gpu/0/memory_reserved_bytes" not in sample["metrics"]
    assert sample["metrics"]["gpu/0/throttled_idle"] == 1
    assert sample["metrics"]["gpu/0/process/10/memory_used_bytes"] == 4096


def test_throughput_is_measured_only_when_it_was_asked_for(drive: Drive) -> None:
    """Each measurement waits 20 ms in a real driver."""
    (plain,) = drive([["open"], ["sample"]], gpus=1)
    (sampled,) = drive([["open"], ["sample"]], gpus=1, pcie="sampled")
    assert "gpu/0/pcie_transmit_bytes_per_second" not in plain["metrics"]
    assert sampled["metrics"]["gpu/0/pcie_transmit_bytes_per_second"] == 1_500_000
    assert sampled["metrics"]["gpu/0/pcie_receive_bytes_per_second"] == 2_500_000


def test_closing_is_safe_without_opening_and_twice(drive: Drive) -> None:
    """And a driver that is gone by then is no reason to fail."""
    steps: Steps = [["close"], ["open"], ["control", "fail nvmlShutdown * 1\nfail nvmlEventSetFree * 1"], ["close"]]
    assert drive([*steps, ["close"]]) == []
