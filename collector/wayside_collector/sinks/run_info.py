"""What is told of a run beside its metrics, by every sink that speaks Prometheus' language: names and labels. Pure."""

from ..session import Session

RUN_INFO = "wayside_run_info"
RUN_LAST_STEP = "wayside_run_last_step"


def info(session: Session) -> tuple[tuple[str, str | None], ...]:
    """The labels of `wayside_run_info`; what is not known is None, and left out."""
    run, pod = session.run, session.pod
    return (
        ("run", run.id),
        ("run_name", run.name),
        ("project", run.project),
        ("group", run.group),
        ("job_type", run.job_type),
        ("workload", session.workload),
        ("attempt", session.attempt),
        ("world_size", None if session.world_size is None else str(session.world_size)),
        ("host", session.host),
        ("pod", pod.name),
        ("namespace", pod.namespace),
        ("node", pod.node),
    )


def own_labels(session: Session) -> tuple[tuple[str, str | None], ...]:
    """Those of a run's metrics: what differs within a pod."""
    return ("run", session.run.id), ("rank", None if session.rank is None else str(session.rank))
