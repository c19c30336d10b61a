"""The query API: everything that is asked of the store over HTTP, on `/api/v1` and `/v1` alike.

Each endpoint is declared once (`endpoint.py`): its path, what it may be asked, what it tells, and the function that
answers. From that come the routes (`routes.py`), the checks of what is asked (`asked.py`) and the OpenAPI document
(`openapi.py`). Answers are made in threads, each by a reader of its own (`readers.py`), and turned into bytes there
(`encoding.py`); the event loop only hands them on.

`runs.py` and `series.py` are our own endpoints, `lens.py` those of Primus Lens, `live.py` what changes meanwhile.
"""

from .readers import Readers
from .routes import QueryApi

__all__ = ["QueryApi", "Readers"]
