"""What the samplers measured: by host and device, fresh or gone."""

import pytest
from sinks.prometheus.pages import Desk, make_system
from wayside_collector.sinks.prometheus.hosts import HOST_KEPT, MAX_DEVICES
from wayside_collector.sinks.prometheus.options import PrometheusOptions

GPU = {"uuid": "GPU-1", "name": "H200", "vendor": "nvidia", "driver": "570.1", "pci_bus_id": "0000:01:00.0"}
STALE = PrometheusOptions().stale_after


def test_samples_stand_by_host_and_device() -> None:
    """The host is a label, the device another, named for what it is."""
    desk = Desk()
    system = make_system()
    desk.log(
        system, {"host/memory_used_bytes": 5.0, "filesystem//data/used_bytes": 6.0, "disk/vda/read_bytes_total": 7}
    )
    desk.log(make_system("host-b"), {"host/memory_used_bytes": 8.0})
    assert desk.scrape("host", "filesystem", "disk") == {
        "wayside_host_memory_used_bytes{host=host-a}": 5.0,
        "wayside_host_memory_used_bytes{host=host-b}": 8.0,
        "wayside_filesystem_used_bytes{host=host-a,mountpoint=/data}": 6.0,
        "wayside_disk_read_bytes_total{device=vda,host=host-a}": 7.0,
    }


def test_a_gpu_is_described_and_its_series_bear_its_uuid() -> None:
    """Whether the description or the first sample comes first, one series is shown, with the uuid."""
    described, late = Desk(), Desk()
    samples = {
        "gpu/0/utilization_ratio": 0.5,
        "gpu/0/process/12/memory_used_bytes": 1.0,
        "gpu/1/utilization_ratio": 0.1,
    }
    for desk, order in ((described, "device first"), (late, "device last")):
        system = make_system()
        if order == "device last":
            desk.log(system, samples)
            assert "wayside_gpu_utilization_ratio{gpu=0,host=host-a}" in desk.scrape("gpu_util")
        desk.tell(system, "device", {"gpu/0": {**GPU, "serial": "1"}})
        if order == "device first":
            desk.log(system, samples)
    info = "driver=570.1,gpu=0,host=host-a,name=H200,pci_bus_id=0000:01:00.0,uuid=GPU-1,vendor=nvidia"
    expected = {
        "wayside_gpu_utilization_ratio{gpu=0,gpu_uuid=GPU-1,host=host-a}": 0.5,
        "wayside_gpu_utilization_ratio{gpu=1,host=host-a}": 0.1,
        "wayside_gpu_process_memory_used_bytes{gpu=0,gpu_uuid=GPU-1,host=host-a,pid=12}": 1.0,
        f"wayside_gpu_info{{{info}}}": 1,
    }
    assert described.scrape("gpu") == expected
    assert late.scrape("gpu") == expected
    assert late.board.size == described.board.size


def test_a_file_system_is_told_by_its_path() -> None:
    """What the sampler calls `root` is exposed as the mountpoint `/`, and has no info of its own."""
    desk = Desk()
    system = make_system()
    desk.log(system, {"filesystem/root/used_bytes": 1.0})
    desk.tell(system, "device", {"filesystem/root": {"path": "/"}})
    desk.log(system, {"filesystem/root/used_bytes": 2.0})
    assert desk.scrape("filesystem") == {"wayside_filesystem_used_bytes{host=host-a,mountpoint=/}": 2.0}
    desk.restart()
    assert desk.scrape("filesystem") == {"wayside_filesystem_used_bytes{host=host-a,mountpoint=/}": 2.0}


def test_a_new_description_replaces_the_old() -> None:
    """A GPU that was swapped has its new uuid, and no series of the old one is left."""
    desk = Desk()
    system = make_system()
    desk.tell(system, "device", {"gpu/0": GPU})
    desk.log(system, {"gpu/0/power_watts": 1.0})
    desk.tell(system, "device", {"gpu/0": {"uuid": "GPU-2"}, "gpu/1": "nonsense", "nonsense": {}})
    desk.log(system, {"gpu/0/power_watts": 2.0})
    assert desk.scrape("gpu") == {
        "wayside_gpu_power_watts{gpu=0,gpu_uuid=GPU-2,host=host-a}": 2.0,
        "wayside_gpu_info{gpu=0,host=host-a,uuid=GPU-2}": 1,
    }


def test_a_device_that_is_no_longer_sampled_disappears() -> None:
    """A series that no sample refreshes is gone after `stale_after` seconds, its description with it."""
    desk = Desk()
    system = make_system()
    desk.tell(system, "device", {"gpu/0": GPU, "gpu/1": {"uuid": "GPU-2"}})
    desk.log(system, {"gpu/0/power_watts": 1.0, "gpu/1/power_watts": 2.0})
    for _ in range(int(STALE)):
        desk.clock.forward(1)
        desk.log(system, {"gpu/0/power_watts": 1.0})
    assert len(desk.scrape("gpu")) == 4
    desk.clock.forward(2)
    found = desk.scrape("gpu")
    assert [name for name in found if "gpu=1" in name] == []
    assert len(found) == 2
    desk.log(system, {"gpu/0/power_watts": 1.0, "gpu/1/power_watts": 2.0})
    assert len(desk.scrape("gpu")) == 4


def test_a_slow_sampler_has_five_of_its_periods() -> None:
    """A sampler of one row in five minutes is not stale between two of them; after five missed ones it is."""
    desk = Desk()
    system = make_system()
    for _ in range(3):
        desk.log(system, {"disk/vda/smart_wear_ratio": 0.1})
        desk.clock.forward(300)
    assert len(desk.scrape("disk")) == 1
    desk.clock.forward(4 * 300)
    assert len(desk.scrape("disk")) == 1
    desk.clock.forward(301)
    assert desk.scrape("disk") == {}


def test_a_slow_sampler_may_write_two_rows_at_once() -> None:
    """Two rows of one instant do not make a sampler look quick, and so its series stale."""
    desk = Desk()
    system = make_system()
    for _ in range(3):
        desk.log(system, {"disk/vda/wear_ratio": 0.1})
        desk.log(system, {"disk/vdb/wear_ratio": 0.1})
        desk.clock.forward(300)
    assert len(desk.scrape("disk")) == 2


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_counter_is_finite_and_not_negative(value: float) -> None:
    """What no counter can be is not shown, since OpenMetrics would refuse the page; it is counted."""
    desk = Desk()
    system = make_system()
    desk.log(system, {"disk/vda/read_bytes_total": 5.0})
    taken = desk.log(system, {"disk/vda/read_bytes_total": value, "gpu/0/power_watts": value})
    assert taken.impossible == 1
    assert desk.scrape("disk") == {"wayside_disk_read_bytes_total{device=vda,host=host-a}": 5.0}
    assert len(desk.scrape("gpu")) == 1


def test_a_new_collector_takes_over_its_host() -> None:
    """After a restart the new system session has the series; the old one and its state are let go."""
    desk = Desk()
    old, new = make_system(started=1.0), make_system(started=2.0)
    desk.log(old, {"host/memory_used_bytes": 1.0, "gpu/0/power_watts": 1.0})
    desk.keep()
    desk.log(new, {"host/memory_used_bytes": 2.0})
    desk.clock.forward(STALE + 1)
    desk.log(new, {"host/memory_used_bytes": 3.0})
    assert desk.scrape("host", "gpu") == {"wayside_host_memory_used_bytes{host=host-a}": 3.0}
    assert list(desk.keep()) == [new.id]


def test_a_silent_host_is_forgotten() -> None:
    """A page that many hosts feed keeps nothing of those that are gone."""
    desk = Desk()
    for number in range(20):
        desk.log(make_system(f"host-{number}"), {"host/memory_used_bytes": 1.0})
    assert len(desk.keep()) == 20
    desk.clock.forward(HOST_KEPT + 1)
    assert desk.scrape("host") == {}
    assert desk.keep() == {}


def test_devices_and_sampled_series_have_limits() -> None:
    """Descriptions are kept of so many devices of a host, and sampled series count for the page's limit."""
    desk = Desk(max_series=20)
    system = make_system()
    desk.tell(system, "device", {f"gpu/{n}": {"uuid": str(n)} for n in range(MAX_DEVICES + 5)})
    desk.log(system, {f"gpu/{n}/power_watts": 1.0 for n in range(50)})
    assert desk.board.size <= 20 + 2
    dropped = desk.scrape("series_dropped")
    assert dropped["wayside_series_dropped_total{reason=device_limit}"] == 5
    assert dropped["wayside_series_dropped_total{reason=total_limit}"] >= 30


def test_rows_of_processes_count_as_superseded_like_any_other() -> None:
    """One sample in fifteen is scraped at the usual interval; the others are counted, not forgotten."""
    desk = Desk()
    system = make_system()
    superseded = 0
    for second in range(30):
        superseded += desk.log(system, {"gpu/0/power_watts": float(second)}).superseded
        if second % 15 == 14:
            desk.scrape()
    assert superseded == 28
