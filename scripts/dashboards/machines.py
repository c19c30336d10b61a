"""The dashboards of GPUs and hosts, and of the collectors themselves."""

import chosen as of
from parts import Board, Panel, Query, Variable

_HARDWARE = [of.JOBS, of.RUNS, Variable("host", f"wayside_run_info{{{of.RUN}}}")]


_GPU = "{{host}} {{gpu}}"


def _gpu(title: str, expr: str, unit: str = "short", description: str = "") -> Panel:
    return Panel(title, [Query(expr, _GPU)], unit, description=description)


def _sum_of_rates(family: str) -> str:
    return f"sum by (host) (rate({family}{{{of.HOST}}}[$__rate_interval]))"


HARDWARE = Board(
    "wayside-hardware",
    "Wayside / GPUs and hosts",
    "What the samplers measure on the machines of the runs that are chosen.",
    _HARDWARE,
    [
        (
            "GPUs",
            [
                _gpu("Utilization", f"wayside_gpu_utilization_ratio{{{of.HOST}}}", "percentunit"),
                _gpu(
                    "Memory in use",
                    f"wayside_gpu_memory_used_bytes{{{of.HOST}}} / wayside_gpu_memory_total_bytes{{{of.HOST}}}",
                    "percentunit",
                ),
                _gpu("Power", f"wayside_gpu_power_watts{{{of.HOST}}}", "watt"),
                _gpu("Temperature", f"wayside_gpu_temperature_celsius{{{of.HOST}}}", "celsius"),
                _gpu("Clock", f"wayside_gpu_sm_clock_hertz{{{of.HOST}}}", "hertz"),
                Panel(
                    "Slowed down",
                    [
                        Query(
                            'max by (host, gpu) ({__name__=~"wayside_gpu_throttled_(hw_slowdown|hw_thermal|sw_thermal'
                            f'|hw_power_brake|prochot|vr_thermal|memory_thermal)", {of.HOST}}}) or vector(0)',
                            _GPU,
                        )
                    ],
                    description="1 while heat, power supply or the hardware itself holds clocks down.",
                ),
                Panel(
                    "Errors",
                    [
                        Query(f"wayside_gpu_xid_errors_total{{{of.HOST}}} or vector(0)", f"{_GPU} XID"),
                        Query(
                            f"wayside_gpu_ecc_uncorrected_errors_total{{{of.HOST}}} or vector(0)",
                            f"{_GPU} uncorrected",
                        ),
                        Query(f"wayside_gpu_lost{{{of.HOST}}} or vector(0)", f"{_GPU} lost"),
                    ],
                ),
                _gpu("Processes", f"wayside_gpu_processes{{{of.HOST}}} or vector(0)"),
                Panel("Which they are", [Query(f"wayside_gpu_info{{{of.HOST}}}")], kind="table"),
            ],
        ),
        (
            "Hosts",
            [
                Panel(
                    "Processors",
                    [Query(f"wayside_host_cpu_utilization_ratio{{{of.HOST}}}", "{{host}}")],
                    "percentunit",
                ),
                Panel(
                    "Busiest processor",
                    [Query(f"wayside_host_cpu_busiest_core_utilization_ratio{{{of.HOST}}}", "{{host}}")],
                    "percentunit",
                    description="1 where one thread is the limit.",
                ),
                Panel(
                    "Memory",
                    [Query(f"wayside_host_memory_utilization_ratio{{{of.HOST}}}", "{{host}}")],
                    "percentunit",
                ),
                Panel(
                    "Disks",
                    [
                        Query(f"{_sum_of_rates('wayside_disk_read_bytes_total')} or vector(0)", "{{host}} read"),
                        Query(f"{_sum_of_rates('wayside_disk_write_bytes_total')} or vector(0)", "{{host}} written"),
                    ],
                    "Bps",
                ),
                Panel(
                    "Network",
                    [
                        Query(f"{_sum_of_rates('wayside_network_receive_bytes_total')} or vector(0)", "{{host}} in"),
                        Query(f"{_sum_of_rates('wayside_network_transmit_bytes_total')} or vector(0)", "{{host}} out"),
                    ],
                    "Bps",
                ),
                Panel(
                    "File systems",
                    [
                        Query(
                            f"wayside_filesystem_used_bytes{{{of.HOST}}} / wayside_filesystem_total_bytes{{{of.HOST}}}",
                            "{{host}} {{mountpoint}}",
                        )
                    ],
                    "percentunit",
                ),
            ],
        ),
    ],
    pages=False,
)

_SINK = "{{instance}} {{sink}}"


def _imbalance(unit: str) -> str:
    received = f"wayside_{unit}_received_total{{{of.JOB}}}"
    dropped = f"sum without (reason) (wayside_{unit}_dropped_total{{{of.JOB}}})"
    return (
        f"{received} - wayside_{unit}_delivered_total{{{of.JOB}}} - wayside_{unit}_waiting{{{of.JOB}}} "
        f"+ wayside_{unit}_replayed_total{{{of.JOB}}} - ({dropped} or {received} * 0)"
    )


def _rate(family: str, legend: str) -> Query:
    return Query(f"rate({family}{{{of.JOB}}}[$__rate_interval])", legend)


HEALTH = Board(
    "wayside-health",
    "Wayside / Wayside itself",
    "The collectors' own numbers: what they took, what each sink has of it, and what was lost.",
    [of.JOBS],
    [
        (
            "Books",
            [
                Panel("Rows taken", [_rate("wayside_ingest_rows_total", "{{instance}}")], "cps"),
                Panel("Points delivered", [_rate("wayside_points_delivered_total", _SINK)], "cps"),
                Panel("Points waiting", [Query(f"wayside_points_waiting{{{of.JOB}}}", _SINK)]),
                Panel(
                    "Out of balance",
                    [Query(_imbalance(unit), f"{_SINK} {unit}") for unit in ("points", "rows", "events")],
                    description="What is received and neither delivered, waiting nor dropped: 0 at any time.",
                ),
                Panel(
                    "Points dropped",
                    [Query(f"wayside_points_dropped_total{{{of.JOB}}} or vector(0)", f"{_SINK} {{{{reason}}}}")],
                ),
                Panel(
                    "Never came, or made no sense",
                    [
                        Query(f"wayside_client_lost_rows_total{{{of.JOB}}}", "{{instance}} lost by clients"),
                        Query(f"wayside_ingest_malformed_total{{{of.JOB}}}", "{{instance}} malformed"),
                        Query(f"wayside_samples_dropped_total{{{of.JOB}}}", "{{instance}} samples"),
                    ],
                ),
            ],
        ),
        (
            "Sinks",
            [
                Panel("Lag", [Query(f"wayside_sink_lag_seconds{{{of.JOB}}}", _SINK)], "s"),
                Panel("Failures in a row", [Query(f"wayside_sink_failures{{{of.JOB}}}", _SINK)]),
                Panel("Dead letters", [Query(f"wayside_dead_letters{{{of.JOB}}}", _SINK)]),
            ],
        ),
        (
            "Spool and samplers",
            [
                Panel(
                    "Spool",
                    [
                        Query(
                            f"wayside_spool_bytes{{{of.JOB}}} / wayside_spool_limit_bytes{{{of.JOB}}}",
                            "{{instance}}",
                        )
                    ],
                    "percentunit",
                ),
                Panel(
                    "Oldest row stored",
                    [Query(f"wayside_spool_oldest_age_seconds{{{of.JOB}}}", "{{instance}}")],
                    "s",
                ),
                Panel("Sessions", [Query(f"wayside_sessions{{{of.JOB}}}", "{{instance}}")]),
                Panel(
                    "Samplers that work",
                    [Query(f"wayside_sampler_success{{{of.JOB}}}", "{{instance}} {{sampler}}")],
                ),
                Panel(
                    "A sample takes",
                    [Query(f"wayside_sampler_duration_seconds{{{of.JOB}}}", "{{instance}} {{sampler}}")],
                    "s",
                ),
                Panel("Collectors", [Query(f"wayside_collector_info{{{of.JOB}}}")], kind="table"),
            ],
        ),
    ],
    pages=False,
)
