"""What fails and is tried again and again is told when it begins and when it is over, not each time: a thousand
sessions would write the log of a full disk fuller still.
"""

import logging


class Outage:
    """One kind of trouble. told_in: the log of whoever has it."""

    def __init__(self, told_in: logging.Logger) -> None:
        self._log = told_in
        self._lasts = False

    def go_on(self, text: str, *values: object, level: int = logging.ERROR) -> None:
        """It failed, once more or for the first time."""
        if not self._lasts:
            self._lasts = True
            self._log.log(level, text, *values)

    def end(self, text: str, *values: object) -> None:
        """It worked."""
        if self._lasts:
            self._lasts = False
            self._log.info(text, *values)
