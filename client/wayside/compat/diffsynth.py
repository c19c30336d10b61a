"""DiffSynth-Studio's WanVideo training: `ModelLogger` as its runner calls it, and its flags.

`from wayside.compat.diffsynth import ModelLogger` takes the place of `diffsynth.diffusion.logger`'s. What it saves it
saves as that does, through the accelerator; what it logs goes to the collector. A loss may be a tensor on a GPU.
"""

import argparse
import json
import os
import shutil
from typing import Any, Callable, Dict, List, Mapping, Optional

import wayside

from ..runs import Run
from .beginning import begin, is_main_process

PROJECT = "diffsynth-wanvideo"  #: what `--wandb_project` is without a word

#: Hyperparameters that the guide's train.py records, where the arguments have them.
CONFIG = ("learning_rate", "weight_decay", "num_epochs", "lora_rank", "lora_target_modules")
CONFIG_VIDEO = ("height", "width", "num_frames", "task")


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """`--use_wandb`, `--wandb_project` and `--wandb_run_name`."""
    parser.add_argument("--use_wandb", default=False, action="store_true", help="track this run")
    parser.add_argument("--wandb_project", type=str, default=PROJECT, help="the run's project")
    parser.add_argument("--wandb_run_name", type=str, default=None, help="the run's name; made up without one")
    return parser


add_wandb_config = add_arguments


def wandb_config(args: Any) -> Dict[str, Any]:
    """The hyperparameters that the guide lists, of parsed arguments. `batch_size` is what accumulation makes of it."""
    found = {name: getattr(args, name) for name in CONFIG + CONFIG_VIDEO if hasattr(args, name)}
    size = getattr(args, "batch_size", None) or getattr(args, "gradient_accumulation_steps", None)
    return found if size is None else dict(found, batch_size=size)


def init_from_args(args: argparse.Namespace, config: Any = None) -> Run:
    """The run that `--use_wandb` asks for; see `wayside.compat.init_from_args`."""
    asked = args.use_wandb and is_main_process()
    return begin(
        None if asked else "disabled",
        project=args.wandb_project,
        name=args.wandb_run_name,
        config=wandb_config(args) if config is None else config,
    )


class ModelLogger:
    """Counts steps, saves the model, and logs. use_wandb: whether anything is logged. wandb_initialized: whether a run
    was begun. wandb: the module with wandb's names, as scripts ask the logger for it. num_steps: micro-steps so far,
    which are the steps of what is logged.
    """

    def __init__(  # noqa: PLR0913 -- the guide's own arguments
        self,
        output_path: str,
        remove_prefix_in_ckpt: Optional[str] = None,
        state_dict_converter: Callable[[Any], Any] = lambda x: x,
        use_wandb: bool = False,
        wandb_project: Optional[str] = None,
        wandb_run_name: Optional[str] = None,
        wandb_config: Optional[Mapping[str, Any]] = None,
        max_checkpoints: Optional[int] = 5,
    ) -> None:
        self.output_path = output_path
        self.remove_prefix_in_ckpt = remove_prefix_in_ckpt
        self.state_dict_converter = state_dict_converter
        self.use_wandb = use_wandb
        self.wandb: Any = wayside
        self.wandb_project = wandb_project
        self.wandb_run_name = wandb_run_name
        self.wandb_config = wandb_config or {}
        self.max_checkpoints = max_checkpoints
        self.num_steps = 0
        self.current_epoch = 0
        self.dataloader_seed: Optional[int] = None
        self.saved_checkpoints: List[str] = []
        self.run: Optional[Run] = None

    @property
    def wandb_initialized(self) -> bool:
        return self.run is not None

    # --- what is logged -----------------------------------------------------------------------------------------

    def init_wandb(self, accelerator: Any = None) -> None:
        """Begin the run, on the main process alone, and once."""
        if self.use_wandb and self.run is None and is_main_process(accelerator):
            self.run = begin(
                None, project=self.wandb_project, name=self.wandb_run_name, config=self.wandb_config, resume="allow"
            )

    def log_metrics(self, metrics: Dict[str, Any]) -> None:
        """Log under the step reached."""
        if self.run is not None:
            self.run.log(metrics, step=self.num_steps)

    def on_step_end(
        self, accelerator: Any, model: Any, save_steps: Optional[int] = None, loss: Any = None, epoch: int = 0
    ) -> None:
        """One more step; `loss` is logged as `train/loss`."""
        self.num_steps += 1
        self.current_epoch = epoch
        if loss is not None and is_main_process(accelerator):
            self.log_metrics({"train/loss": loss})
        if save_steps is not None and self.num_steps % save_steps == 0:
            self.save_model(accelerator, model, f"step-{self.num_steps}.safetensors")
            self.save_checkpoint(accelerator, epoch=epoch)

    def on_epoch_end(self, accelerator: Any, model: Any, epoch_id: int) -> None:
        self.save_model(accelerator, model, f"epoch-{epoch_id}.safetensors")

    def on_training_end(self, accelerator: Any, model: Any, save_steps: Optional[int] = None) -> None:
        """Save what no step saved, and end the run."""
        if save_steps is not None and self.num_steps % save_steps != 0:
            self.save_model(accelerator, model, f"step-{self.num_steps}.safetensors")
        if self.run is not None:
            self.run.finish()

    # --- what is saved ------------------------------------------------------------------------------------------

    def save_model(self, accelerator: Any, model: Any, file_name: str) -> None:
        """The trainable part of the model, by the main process."""
        accelerator.wait_for_everyone()
        if not accelerator.is_main_process:
            return
        trainable = accelerator.unwrap_model(model).export_trainable_state_dict(
            accelerator.get_state_dict(model), remove_prefix=self.remove_prefix_in_ckpt
        )
        os.makedirs(self.output_path, exist_ok=True)
        path = os.path.join(self.output_path, file_name)
        accelerator.save(self.state_dict_converter(trainable), path, safe_serialization=True)

    def save_checkpoint(self, accelerator: Any, epoch: int = 0) -> None:
        """All that a training needs to go on, and the oldest of these beyond `max_checkpoints` removed."""
        folder = os.path.join(self.output_path, f"checkpoint-{self.num_steps}")
        accelerator.save_state(folder)
        if not accelerator.is_main_process:
            return
        told = {"epoch": epoch, "global_step": self.num_steps, "dataloader_seed": self.dataloader_seed}
        with open(os.path.join(folder, "training_metadata.json"), "w", encoding="utf-8") as file:
            json.dump(told, file, indent=2)
        accelerator.print(f"Checkpoint saved to {folder}")
        self.saved_checkpoints.append(folder)
        if self.max_checkpoints is not None and len(self.saved_checkpoints) > self.max_checkpoints:
            oldest = self.saved_checkpoints.pop(0)
            shutil.rmtree(oldest, ignore_errors=True)
            accelerator.print(f"Removed old checkpoint: {oldest}")
