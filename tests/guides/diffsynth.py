"""DiffSynth-Studio's guide: what becomes of each of its snippets, and the `train.py` they call."""

from guides.snippets import Left, Ran

#: In the place of that repository's trainer, in the shape of the guide's flow: the same flags, the same calls, and an
#: accelerator without accelerate.
TRAIN = """
import argparse, os
from wayside.compat.diffsynth import ModelLogger, add_wandb_config, wandb_config

class Accelerator:
    is_main_process = os.environ.get("RANK", "0") == "0"
    def wait_for_everyone(self): pass
    def unwrap_model(self, model): return model
    def get_state_dict(self, model): return {"pipe.dit.lora": 1}
    def save(self, state, path, safe_serialization): open(path, "w").write(repr(state))
    def save_state(self, folder): os.makedirs(folder, exist_ok=True)
    def print(self, *told): pass

class Model:
    def export_trainable_state_dict(self, state, remove_prefix): return state

class Loss:  # a scalar tensor
    def __init__(self, value): self.value = value
    def item(self): return self.value

def launch_training_task(accelerator, model, model_logger, args):
    model_logger.init_wandb(accelerator)
    for step in range(4):
        model_logger.on_step_end(accelerator, model, args.save_steps, loss=Loss(1 / (1 + step)))
    model_logger.log_metrics({"val/loss": 0.25})
    model_logger.on_epoch_end(accelerator, model, 0)
    model_logger.on_training_end(accelerator, model, args.save_steps)

parser = argparse.ArgumentParser()
for name in ("dataset_base_path", "dataset_metadata_path", "model_path", "lora_base_model"):
    parser.add_argument(f"--{name}")
parser.add_argument("--output_path", default="./models")
for name, value in {"height": 480, "width": 832, "num_frames": 81, "num_epochs": 1, "lora_rank": 32}.items():
    parser.add_argument(f"--{name}", type=int, default=value)
parser.add_argument("--learning_rate", type=float, default=1e-4)
parser.add_argument("--weight_decay", type=float, default=0.01)
parser.add_argument("--lora_target_modules", default="q,k,v,o,ffn.0,ffn.2")
parser.add_argument("--task", default="sft")
parser.add_argument("--save_steps", type=int, default=3)
parser.add_argument("--gradient_accumulation_steps", type=int, default=1)
args = add_wandb_config(parser).parse_args()
launch_training_task(Accelerator(), Model(), ModelLogger(
    args.output_path, use_wandb=args.use_wandb, wandb_project=args.wandb_project,
    wandb_run_name=args.wandb_run_name, wandb_config=wandb_config(args), max_checkpoints=1), args)
"""

#: The guide's own word for whatever else the command had before.
EXISTING = (("[existing args...]", "--num_epochs 1"),)

TREATMENTS = {
    70: Ran(bends=EXISTING),
    82: Left("wandb is not needed, and W&B's key belongs to the collector: nothing to install, nobody to log in"),
    90: Ran(),
    107: Ran(bends=(("[other args...]", "--num_epochs 1"),)),
    116: Ran(bends=EXISTING),
}
