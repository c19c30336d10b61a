"""Scripts that log to wandb, heard without a change to them.

The walk: `activate` runs when Python starts and asks `switch` whether the hook is wanted; if so `finder` waits for
`import wandb`; `patches` then wraps `wandb.init` and the methods every row passes through; `counterpart` begins a
Wayside run beside wandb's, or, where wandb is `diverted`, in its place. Nothing here imports wandb, and no failure of
ours reaches the script.
"""


def install_wandb_hook() -> bool:
    """Hook wandb from here on, whether it has been imported yet or not: for notebooks, and where nothing runs when
    Python starts. True when the hook is on; twice is once. `WAYSIDE_WANDB_HOOK` still says how, or that it is off.
    """
    from .activate import activate

    return activate(asked=True)
