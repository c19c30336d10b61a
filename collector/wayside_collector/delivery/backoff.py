"""How long to wait before the next try: full jitter, so that a thousand sidecars do not come back in the same second.

Source of the rule: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from collections.abc import Callable

BASE = 0.5  #: seconds: the first waits are short, most failures are
CAP = 60.0  #: seconds: a sink that is back is noticed within the minute


def wait(failures: int, random: Callable[[], float], *, not_before: float | None = None, now: float = 0.0) -> float:
    """Seconds to wait after this many failures in a row (1 or more); random gives numbers from 0 to 1. A time the
    other side named (`not_before`, Unix time in seconds) is never undercut.
    """
    ceiling = min(CAP, BASE * (1 << min(failures - 1, 20)))
    jittered = ceiling * random()
    return max(jittered, (not_before or 0.0) - now)
