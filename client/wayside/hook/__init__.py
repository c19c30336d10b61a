"""Scripts that log to wandb, heard without a change to them.

The walk: `activate` runs when Python starts and asks `switch` whether the hook is wanted; if so `finder` waits for
`import wandb`; `patches` then wraps `wandb.init` and the methods every row passes through; `counterpart` begins a
Wayside run beside wandb's, or, where wandb is `diverted`, in its place; a `native` adapter has precedence over it.
Nothing here imports wandb, and no failure of ours reaches the script.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ..runs import Run


def install_wandb_hook() -> bool:
    """Hook wandb from here on, whether it has been imported yet or not: for notebooks, and where nothing runs when
    Python starts. True when the hook is on; twice is once. `WAYSIDE_WANDB_HOOK` still says how, or that it is off.
    """
    from .activate import activate

    return activate(asked=True)


def yield_to(name: str) -> "Optional[Run]":
    """What a native adapter calls before it begins a run of its own; `name` is the framework's.

    From here on the hook hears nothing in this process: wandb's own runs go on as they are. Returns the run that the
    hook has begun last, if it is still open, for the adapter to log into and to finish: W&B knows that run under the
    same id, and the collector's W&B sink knows whether it is to upload it. None: the adapter begins its own.
    """
    from . import native

    return native.yield_to(name)
