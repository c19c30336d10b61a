"""What the dashboards select by: `job`, `run`, `rank` and `host`, all of which may be "All"."""

from parts import Variable

RUN = 'job=~"$job", run=~"$run"'
RANK = f'{RUN}, rank=~"$rank"'
HOST = 'job=~"$job", host=~"$host"'
JOB = 'job=~"$job"'
#: Of what a run shows: not of one that has ended.
OPEN = "unless on (instance, run) wayside_run_end_timestamp_seconds"

JOBS = Variable("job", "wayside_collector_info")
RUNS = Variable("run", f"wayside_run_info{{{JOB}}}")
