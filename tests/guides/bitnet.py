"""BitNet-QDyT-v2's guide: what becomes of each of its snippets, and the `train.py` they call."""

from guides.snippets import Left, Ran

#: In the place of that repository's trainer: the same flags, the same methods, a training without a model.
TRAIN = """
import argparse
from wayside.compat import add_arguments
from wayside.compat.bitnet import Tracking

class Trainer(Tracking):
    def __init__(self, args):
        self.args = args
        self.setup_wandb()
        if self.wandb_run:
            self.wandb_run.config.update({"total_parameters": 94567890, "hidden_size": 768})

    def train(self):
        for step in (1, 2):
            self.log_metrics({
                "train/loss": 1.0 / step, "train/learning_rate": 3e-4, "train/qdrop_probability": 0.1,
                "train/training_stage": "warmup", "train/epoch": 0, "train/global_step": step, "train/grad_norm": 0.5,
                **self.get_system_metrics()}, step)
        self.log_metrics({"loss": 0.5, "perplexity": 1.6}, 2, prefix="val/")
        self.finish_wandb()

parser = argparse.ArgumentParser()
parser.add_argument("--model_size", default="base")
parser.add_argument("--dataset", default="wikitext-103-v1")
parser.add_argument("--batch_size", type=int, default=32)
parser.add_argument("--num_epochs", type=int, default=10)
parser.add_argument("--learning_rate", type=float, default=3e-4)
parser.add_argument("--gradient_accumulation_steps", type=int, default=1)
add_arguments(parser, like="bitnet")
Trainer(parser.parse_args()).train()
"""

SYNC = "what is written offline is synced by the real `wandb sync` in tests/sinks/wandb/test_offline.py"

TREATMENTS = {
    31: Ran(),
    48: Left("a launcher of that repository, whose text the guide does not give"),
    70: Ran(),
    79: Ran(),
    87: Ran(),
    130: Ran(
        bends=(('{\n    "model_size"', 'hyperparameters = {\n    "model_size"'),),
        before="import wayside",
        after="with wayside.init(project='bitnet', id='hyperparameters', config=hyperparameters): pass",
    ),
    154: Left(SYNC),
    165: Ran(),
    179: Ran(),
    191: Ran(),
    204: Ran(),
    215: Ran(),
}
