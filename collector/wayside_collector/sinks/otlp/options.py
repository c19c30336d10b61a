"""What can be set of the OTLP sink, and its check. Pure: the check touches neither network nor disk."""

from typing import Annotated

import msgspec

from ..http import Compression
from ..http_options import HttpOptions


class OtlpOptions(HttpOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the OTLP sink, beside those of every HTTP sink.

    endpoint: the collector's address, such as `http://otel-collector:4318`; `/v1/metrics` is put after one without a
    path. resource: attributes of every resource, over our own. service_name: what we say `service.name` is.
    compression: of bodies. max_points_per_send: data points of one request.
    """

    resource: dict[str, str] = msgspec.field(default_factory=dict)
    service_name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "wayside"
    compression: Compression = "gzip"
    # Some 300 kB before compression; collectors take 4 MiB by default, and what is refused is sent again in halves.
    max_points_per_send: Annotated[int, msgspec.Meta(ge=1, le=50_000)] = 8000

    def check(self) -> list[str]:
        """What is wrong with these options, each text beginning with the option's name; empty when nothing is."""
        problems = HttpOptions.check(self)
        problems += [f"resource: {name!r:.80} must have a name" for name in self.resource if not name.strip()]
        return problems
