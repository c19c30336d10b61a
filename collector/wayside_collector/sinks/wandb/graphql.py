"""The few GraphQL requests of the SDK that the relay must understand, and their answers. Pure: bytes in, values out.

RunResumeStatus is where W&B says how much of a run it has. The SDK takes the larger of two `_step`s there as the
run's last: of the last line of history, and of the summary. But the summary travels in the same requests as the
history and is ahead of it whenever that was too long for one request (seen with SDK 0.31): after a crash the rows in
between would be taken for sent. So the relay lowers the summary's `_step` to the history's (`lower_summary`).
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

RESUME, UPSERT, ALERT = "RunResumeStatus", "UpsertBucket", "NotifyScriptableRunAlert"
CREATE_ARTIFACT, COMMIT_ARTIFACT, CREATE_FILES = "CreateArtifact", "CommitArtifact", "CreateRunFiles"
_OPERATION = re.compile(r"\s*(?:query|mutation)\s+(\w+)")


class Request(NamedTuple):
    operation: str
    variables: dict[str, Any]


class Standing(NamedTuple):
    """How much of a run W&B has: `_step` of the last line of its history (-1 without one, None when it does not say),
    and how many lines of history and of system metrics.
    """

    last: int | None
    lines: int
    samples: int


NOTHING = Standing(-1, 0, 0)  #: a run that does not exist yet


def read_request(body: bytes) -> Request:
    """The operation and its variables; an empty operation for anything that cannot be read."""
    try:
        value = json.loads(body)
        found = _OPERATION.match(value.get("query", ""))
        operation = value.get("operationName") or (found[1] if found else "")
        variables = value.get("variables") or {}
    except (ValueError, AttributeError, TypeError):
        return Request("", {})
    return Request(operation, variables if isinstance(variables, dict) else {})


def errors(body: bytes) -> str | None:
    """What a GraphQL answer complains of, None when it does not."""
    try:
        value = json.loads(body)
        found = value.get("errors")
    except (ValueError, AttributeError):
        return "an answer that is no JSON"
    if not found:
        return None
    first = found[0] if isinstance(found, list) else found
    return str(first.get("message", first) if isinstance(first, dict) else first)


def entity_of(body: bytes) -> str | None:
    """Whose project a run was put into, as the answer to an UpsertBucket says."""
    try:
        found = json.loads(body)["data"]["upsertBucket"]["bucket"]["project"]["entity"]["name"]
    except (ValueError, LookupError, TypeError):
        return None
    return found if isinstance(found, str) and found else None


def standing(body: bytes) -> Standing | None:
    """What a RunResumeStatus answer says, None when it cannot be read."""
    value = _load(body)
    if not isinstance(value, dict) or not isinstance(value.get("data"), dict):
        return None
    bucket = _bucket(value)
    if bucket is None:
        return NOTHING
    lines, samples = (bucket.get(name) or 0 for name in ("historyLineCount", "eventsLineCount"))
    if not isinstance(lines, int) or not isinstance(samples, int):
        return None
    tail = _last_line(bucket.get("historyTail"))
    step = tail.get("_step")
    last = int(step) if isinstance(step, int | float) else -1 if lines == 0 else None
    return Standing(last, lines, samples)


def lower_summary(body: bytes) -> bytes:
    """A RunResumeStatus answer whose summary is nowhere ahead of its history; the same bytes when it was not."""
    value = _load(body)
    bucket = _bucket(value)
    found = standing(body)
    if bucket is None or found is None or found.last is None:
        return body
    try:
        summary = json.loads(bucket.get("summaryMetrics") or "{}")
        ahead = summary.get("_step", -1) > found.last
    except (ValueError, AttributeError, TypeError):
        return body
    if not ahead:
        return body
    summary["_step"] = found.last
    if found.last < 0:
        del summary["_step"]
    bucket["summaryMetrics"] = json.dumps(summary)
    return json.dumps(value).encode()


def config_of(variables: dict[str, Any]) -> dict[str, Any] | None:
    """The config an UpsertBucket sends, None when it sends none; define_metric stands in its `_wandb`."""
    try:
        config = json.loads(variables["config"])
        return {name: item.get("value") for name, item in config.items()}
    except (KeyError, ValueError, AttributeError, TypeError):
        return None


class Place(NamedTuple):
    """Where a file is to be sent. name: of a run's file, None for an artifact's."""

    url: str
    name: str | None


class ArtifactMade(NamedTuple):
    """client: what the SDK calls it. id: what W&B does. whole: whether W&B has its files from before."""

    client: str | None
    id: str | None
    whole: bool


def divert(body: bytes, take: Callable[[Place], str]) -> bytes:
    """An answer with other addresses in the place of those that files are to be sent to; the same bytes where there
    are none. take: gives the address for a place.
    """
    value = _load(body)
    found = _divert(value, take)
    return json.dumps(value).encode() if found else body


def _divert(value: Any, take: Callable[[Place], str]) -> int:
    if isinstance(value, list):
        return sum(_divert(one, take) for one in value)
    if not isinstance(value, dict):
        return 0
    count = sum(_divert(one, take) for one in value.values())
    if isinstance(value.get("uploadUrl"), str) and value["uploadUrl"]:
        name = value.get("name")
        value["uploadUrl"] = take(Place(value["uploadUrl"], name if isinstance(name, str) else None))
        count += 1
    return count


def artifact_of(variables: dict[str, Any], body: bytes) -> ArtifactMade:
    """What a CreateArtifact asks and its answer says."""
    asked = variables.get("input")
    client = asked.get("clientID") if isinstance(asked, dict) else None
    try:
        found = json.loads(body)["data"]["createArtifact"]["artifact"]
        return ArtifactMade(client, str(found["id"]), found.get("state") == "COMMITTED")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ArtifactMade(client, None, False)


def _load(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _bucket(value: Any) -> dict[str, Any] | None:
    for name in ("data", "model", "bucket"):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _last_line(tail: object) -> dict[str, Any]:
    """The last line of a `historyTail`: a JSON list of JSON texts."""
    try:
        lines = json.loads(tail) if isinstance(tail, str) else []
        value = json.loads(lines[-1]) if lines else {}
    except (ValueError, TypeError, KeyError):
        return {}
    return value if isinstance(value, dict) else {}
