"""The names under which the users of four systems know their tracking, with Wayside behind them.

    from wayside.compat.diffsynth import ModelLogger
    from wayside.compat.peft_studio import configure_wandb, setup_wandb_for_training, finish_wandb_for_training
    from wayside.compat.bitnet import Tracking
    from wayside.compat.model_foundry import LoggingConfig, WandBLogger

One file for each, with that guide's signatures, names of metrics, modes and defaults. wandb is not needed and never
imported; a call here does what its counterpart there did, waits for no network, and raises nothing into a training
but what wandb raises for a plain mistake, such as metrics that are no dictionary.
docs/migrating.md says what to change in a script, and what is different.
"""

from .arguments import add_arguments, init_from_args

__all__ = ["add_arguments", "init_from_args"]
