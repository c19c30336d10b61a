"""What can go wrong when rows are posted, in words and with its status."""

import contextlib
from collections.abc import Iterator

from ...intake import Full, Refused
from ...sources.posted import Busy, Over
from ...spool import SpoolError
from ..body import BadBody

RETRY_AFTER = 2  #: seconds: a disk that is full or failing does not recover sooner, and it is looked at by then


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """What the sources and the spool say becomes an answer. Raises BadBody."""
    try:
        yield
    except Busy as problem:
        raise BadBody(429, str(problem), problem.retry_after) from None
    except Full as problem:
        raise BadBody(429, str(problem), 60) from None
    except Refused as problem:
        raise BadBody(422, str(problem)) from None
    except Over as problem:
        raise BadBody(409, str(problem)) from None
    except SpoolError as problem:
        raise BadBody(429, f"nothing can be stored now, send again later: {problem}", RETRY_AFTER) from None
