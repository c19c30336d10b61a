"""What an answer to an export means, by OTLP's specification. Pure."""

from typing import Literal, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from ..http import Answer, outcome
from ..http_options import shown


class Judgement(NamedTuple):
    """partial: points that were not taken of a request that was."""

    verdict: Literal["taken", "refused", "again"]
    message: str = ""
    not_before: float | None = None
    uncertain: bool = False
    partial: int = 0


def judge(answer: Answer, url: str, now: float) -> Judgement:
    """now: Unix time in seconds."""
    if answer.status == 415:
        return Judgement(
            "again", f"{shown(url)} answered 415: it takes no protobuf, or not so compressed{answer.quote()}"
        )
    found = outcome(answer, url, now)
    if found.verdict == "refused":
        return Judgement("refused", found.message)
    if found.verdict == "retry":
        return Judgement("again", found.message, found.not_before, found.uncertain)
    partial = _partial(answer)
    if partial is None or partial.rejected_data_points <= 0:
        return Judgement("taken")
    said = f"{shown(url)} refuses {partial.rejected_data_points} points{answer.quote(partial.error_message)}"
    return Judgement("taken", said, partial=partial.rejected_data_points)


def _partial(answer: Answer) -> ExportMetricsPartialSuccess | None:
    """What it says of a part; nothing where its body is of no OTLP, as a proxy's may be."""
    try:
        found: ExportMetricsPartialSuccess = ExportMetricsServiceResponse.FromString(answer.body).partial_success
    except DecodeError:
        return None
    return found
