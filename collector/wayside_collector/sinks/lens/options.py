"""What can be set of the Lens sink, and its check. Pure: the check touches neither network nor disk."""

from typing import Annotated, Literal

import msgspec

from ..http_options import HttpOptions

MAX_INT32 = (1 << 31) - 1  # Lens keeps steps in a 32-bit column

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class LensOptions(HttpOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the Lens sink, beside those of every HTTP sink.

    endpoint: the base address, such as `http://primus-lens-telemetry-processor.primus-lens.svc:8989/v1`; `/wandb/…` is
    put after it, and where there is nothing at an address that ends in `/api/v1`, `/v1` is tried, and the other way
    round. timeout: Lens stores before it answers, and a request cut off may lose a step: do not go under 30 seconds.
    push: "metrics" is understood by every Lens; "logs" carries the same rows in fewer bytes. workload_uid: the
    workload's uid in the cluster, in the place of the session's own. workload_from: "pod" leaves the session's own away
    too, so that Lens finds the workload by the pod: right where sessions know their workload by name only, as on
    Primus-SaFE. steps_per_request: the most steps one request carries. workload_wait: seconds for which a workload that
    Lens does not know is asked for again, until its rows are refused: Lens learns of new pods every 20 seconds, and
    slowly when it is busy. run_prefix: what is put, with a slash, before the names of metrics, for runs that share a
    workload: nothing, the run's id, or its name. ensure_tflops: send a `tflops` of 0 with steps that have none.
    target_iteration: the run's last step, shown as its progress; without it, a well-known name in the run's config is
    looked for. system: send hardware samples along.
    """

    push: Literal["metrics", "logs"] = "metrics"
    workload_uid: Text | None = None
    workload_from: Literal["session", "pod"] = "session"
    # Lens writes the steps of a request one by one, each several statements: fifty stay well within the timeout.
    steps_per_request: Annotated[int, msgspec.Meta(ge=1, le=50)] = 50
    workload_wait: Annotated[float, msgspec.Meta(ge=0, le=86400, extra={"unit": "seconds"})] = 600.0
    run_prefix: Literal["none", "id", "name"] = "none"
    ensure_tflops: bool = False
    target_iteration: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)] | None = None
    system: bool = False

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = HttpOptions.check(self)
        if "/wandb" in self.endpoint:
            problems.append("endpoint: leave /wandb and what follows it away: the sink puts them there")
        return problems
