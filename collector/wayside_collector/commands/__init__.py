"""The commands of `wayside-collector`, one file each, and the table of them in `cli.py`.

A command is a function from its chosen arguments to an exit code. Only these modules print, and only `cli.py` exits,
but for the second signal (`life.py`), which ends the process at once; the collector itself is imported when a command
needs it, so that `--help` and `status` stay quick. What the commands are called that ask the history stands together
in `asking.py`, for the same reason.
"""
