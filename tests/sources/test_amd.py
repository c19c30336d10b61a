"""The AMD sampler, against trees of files as the amdgpu driver lays them out, and a stand-in for AMD's library.

The trees are written from the kernel's documentation and listings seen in the wild; what a file cannot show is an
error other than "not there", which the tests that need one raise in the place of reading.
"""

import errno
import os
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wayside_collector.sources import amdgpu
from wayside_collector.sources.amd import AmdOptions, AmdSampler
from wayside_collector.sources.amd_library import parse_throttles, residencies
from wayside_collector.sources.base import Unavailable
from wayside_collector.sources.gpu import AMD, METRICS, PROCESS_METRICS
from wayside_collector.testing import FakeClock

MI300X = {
    "vendor": "0x1002",
    "device": "0x74a1",
    "class": "0x120000",
    "unique_id": "f3c2a1b09d8e7f60",
    "product_name": "AMD Instinct MI300X OAM",
    "gpu_busy_percent": "98",
    "mem_busy_percent": "41",
    "mem_info_vram_used": str(150 << 30),
    "mem_info_vram_total": str(192 << 30),
    "mem_info_gtt_used": "16777216",
    "mem_info_gtt_total": str(512 << 30),
    "current_link_speed": "32.0 GT/s PCIe",
    "current_link_width": "16",
    "pcie_replay_count": "3",
    "pcie_bw": "0 0 256",
    "ras/umc_err_count": "ue: 1\nce: 20",
    "ras/gfx_err_count": "ue: 0\nce: 3",
    "ras/sdma_err_count": "ue: 0\nce: 0\nde: 2",
    "ras/features": "feature mask: 0xffff",
    "hwmon/hwmon4/name": "amdgpu",
    "hwmon/hwmon4/temp2_label": "junction",
    "hwmon/hwmon4/temp2_input": "67000",
    "hwmon/hwmon4/temp3_label": "mem",
    "hwmon/hwmon4/temp3_input": "55000",
    "hwmon/hwmon4/power1_label": "PPT",
    "hwmon/hwmon4/power1_input": "612000000",
    "hwmon/hwmon4/power1_cap": "750000000",
    "hwmon/hwmon4/freq1_label": "sclk",
    "hwmon/hwmon4/freq1_input": "2100000000",
    "pp_dpm_sclk": "0: 132Mhz\n1: 2107Mhz *",
    "pp_dpm_mclk": "0: 900Mhz *\n1: 1300Mhz",
}

DESKTOP = {
    "vendor": "0x1002",
    "device": "0x744c",
    "class": "0x030000",
    "gpu_busy_percent": "7",
    "mem_busy_percent": "2",
    "mem_info_vram_used": "1073741824",
    "mem_info_vram_total": str(24 << 30),
    "hwmon/hwmon1/name": "amdgpu",
    "hwmon/hwmon1/temp1_label": "edge",
    "hwmon/hwmon1/temp1_input": "45000",
    "hwmon/hwmon1/temp2_label": "junction",
    "hwmon/hwmon1/temp2_input": "52000",
    "hwmon/hwmon1/temp3_label": "mem",
    "hwmon/hwmon1/temp3_input": "48000",
    "hwmon/hwmon1/power1_average": "21000000",
    "hwmon/hwmon1/power1_cap": "327000000",
    "hwmon/hwmon1/fan1_input": "1200",
    "hwmon/hwmon1/pwm1": "51",
    "hwmon/hwmon1/pwm1_max": "255",
    "hwmon/hwmon1/freq1_label": "sclk",
    "hwmon/hwmon1/freq1_input": "500000000",
    "hwmon/hwmon1/freq2_label": "mclk",
    "hwmon/hwmon1/freq2_input": "96000000",
}


def card(root: Path, number: int, address: str, files: dict[str, str]) -> Path:
    """A card as sysfs lays it out: a device folder on the PCI bus, linked to from class/drm and bus/pci."""
    device = root / "devices/pci0000:00" / address
    for name, text in files.items():
        path = device / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    (device / f"drm/renderD{128 + number}").mkdir(parents=True)
    drm = root / f"class/drm/card{number}"
    drm.mkdir(parents=True)
    (drm / "device").symlink_to(os.path.relpath(device, drm))
    connector = root / f"class/drm/card{number}-DP-1"
    connector.mkdir()
    (connector / "status").write_text("disconnected\n")
    pci = root / "bus/pci/devices"
    pci.mkdir(parents=True, exist_ok=True)
    (pci / address).symlink_to(os.path.relpath(device, pci))
    return device


def processes(root: Path, minors: dict[int, int], used: dict[int, dict[int, int]]) -> None:
    """The compute driver's files: render node to its own number of a GPU, and process to bytes by that number."""
    kfd = root / "class/kfd/kfd"
    for node, (minor, gpu) in enumerate([(0, 0), *minors.items()]):
        folder = kfd / f"topology/nodes/{node}"
        folder.mkdir(parents=True)
        (folder / "gpu_id").write_text(f"{gpu}\n")
        (folder / "properties").write_text(f"cpu_cores_count 0\nsimd_count 4\ndrm_render_minor {minor}\n")
    (kfd / "proc").mkdir()
    for pid, memory in used.items():
        (kfd / f"proc/{pid}/queues").mkdir(parents=True)
        for gpu, size in memory.items():
            (kfd / f"proc/{pid}/vram_{gpu}").write_text(f"{size}\n")


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """No amdsmi, whatever this machine has, unless a test brings a stand-in."""
    monkeypatch.setitem(sys.modules, "amdsmi", None)


def opened(
    root: Path, *, clock: FakeClock | None = None, read: Callable[[Path], str] | None = None, **options: Any
) -> AmdSampler:
    sampler = AmdSampler(
        AmdOptions(root=str(root), **options), clock=clock or FakeClock(0.0), read=read or amdgpu.read_text
    )
    sampler.open()
    return sampler


def test_every_file_of_an_mi300x_arrives_in_base_units(tmp_path: Path) -> None:
    """Percent, millidegrees, microwatts and megahertz become the units that every vendor's metrics have."""
    card(tmp_path, 0, "0000:0c:00.0", MI300X)
    sample = opened(tmp_path).sample()
    assert sample.metrics == {
        "gpu/0/utilization_ratio": 0.98,
        "gpu/0/memory_utilization_ratio": 0.41,
        "gpu/0/memory_used_bytes": 150 << 30,
        "gpu/0/memory_total_bytes": 192 << 30,
        "gpu/0/gtt_used_bytes": 16777216,
        "gpu/0/gtt_total_bytes": 512 << 30,
        "gpu/0/temperature_celsius": 67,
        "gpu/0/hotspot_temperature_celsius": 67,
        "gpu/0/memory_temperature_celsius": 55,
        "gpu/0/power_watts": 612,
        "gpu/0/power_limit_watts": 750,
        "gpu/0/sm_clock_hertz": 2100e6,
        "gpu/0/memory_clock_hertz": 900e6,
        "gpu/0/ecc_corrected_errors_total": 23,
        "gpu/0/ecc_uncorrected_errors_total": 1,
        "gpu/0/ecc_deferred_errors_total": 2,
        "gpu/0/pcie_replays_total": 3,
        "gpu/0/pcie_link_generation": 5,
        "gpu/0/pcie_link_width": 16,
        "gpu/0/lost": 0,
    }
    assert sample.problems == ()
    assert sample.devices["gpu/0"] == {
        "index": "0",
        "vendor": "amd",
        "name": "AMD Instinct MI300X OAM",
        "uuid": "f3c2a1b09d8e7f60",
        "driver": "amdgpu",
        "pci_bus_id": "0000:0c:00.0",
        "memory_bytes": str(192 << 30),
        "library": sample.devices["gpu/0"]["library"],
    }
    assert sample.devices["gpu/0"]["library"].startswith("amdsmi cannot be imported: ")


def test_a_desktop_card_tells_what_it_has(tmp_path: Path) -> None:
    """Fans and an edge sensor, no RAS, no FRU name: the name falls back on the device's number."""
    card(tmp_path, 1, "0000:03:00.0", DESKTOP)
    sample = opened(tmp_path).sample()
    assert sample.metrics["gpu/0/temperature_celsius"] == 45
    assert sample.metrics["gpu/0/hotspot_temperature_celsius"] == 52
    assert sample.metrics["gpu/0/fan_speed_ratio"] == 0.2
    assert sample.metrics["gpu/0/fan_speed_rpm"] == 1200
    assert sample.metrics["gpu/0/power_watts"] == 21
    assert sample.metrics["gpu/0/memory_clock_hertz"] == 96e6
    assert not any("ecc" in name for name in sample.metrics)
    assert sample.devices["gpu/0"]["name"] == "AMD GPU 0x744c"


def test_a_half_broken_card_tells_what_it_can(tmp_path: Path) -> None:
    """Rubbish in some files, sentinels in others, and folders in their place hide nothing of the rest."""
    broken = MI300X | {
        "gpu_busy_percent": "255",
        "mem_busy_percent": "busy",
        "mem_info_vram_used": "18446744073709551615",
        "current_link_speed": "Unknown",
        "current_link_width": "0",
        "ras/umc_err_count": "",
        "hwmon/hwmon4/temp2_input": "-273000",
        "hwmon/hwmon4/temp3_input": "65535000",
        "hwmon/hwmon4/power1_input": "0",
        "pp_dpm_mclk": "0: 900Mhz *\n1: 1300Mhz *",
    }
    device = card(tmp_path, 0, "0000:0c:00.0", broken)
    (device / "pcie_replay_count").unlink()
    (device / "pcie_replay_count").mkdir()
    sample = opened(tmp_path).sample()
    assert set(sample.metrics) == {
        "gpu/0/memory_total_bytes",
        "gpu/0/gtt_used_bytes",
        "gpu/0/gtt_total_bytes",
        "gpu/0/power_limit_watts",
        "gpu/0/sm_clock_hertz",
        "gpu/0/ecc_corrected_errors_total",
        "gpu/0/ecc_uncorrected_errors_total",
        "gpu/0/ecc_deferred_errors_total",
        "gpu/0/lost",
    }
    assert sample.metrics["gpu/0/ecc_corrected_errors_total"] == 3
    said = "\n".join(sample.problems)
    for field in ("utilization_ratio", "memory_utilization_ratio", "memory_used_bytes", "temperature_celsius"):
        assert f"gpu/0: {field}: left out" in said
    assert "gpu/0: power_watts: left out" in said
    assert "gpu/0: PCIe replays: Is a directory" in said


@pytest.mark.parametrize("vendor", ["0x10de", "0x8086", ""])
def test_a_card_of_another_vendor_is_none_of_ours(tmp_path: Path, vendor: str) -> None:
    """NVIDIA's and Intel's cards stand in the same folder, and a partition of an MI300 has no vendor file."""
    files = MI300X | {"vendor": vendor}
    device = card(tmp_path, 0, "0000:0c:00.0", files)
    if not vendor:
        (device / "vendor").unlink()
    with pytest.raises(Unavailable, match="no AMD GPU in"):
        opened(tmp_path)


def test_gpus_are_numbered_by_address_after_those_of_nvidia(tmp_path: Path) -> None:
    """The card's number changes between boots; and no two GPUs of one machine may share a name."""
    card(tmp_path, 0, "0000:c1:00.0", MI300X)
    card(tmp_path, 1, "0000:03:00.0", DESKTOP)
    card(tmp_path, 2, "0000:01:00.0", {"vendor": "0x10de", "class": "0x030200"})
    card(tmp_path, 3, "0000:01:00.1", {"vendor": "0x10de", "class": "0x040300"})  # its sound device
    sample = opened(tmp_path).sample()
    assert {name: about["pci_bus_id"] for name, about in sample.devices.items()} == {
        "gpu/1": "0000:03:00.0",
        "gpu/2": "0000:c1:00.0",
    }


@pytest.mark.parametrize(
    ("devices", "told"), [((1,), "gpu/1"), (("0000:03:00.0",), "gpu/0"), (("f3c2a1b09d8e7f60",), "gpu/1")]
)
def test_only_the_gpus_asked_for_are_sampled(tmp_path: Path, devices: tuple[int | str, ...], told: str) -> None:
    """By number, PCI address or unique id."""
    card(tmp_path, 0, "0000:c1:00.0", MI300X)
    card(tmp_path, 1, "0000:03:00.0", DESKTOP)
    assert set(opened(tmp_path, devices=devices).sample().devices) == {told}
    with pytest.raises(Unavailable, match="is among `devices`"):
        opened(tmp_path, devices=("nobody",))


def test_a_file_that_is_not_supported_is_read_again_after_an_hour(tmp_path: Path) -> None:
    """EOPNOTSUPP is how amdgpu says that this card lacks a sensor whose file is there."""
    card(tmp_path, 0, "0000:0c:00.0", MI300X)
    failing, clock = True, FakeClock(0.0)

    def read(path: Path) -> str:
        if failing and path.name == "gpu_busy_percent":
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return amdgpu.read_text(path)

    sampler = opened(tmp_path, clock=clock, read=read)
    assert sampler.sample().problems == ("gpu/0: not supported here: utilization",)
    failing = False
    clock.forward(3599)
    quiet = sampler.sample()
    assert "gpu/0/utilization_ratio" not in quiet.metrics
    assert quiet.problems == ()
    clock.forward(1)
    assert sampler.sample().metrics["gpu/0/utilization_ratio"] == 0.98


def test_a_card_in_reset_is_asked_at_the_next_sample(tmp_path: Path) -> None:
    """It answers EPERM to everything for a while; to take that for "never" would blind the collector for an hour."""
    card(tmp_path, 0, "0000:0c:00.0", MI300X)
    resetting = True

    def read(path: Path) -> str:
        if resetting:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return amdgpu.read_text(path)

    sampler = opened(tmp_path, read=read)
    during = sampler.sample()
    assert set(during.metrics) == {"gpu/0/lost"}
    assert "gpu/0: utilization: Operation not permitted" in during.problems
    resetting = False
    assert sampler.sample().metrics["gpu/0/utilization_ratio"] == 0.98


def test_a_card_that_is_gone_is_said_to_be_lost_and_looked_for_again(tmp_path: Path) -> None:
    """The other card goes on under its own number, and the lost one is back five minutes after it returned."""
    gone = card(tmp_path, 0, "0000:03:00.0", DESKTOP)
    card(tmp_path, 1, "0000:0c:00.0", MI300X)
    clock = FakeClock(0.0)
    sampler = opened(tmp_path, clock=clock)
    away = gone.with_name("away")
    gone.rename(away)
    lost = sampler.sample()
    assert {name: value for name, value in lost.metrics.items() if name.startswith("gpu/0/")} == {"gpu/0/lost": 1}
    assert lost.metrics["gpu/1/utilization_ratio"] == 0.98
    assert "gpu/0: does not answer: its folder in sysfs is gone" in lost.problems
    clock.forward(300)
    assert sampler.sample().metrics["gpu/0/lost"] == 1
    away.rename(gone)
    clock.forward(300)
    back = sampler.sample()
    assert back.metrics["gpu/0/lost"] == 0
    assert back.metrics["gpu/0/utilization_ratio"] == 0.07


def test_processes_are_told_by_the_compute_driver(tmp_path: Path) -> None:
    """A process counts for the GPUs whose memory it holds; the others have a file of it that says 0."""
    card(tmp_path, 0, "0000:03:00.0", MI300X)
    card(tmp_path, 1, "0000:0c:00.0", MI300X)
    processes(tmp_path, {128: 15209, 129: 17126}, {4242: {15209: 1 << 30, 17126: 0}, 77: {15209: 4096, 17126: 8192}})
    sample = opened(tmp_path).sample()
    assert {name: value for name, value in sample.metrics.items() if "process" in name} == {
        "gpu/0/processes": 2,
        "gpu/0/process/4242/memory_used_bytes": 1 << 30,
        "gpu/0/process/77/memory_used_bytes": 4096,
        "gpu/1/processes": 1,
        "gpu/1/process/77/memory_used_bytes": 8192,
    }
    only = opened(tmp_path, processes="count").sample()
    assert {name for name in only.metrics if "process" in name} == {"gpu/0/processes", "gpu/1/processes"}


def test_what_seldom_changes_is_read_seldom_and_pcie_bw_never(tmp_path: Path) -> None:
    """RAS files ask the hardware, and reading `pcie_bw` blocks for a second."""
    card(tmp_path, 0, "0000:0c:00.0", MI300X)
    clock, seen = FakeClock(0.0), []

    def read(path: Path) -> str:
        seen.append(path.name)
        return amdgpu.read_text(path)

    sampler = opened(tmp_path, clock=clock, read=read)
    counts = []
    for _ in range(3):
        sampler.sample()
        counts.append((seen.count("gpu_busy_percent"), seen.count("umc_err_count"), seen.count("pcie_bw")))
        clock.forward(5)
    assert counts == [(1, 1, 0), (2, 1, 0), (3, 2, 0)]


# --- the library -----------------------------------------------------------------------------------------------------


class FakeSmi(types.ModuleType):
    """A stand-in for amdsmi: its exception, the calls that are made of it, and its habit of saying "N/A"."""

    class AmdSmiException(Exception):
        err_code = 0

    def __init__(self) -> None:
        super().__init__("amdsmi")
        self.started = 0
        self.renamed = False
        self.refused: dict[str, int] = {}
        self.metrics: dict[str, object] = {
            "temperature_edge": "N/A",
            "temperature_hotspot": 68,
            "temperature_mem": 56,
            "throttle_status": "N/A",
            "ppt_residency_acc": 100,
            "prochot_residency_acc": 0,
            "socket_thm_residency_acc": 7,
            "vr_thm_residency_acc": "N/A",
        }

    def _refuse(self, call: str) -> None:
        if call in self.refused:
            error = self.AmdSmiException(f"Error code:\n\t{self.refused[call]} | refused")
            error.err_code = self.refused[call]
            raise error

    def amdsmi_init(self) -> None:
        self._refuse("init")
        self.started += 1

    def amdsmi_shut_down(self) -> None:
        self.started -= 1

    def amdsmi_get_processor_handle_from_bdf(self, address: str) -> str:
        self._refuse("find")
        return f"handle of {address}"

    def amdsmi_get_energy_count(self, handle: str) -> dict[str, object]:
        self._refuse("energy")
        return (
            {"energy": 2_000_000}
            if self.renamed
            else {"energy_accumulator": 2_000_000, "counter_resolution": 15.3, "timestamp": 1}
        )

    def amdsmi_get_gpu_total_ecc_count(self, handle: str) -> dict[str, object]:
        self._refuse("errors")
        return (
            {"corrected": 11}
            if self.renamed
            else {"correctable_count": 11, "uncorrectable_count": 2, "deferred_count": 0}
        )

    def amdsmi_get_gpu_metrics_info(self, handle: str) -> dict[str, object]:
        self._refuse("metrics")
        return dict(self.metrics)


@pytest.fixture
def smi(monkeypatch: pytest.MonkeyPatch) -> FakeSmi:
    module = FakeSmi()
    monkeypatch.setitem(sys.modules, "amdsmi", module)
    return module


def test_the_library_tells_what_the_files_do_not(tmp_path: Path, smi: FakeSmi) -> None:
    """Energy and throttling come from it, memory errors only where there are no RAS files, and no file is overruled."""
    card(tmp_path, 0, "0000:03:00.0", DESKTOP)
    card(tmp_path, 1, "0000:0c:00.0", MI300X)
    sample = opened(tmp_path).sample()
    assert sample.metrics["gpu/1/energy_joules_total"] == pytest.approx(30.6)
    assert sample.metrics["gpu/1/ecc_corrected_errors_total"] == 23
    assert sample.metrics["gpu/0/ecc_corrected_errors_total"] == 11
    assert sample.metrics["gpu/1/memory_temperature_celsius"] == 55
    assert sample.devices["gpu/1"]["library"] == "amdsmi"
    assert sample.problems == ()


def test_throttling_is_what_grew_between_two_looks(tmp_path: Path, smi: FakeSmi) -> None:
    """The first look has nothing to compare with; a counter that is not there has no flag at all."""
    card(tmp_path, 0, "0000:0c:00.0", MI300X)
    clock = FakeClock(0.0)
    sampler = opened(tmp_path, clock=clock)
    assert not any("throttled" in name for name in sampler.sample().metrics)
    smi.metrics["ppt_residency_acc"] = 140
    clock.forward(10)
    assert {name: value for name, value in sampler.sample().metrics.items() if "throttled" in name} == {
        "gpu/0/throttled_sw_power_cap": 1,
        "gpu/0/throttled_prochot": 0,
        "gpu/0/throttled_hw_thermal": 0,
    }


def test_counters_that_began_anew_say_nothing() -> None:
    """After a reset of the GPU a smaller count is no sign of anything."""
    assert list(parse_throttles({"throttled_prochot": 9}, {"throttled_prochot": 3})) == []
    assert residencies({"ppt_residency_acc": "N/A", "prochot_residency_acc": 4}) == {"throttled_prochot": 4}


def test_a_call_the_library_refuses_hides_no_other(tmp_path: Path, smi: FakeSmi) -> None:
    """Not supported (2) is asked again after an hour, busy (30) at the next slow look."""
    card(tmp_path, 0, "0000:0c:00.0", MI300X)
    clock = FakeClock(0.0)
    sampler = opened(tmp_path, clock=clock)
    smi.refused = {"energy": 2, "metrics": 30}
    first = sampler.sample()
    assert set(first.problems) == {
        "gpu/0: gpu_metrics: Error code: 30 | refused",
        "gpu/0: not supported here: energy",
    }
    smi.refused = {}
    clock.forward(10)
    sampler.sample()
    smi.metrics["ppt_residency_acc"] = 200
    clock.forward(10)
    third = sampler.sample()
    assert "gpu/0/throttled_sw_power_cap" in third.metrics
    assert "gpu/0/energy_joules_total" not in third.metrics


def test_an_answer_with_other_names_hides_no_other(tmp_path: Path, smi: FakeSmi) -> None:
    """amdsmi renames entries from release to release: one that is missing costs its metric alone."""
    smi.renamed = True
    card(tmp_path, 0, "0000:03:00.0", DESKTOP)
    sample = opened(tmp_path).sample()
    assert "gpu/0/energy_joules_total" not in sample.metrics
    assert "gpu/0/ecc_corrected_errors_total" not in sample.metrics
    assert "gpu/0/throttled_prochot" not in sample.metrics
    assert len(sample.metrics) > 3
    assert sample.problems == ("gpu/0: not supported here: ECC errors, energy",)


@pytest.mark.parametrize("call", ["init", "find"])
def test_a_library_that_does_not_work_is_done_without(tmp_path: Path, smi: FakeSmi, call: str) -> None:
    """It must fit the driver, and often does not: the files remain, and the reason stands with the device."""
    card(tmp_path, 0, "0000:0c:00.0", MI300X)
    smi.refused = {call: 34}
    sample = opened(tmp_path).sample()
    assert sample.metrics["gpu/0/utilization_ratio"] == 0.98
    assert "refused" in sample.devices["gpu/0"]["library"]


def test_the_library_is_ended_with_the_sampler_and_never_begun_when_it_is_off(tmp_path: Path, smi: FakeSmi) -> None:
    """As often shut down as started, also when a sampler is opened twice or closed twice."""
    card(tmp_path, 0, "0000:0c:00.0", MI300X)
    sampler = AmdSampler(AmdOptions(root=str(tmp_path)))
    sampler.close()
    sampler.open()
    sampler.open()
    assert smi.started == 1
    sampler.close()
    sampler.close()
    assert smi.started == 0
    opened(tmp_path, library="off")
    assert smi.started == 0


def test_every_name_it_gives_is_in_the_table_and_every_name_of_the_table_is_given(tmp_path: Path, smi: FakeSmi) -> None:
    """What the sampler emits, at its fullest, is what the table of names and so the documentation promise."""
    card(tmp_path, 0, "0000:03:00.0", DESKTOP)
    card(tmp_path, 1, "0000:0c:00.0", MI300X)
    processes(tmp_path, {128: 1}, {42: {1: 4096}})
    smi.metrics |= {"vr_thm_residency_acc": 1, "hbm_thm_residency_acc": 1}
    clock = FakeClock(0.0)
    sampler = opened(tmp_path, clock=clock)
    sampler.sample()
    clock.forward(10)
    given = {re.sub(r"/[0-9]+", "", name) for name in sampler.sample().metrics}
    table = {f"gpu/{metric.name}" for metric in METRICS if AMD in metric.vendors}
    assert given == table | {f"gpu/process/{metric.name}" for metric in PROCESS_METRICS}
