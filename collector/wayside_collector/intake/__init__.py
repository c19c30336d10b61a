"""Between the sources and the spool: sessions begin and end here (`sessions.py`), their frames are checked, numbered
and cut into batches (`inlet.py`), and what peers say is not believed beyond what can be true.
"""

from .inlet import Counters, Inlet, Stream
from .sessions import Full, Intake, Refused

__all__ = ["Counters", "Full", "Inlet", "Intake", "Refused", "Stream"]
