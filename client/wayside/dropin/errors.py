"""wandb's exceptions, so that `except wandb.Error` finds a name (`wandb.errors`). Few are raised here: by what cannot
work without W&B's own server.
"""

from typing import Any, Dict, Optional


class Error(Exception):
    """Base of all others."""

    def __init__(self, message: str = "", context: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.message = message
        self.context = context


class CommError(Error):
    """Talking to W&B failed, which a script of ours never does."""

    def __init__(self, msg: str = "", exc: Optional[Exception] = None) -> None:
        super().__init__(msg)
        self.exc = exc


class AuthenticationError(CommError):
    """W&B refused a key, which a script of ours never shows it."""


class UsageError(Error):
    """Something was asked that cannot be done."""


class UnsupportedError(UsageError):
    """Something was asked that is not offered."""
