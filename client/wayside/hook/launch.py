"""`wayside run`: a command with wandb hooked in every Python it starts, whatever is installed there."""

import os
import sys
from typing import Dict, List, Mapping

SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")


def environment(environ: Mapping[str, str], hook: str = "") -> Dict[str, str]:
    """The command's environment. hook: "mirror" or "divert"; where it is empty, what the environment says, and where
    that says nothing, "mirror".
    """
    found = dict(environ)
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (SITE, environ.get("PYTHONPATH", ""))))
    if hook or not (environ.get("WAYSIDE_WANDB_HOOK") or environ.get("PRIMUS_LENS_WANDB_HOOK")):
        found["WAYSIDE_WANDB_HOOK"] = hook or "mirror"
    return found


def launch(command: List[str], hook: str = "") -> int:
    """Become the command: its signals, output and exit code are its own. Returns a shell's code where it cannot be
    started.
    """
    try:
        os.execvpe(command[0], command, environment(os.environ, hook))
    except OSError as problem:
        sys.stderr.write(f"wayside run: {command[0]} cannot be started: {problem.strerror}\n")
        return 127 if isinstance(problem, FileNotFoundError) else 126
