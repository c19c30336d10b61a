"""What can be set of the gateway sink, and its check. Pure: the check touches neither network nor disk."""

from typing import Annotated, Literal

import msgspec

from ..http_options import HttpOptions


class GatewayOptions(HttpOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the gateway sink, beside those of every HTTP sink.

    endpoint: the gateway's address, such as `https://wayside-gateway.monitoring.svc:9750`; `/api/v1/batches` is put
    after it. compression: of bodies. interval: seconds
    between two requests while rows trickle; a burst does not wait. heartbeat: seconds after which the gateway is told,
    without rows, that this collector and its sessions live.
    """

    compression: Literal["zstd", "gzip", "none"] = "zstd"
    # At a stop what waits for its turn must still go out within the grace time.
    interval: Annotated[float, msgspec.Meta(ge=0.05, le=5, extra={"unit": "seconds"})] = 1.0
    heartbeat: Annotated[float, msgspec.Meta(ge=1, le=300, extra={"unit": "seconds"})] = 15.0

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = HttpOptions.check(self)
        if "/api/v1" in self.endpoint:
            problems.append("endpoint: leave /api/v1 and what follows it away: the sink puts it there")
        return problems
