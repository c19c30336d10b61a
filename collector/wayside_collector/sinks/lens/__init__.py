"""The Lens sink: steps into a Primus Lens, one push a step.

`options.py` what can be set; `encode.py` how Lens wants a step; `plan.py` what is to be sent of a parcel; `judge.py`
what Lens's answers mean; `reports.py` and `lane.py` the report of a run's framework; `send.py` the sink.
"""

from .options import LensOptions
from .send import LensSink

__all__ = ["LensOptions", "LensSink"]
