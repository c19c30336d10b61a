"""What a session asks of W&B by its own environment: nothing of it at all, or a folder for `wandb sync`. Pure."""

import os

from ...session import Session
from .options import WandbOptions


def leaves_out(session: Session, options: WandbOptions) -> str | None:
    """See `base.Traits`: the trainer's own SDK uploads the run, or nobody shall."""
    if session.origin == "wandb":
        return "mirrored"
    return "wandb_disabled" if session.wandb.mode == "disabled" else None


def is_offline(session: Session, options: WandbOptions) -> bool:
    """Whether the session's run goes into a folder, and not to W&B."""
    return options.mode == "offline" or session.wandb.mode == "offline"


def folder_for(session: Session, options: WandbOptions) -> str | None:
    """Where the session wants that folder, if it lies below one of the option's `dirs`; None for the sink's own."""
    asked = session.wandb.dir
    if asked is None or not os.path.isabs(asked):
        return None
    real = os.path.realpath(asked)
    roots = [os.path.realpath(root) for root in options.dirs]
    return real if any(os.path.commonpath((real, root)) == root for root in roots) else None
