"""The collector's own log, on stderr: text for people, or one JSON object a line."""

import json
import logging
from collections.abc import Iterable
from typing import TextIO

from .configuration.config import Config, environment
from .redaction import Redaction, secrets_in


def set_up_log(config: Config, handed: Iterable[str] = ()) -> None:
    """The log on stderr, as configured, without the configuration's secrets, and those handed over since."""
    options = config.top.log
    handler = HidingHandler(Redaction(secrets_in(config, environment(), handed)))
    if options.format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=options.level.upper(), handlers=[handler], force=True)


class HidingHandler(logging.StreamHandler[TextIO]):
    """Writes to stderr; hides secrets in whole lines, tracebacks and all."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction.hide(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the traceback when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)
