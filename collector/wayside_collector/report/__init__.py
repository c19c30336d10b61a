"""The report: one HTML page of one or several runs that needs nothing else, to be mailed, kept and printed.

`page.py` writes what `story.py` holds; `chart.py` draws. All of it is pure, and made without a browser or Node: charts
are inline SVG, complete without a script; `page.js` only adds the values under the pointer. No text of a run's reaches
the page unescaped.
"""

from .page import write_page
from .story import RunStory, Story

__all__ = ["RunStory", "Story", "write_page"]
