"""Hardware samples under W&B's names."""

import pytest
from wayside_collector.sinks.wandb.system import wandb_sample


@pytest.mark.parametrize(
    ("name", "value", "there", "becomes"),
    [
        ("gpu/0/utilization_ratio", 0.55, "gpu.0.gpu", 55.0),
        ("gpu/3/memory_utilization_ratio", 0.25, "gpu.3.memory", 25.0),
        ("gpu/0/memory_used_bytes", 2.0**30, "gpu.0.memoryAllocatedBytes", 2.0**30),
        ("gpu/12/temperature_celsius", 64.0, "gpu.12.temp", 64.0),
        ("gpu/0/power_watts", 300.5, "gpu.0.powerWatts", 300.5),
        ("gpu/0/power_limit_watts", 700.0, "gpu.0.enforcedPowerLimitWatts", 700.0),
        ("gpu/0/sm_clock_hertz", 1.98e9, "gpu.0.smClock", 1980.0),
        ("gpu/0/fan_speed_ratio", 0.5, "gpu.0.fanSpeed", 50.0),
        ("gpu/0/ecc_uncorrected_errors_total", 2.0, "gpu.0.uncorrectedMemoryErrors", 2.0),
        ("host/cpu_utilization_ratio", 0.1, "cpu", 10.0),
        ("host/memory_utilization_ratio", 0.4, "memory_percent", 40.0),
        ("host/memory_available_bytes", 3.0 * (1 << 20), "proc.memory.availableMB", 3.0),
        ("filesystem/root/utilization_ratio", 0.75, "disk./.usagePercent", 75.0),
        ("filesystem/root/used_bytes", 5.0 * (1 << 30), "disk./.usageGB", 5.0),
        ("disk/vda/read_bytes_total", 2.0 * (1 << 20), "disk.vda.in", 2.0),
        ("network/eth0/transmit_bytes_total", 7.0, "network.sent", 7.0),
        ("gpu/0/energy_joules_total", 9.0, "wayside.gpu.0.energy_joules_total", 9.0),
        ("gpu/0/mig/1/utilization_ratio", 0.5, "wayside.gpu.0.mig.1.utilization_ratio", 0.5),
        ("container/memory_used_bytes", 8.0, "wayside.container.memory_used_bytes", 8.0),
    ],
)
def test_each_metric_has_one_name_and_unit(name, value, there, becomes):
    """W&B's own name and unit where it has one, ours below `wayside.` where not."""
    found = wandb_sample({name: value})
    assert list(found) == [there]
    assert found[there] == pytest.approx(becomes)


def test_percentages_of_two_metrics():
    """W&B shows memory and power also in percent of what there is."""
    found = wandb_sample(
        {
            "gpu/0/memory_used_bytes": 20.0,
            "gpu/0/memory_total_bytes": 80.0,
            "gpu/0/power_watts": 350.0,
            "gpu/0/power_limit_watts": 700.0,
            "gpu/1/memory_used_bytes": 1.0,
            "gpu/1/memory_total_bytes": 0.0,
        }
    )
    assert (found["gpu.0.memoryAllocated"], found["gpu.0.powerPercent"]) == (25.0, 50.0)
    assert "gpu.1.memoryAllocated" not in found


def test_network_is_the_sum_of_the_interfaces():
    """W&B has one number for all of them."""
    found = wandb_sample({"network/a/receive_bytes_total": 1.0, "network/b/receive_bytes_total": 2.0})
    assert found == {"network.recv": 3.0}


def test_a_further_nodes_samples_are_told_apart():
    """The label is what W&B's own SDK uses for several nodes of a run."""
    assert wandb_sample({"gpu/0/utilization_ratio": 1.0}, "node-1") == {"gpu.0.gpu/l:node-1": 100.0}


def test_nothing_gets_lost():
    """As many values come out as metrics go in, whatever they are called."""
    names = ["odd", "a/b", "gpu/x/utilization_ratio", "gpu/0/unheard_of", "disk/sda/busy_seconds_total", "host/load1"]
    assert len(wandb_sample(dict.fromkeys(names, 1.0))) == len(names)
