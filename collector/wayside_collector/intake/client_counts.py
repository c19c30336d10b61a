"""What clients themselves refused, as they tell of it: each session its totals so far, by reason."""

from collections.abc import MutableMapping

from wayside.notices import MAX_REASONS

from ..plausible import MAX_COUNT


def add_refused(counts: MutableMapping[str, int], told: object, before: MutableMapping[str, int]) -> None:
    """Add to `counts` what a session tells (anything, by a peer that may say anything) beyond what it had told before,
    which is brought up to date. Reasons beyond MAX_REASONS are counted together.
    """
    for reason, count in told.items() if isinstance(told, dict) else ():
        if type(count) is not int or not 0 < count < MAX_COUNT:
            continue
        own = reason if reason in before or len(before) < MAX_REASONS else "other"
        more, before[own] = count - before.get(own, 0), count
        if more > 0:
            name = reason if reason in counts or len(counts) < MAX_REASONS else "other"
            counts[name] = counts.get(name, 0) + more
