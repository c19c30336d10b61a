"""What a gateway's answers mean. Pure.

A gateway signs each answer with the versions it reads (`Receipt.gateway`). What is not signed comes from something on
the way, or from no gateway at all: then a person is needed, and the rows wait.
"""

from typing import Literal, NamedTuple

from ...relay import VERSION, Receipt, receipt
from ..http import Answer, outcome, shown


class Judgement(NamedTuple):
    """What to do with a request's lots. "taken": as the receipt says of each; "refused": something in them will never
    be taken; "large": they are too many for one request; "again": later, with not_before and uncertain as in Retry.
    """

    verdict: Literal["taken", "refused", "large", "again"]
    message: str = ""
    receipt: Receipt | None = None
    not_before: float | None = None
    uncertain: bool = False


def judge(answer: Answer, url: str, now: float) -> Judgement:
    """What this answer of `url` to a body means; `now` is Unix time in seconds."""
    place = f"{shown(url)} answered {answer.status}"
    signed = None if answer.cut else receipt(answer.body)
    said = answer.quote(signed.error if signed is not None else None)
    if 200 <= answer.status < 300:
        if signed is None:
            text = f"{place}, but no gateway wrote that: check that endpoint leads to one{said}"
            return Judgement("again", text, uncertain=True)
        return Judgement("taken", receipt=signed)
    if answer.status == 413:
        return Judgement("large", place + said)
    general = outcome(answer, url, now)
    if general.verdict == "retry":
        return Judgement("again", general.message, None, general.not_before, general.uncertain)
    if signed is None:
        return Judgement(
            "again", f"{place}, and no gateway wrote that: check endpoint, and what stands before it{said}"
        )
    if VERSION not in signed.gateway:
        return Judgement("again", f"{place}{said}")
    return Judgement("refused", place + said)
