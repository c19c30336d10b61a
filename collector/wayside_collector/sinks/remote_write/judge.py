"""What an answer to a push means. Pure.

Prometheus takes a request whole or not at all, and says why in words: a sample out of order, a second value for one
time, or one too old for what it still has open. Others say the same in other words.
"""

import re
from typing import Literal, NamedTuple

from ..http import Answer, outcome
from ..http_options import shown

#: There is a newer sample of the series, or another value for this time.
_LATE = re.compile(
    r"out[ -]of[ -]order|duplicate[ -]sample|new-value-for-timestamp|older than the latest", re.IGNORECASE
)
#: No sample of this time is taken, of whichever series.
_OLD = re.compile(r"out of bounds|too old|too[ -]far[ -]in[ -](the[ -])?past|timestamp-too-old", re.IGNORECASE)


class Judgement(NamedTuple):
    """late, old: refused as above. refused: for anything else that lies in what was sent. large: the request was."""

    verdict: Literal["taken", "late", "old", "refused", "large", "again"]
    message: str = ""
    not_before: float | None = None
    uncertain: bool = False


def judge(answer: Answer, url: str, now: float) -> Judgement:
    """now: Unix time in seconds."""
    if answer.status == 413:
        return Judgement("large", f"{shown(url)} answered 413: the request is too large{answer.quote()}")
    if answer.status == 415:
        text = "it does not take this protocol: check the option protocol"
        return Judgement("again", f"{shown(url)} answered 415: {text}{answer.quote()}")
    found = outcome(answer, url, now)
    if found.verdict == "accepted":
        return Judgement("taken")
    if found.verdict == "retry":
        return Judgement("again", found.message, found.not_before, found.uncertain)
    said = answer.body.decode("utf-8", "replace")
    verdict: Literal["late", "old", "refused"] = "refused"
    if answer.status in (400, 409, 422):
        verdict = "old" if _OLD.search(said) else "late" if _LATE.search(said) else "refused"
    return Judgement(verdict, found.message)
