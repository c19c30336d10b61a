"""Model Foundry's guide: what becomes of each of its snippets, and what stands in the place of that framework."""

from guides.snippets import Left, Ran, bent, snippets

OURS = (".logging_components import WandBLogger", "wayside.compat.model_foundry import WandBLogger")
WANDB = ("import wandb", "import wayside as wandb")

KEY = "the API key belongs to the collector: in the training process there is nobody to log in"
SYNC = "what is written offline is synced by the real `wandb sync` in tests/sinks/wandb/test_offline.py"

#: The experiment of the guide's YAML: what it leaves out ("other configs").
CONFIG_MODULE = """
import types, yaml
from wayside.compat.model_foundry import LoggingConfig

class ExperimentConfig:
    def __init__(self, experiment_name, logging, **others):
        self.experiment_name, self.logging = experiment_name, LoggingConfig(**logging)
        self.model = types.SimpleNamespace(layers=12, hidden_size=768)
        self.training = types.SimpleNamespace(use_amp=True)

    def dict(self):
        return {"experiment_name": self.experiment_name, "logging": self.logging.dict()}
"""

#: After the guide's own lines on how its trainer is to log.
TRAINING = """
    def train(self):
        self.metrics_logger, self.epoch = types.SimpleNamespace(log_step=lambda *told: None), 0
        for step in (10, 20):
            self._log_training_step(step, {"loss": 1 / step, "lr": 1e-3})
        if self.wandb_logger:
            self.wandb_logger.log_system_metrics()
            self.wandb_logger.finish()
"""

CLI_MODULE = """
import sys, yaml
from model_foundry.config import ExperimentConfig
from model_foundry.trainer import Trainer
Trainer(ExperimentConfig(**yaml.safe_load(open(sys.argv[2]))), base_dir=".").train()
"""

#: matplotlib, as far as the guide draws with it.
PYPLOT = """
import struct, zlib

def savefig(out, **options):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    out.write(b"\\x89PNG\\r\\n\\x1a\\n" + head + chunk(b"IDAT", zlib.compress(b"\\0\\0")) + chunk(b"IEND", b""))

def draw(*told, **options):
    pass

figure = plot = xlabel = ylabel = title = close = draw
"""

TREATMENTS = {
    35: Left("pip says what of wandb is installed, which is not needed"),
    41: Left("wandb is not needed in the training process: nothing to install"),
    74: Left(KEY),
    96: Ran(after='test -n "$WANDB_API_KEY"'),
    102: Ran(before="touch ~/.bashrc"),
    110: Ran(before="cat > ~/.netrc <<'EOF'", after="EOF"),
    117: Ran(),
    125: Left(KEY),
    131: Ran(bends=(WANDB,)),
    200: Ran(bends=(("model_foundry.config", "wayside.compat.model_foundry"),)),
    231: Ran(after="python -m model_foundry.cli train configs/experiment.yaml"),
    260: Ran(),
    289: Ran(bends=(("model_foundry.logging_components", "wayside.compat.model_foundry"),)),
    322: Ran(),
    339: Ran(left=(("wandb sync wandb/offline-run-YYYYMMDD_HHMMSS-<run_id>", SYNC),)),
    358: Ran(
        before="wandb_logger = WandBLogger('foundry', 'grouped', {})\nstep, loss, experiment_name = 7, 12.5, 'exp0'"
    ),
    409: Left("a sweep's agent needs the real SDK in the process: the hook leaves sweeps to it, and mirrors them"),
    421: Ran(bends=(WANDB,)),
    437: Ran(bends=(WANDB,), before="steps, losses = [1, 2], [0.5, 0.4]"),
    463: Ran(after="python -m model_foundry.cli train configs/experiment.yaml"),
    472: Ran(),
    490: Ran(),
    556: Left(KEY),
    564: Ran(before="WANDB_API_KEY=", left=(("wandb login --relogin", KEY),)),
    578: Ran(after="python -m model_foundry.cli train configs/experiment.yaml"),
    598: Ran(left=(("wandb sync --clean", "wandb's own files, of which the training process has none"),)),
    609: Ran(),
    617: Ran(after="python train.py"),
    629: Ran(after="python train.py"),
    641: Ran(
        bends=(WANDB,),
        before="wandb_logger.finish()\nfrom typing import List, Optional",
        after=(
            "theirs = WandBLogger('model-foundry', 'theirs', {'a': 1}, ['their own class'])\n"
            "theirs.log_metrics(1, {'train/loss': 0.5})\n"
            "theirs.log_artifact('output/checkpoint-1000', 'model', 'theirs')\n"
            "theirs.finish()"
        ),
    ),
    732: Ran(
        bends=(OURS, ("# ... existing initialization ...", "self.config = config")), before="ExperimentConfig = object"
    ),
    888: Ran(after="python train.py"),
}


def trainer() -> str:
    """The guide's trainer, with a training."""
    (block,) = [block for block in snippets("model_foundry") if block.line == 732]
    treatment = TREATMENTS[732]
    assert isinstance(treatment, Ran)
    return f"import types\nfrom typing import List\n{bent(block, treatment)}\n{TRAINING}"
