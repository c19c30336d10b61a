"""What can go wrong with the spool, by what its caller should do."""


class SpoolError(Exception):
    """Nothing of this was stored: keep it, and hand it in again later. The message says what a person can do."""


class SpoolHeld(Exception):
    """Another collector holds this folder; the message says which."""
