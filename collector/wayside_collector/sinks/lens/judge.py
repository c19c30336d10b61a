"""What Lens's answers mean. Pure.

Lens answers in an envelope, `{"meta": {"code", "message"}, "data", "tracing"}`. Its later versions answer 200 and
tell the error in `code`, so both are read. A workload it does not know (yet) is 400 like a malformed request, told
apart by its message alone.
"""

from typing import Any, Literal, NamedTuple

import msgspec

from ..http import Answer, outcome, shown

_UNKNOWN = "no valid workload found"
_NOBODY = "either workload_uid or pod_name is required"
_TAKEN_CODES = (2000, 0, None)
_REFUSED_CODES = frozenset({400, 4001, 5001})  # malformed request, bad parameter, invalid data
_NO_SUCH_CODE = 4004
_EVERYWHERE_CODES = frozenset({401, 4003, 4005, 5003})  # authentication, permission, unavailable


class Judgement(NamedTuple):
    """What to do with a request's steps.

    "taken"; "refused": something in them is unacceptable; "unknown": Lens does not know the workload; "again": later,
    with not_before and uncertain as in Retry. everywhere: the next workload would be told the same. partial: taken,
    though not for every workload the pod belongs to.
    """

    verdict: Literal["taken", "refused", "unknown", "again"]
    message: str = ""
    not_before: float | None = None
    uncertain: bool = False
    everywhere: bool = False
    partial: bool = False


def judge(answer: Answer, url: str, now: float) -> Judgement:
    """What this answer of `url` to a push means; `now` is Unix time in seconds."""
    place = f"{shown(url)} answered {answer.status}"
    envelope = _envelope(answer)
    code, message = _meta(envelope)
    said = answer.quote(message or None)
    if answer.status == 200:
        return _judge_code(place, envelope, code, said)
    if answer.status == 400 and (_UNKNOWN in message.lower() or _NOBODY in message.lower()):
        return Judgement("unknown", place + said)
    if 200 < answer.status < 300:
        return Judgement("again", f"{place}: Lens answers 200: check endpoint", uncertain=True)
    general = outcome(answer, url, now)
    if general.verdict == "refused":
        return Judgement("refused", place + said)
    return Judgement("again", general.message, general.not_before, general.uncertain, everywhere=answer.status != 500)


def _judge_code(place: str, envelope: dict[str, Any] | None, code: object, said: str) -> Judgement:
    if envelope is None:
        text = f"{place} with a body that is not Lens's: check that endpoint leads to Lens{said}"
        return Judgement("again", text, uncertain=True)
    if code in _TAKEN_CODES:
        return Judgement("taken", partial=_is_partial(envelope.get("data")))
    told = f"{place} with code {code}{said}"
    if code == _NO_SUCH_CODE:
        return Judgement("unknown", told)
    if code in _REFUSED_CODES:
        return Judgement("refused", told)
    return Judgement("again", told, uncertain=True, everywhere=code in _EVERYWHERE_CODES)


def _envelope(answer: Answer) -> dict[str, Any] | None:
    if answer.cut:
        return None
    try:
        value = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _meta(envelope: dict[str, Any] | None) -> tuple[int | str | None, str]:
    """Code and message; a code that is no number, as its own text. The authentication before Lens has no `meta`."""
    meta = (envelope or {}).get("meta")
    inner = meta if isinstance(meta, dict) else envelope or {}
    code, message = inner.get("code"), inner.get("message")
    known = code if code is None or (isinstance(code, int) and not isinstance(code, bool)) else repr(code)[:40]
    return known, message if isinstance(message, str) else ""


def _is_partial(data: object) -> bool:
    if not isinstance(data, dict):
        return False
    done, asked = data.get("success_count"), data.get("workloads_count")
    return isinstance(done, int) and isinstance(asked, int) and done < asked
