"""Primus Lens's guide: what becomes of each of its snippets, and what stands in the place of its readers' own code.

Its users change nothing, so the scripts say `import wandb`, with the real SDK, and the hook hears them.
"""

from guides.snippets import Left, Ran, bent, snippets

#: torch and Primus, as far as the guide calls them.
TORCH = "import torch.nn.parallel\n"
DISTRIBUTED = """
def init_process_group(backend): pass
def is_initialized(): return False
def get_rank(): return 0
"""
PARALLEL = """
def DistributedDataParallel(model, device_ids):
    return model
"""
PRIMUS = """
class TrainerConfig:
    is_master, experiment_name, backend = True, "exp", "megatron"
    @classmethod
    def from_file(cls, path):
        return cls()

class Trainer:
    def __init__(self, config):
        self.callbacks = []
    def register_callback(self, moment, callback):
        self.callbacks.append(callback)
    def train(self):
        for step in range(3):
            for callback in self.callbacks:
                callback({"primus_loss": 0.5})
"""

#: What the guide's scripts take for granted.
READERS = """
class MyModel:
    def to(self, rank): return self

class Scheduler:
    def get_lr(self): return [0.001]

def train_epoch(model, rank=0): return 0.5
def train_step(batch): return 0.5
def evaluate(): return 0.9
dataloader, scheduler, experiment_id, timestamp, loss = [1], Scheduler(), 7, 8, 0.5
"""

ELSEWHERE = "the guide's curl lines are run as they stand in tests/e2e/test_primus_guide.py"
NOTEBOOK = (
    "import primus_lens_wandb_exporter.wandb_hook\nprimus_lens_wandb_exporter.wandb_hook.install_wandb_hook()",
    "import wayside\nassert wayside.install_wandb_hook()",
)
MANIFEST = '''# Method 2: Set different WORKLOAD_UID for each Job in Kubernetes
env:
- name: WORKLOAD_UID
  value: "training-exp-001-$(date +%s)"'''
LOGGING = """import logging
logging.getLogger("primus_lens_wandb_exporter").setLevel(logging.WARNING)"""
EXPORTER = "AMD's exporter is what Wayside takes the place of: its own tests run it against our ingest"

TREATMENTS = {
    23: Left("installs AMD's exporter from the internet; the client's wheel takes its place (docs/zero-code.md)"),
    83: Ran(before=READERS),
    146: Left(ELSEWHERE),
    160: Ran(),
    182: Ran(),
    192: Ran(),
    226: Ran(),
    240: Ran(),
    319: Left("the real Lightning trains with its WandbLogger, and with the hook, in tests/frameworks"),
    370: Ran(),
    493: Left("GPUs are measured by the collector, which brings its library along"),
    529: Ran(),
    536: Ran(before="POD_NAME=training-pod-0"),
    542: Ran(),
    548: Left(ELSEWHERE),
    558: Ran(before="run = wandb.init(project='my-project', name='values')", after="run.finish()"),
    574: Ran(before="run = wandb.init(project='my-project', name='ranks')", after="run.finish()"),
    591: Left(ELSEWHERE),
    608: Ran(left=(("pip uninstall primus-lens-wandb-exporter", EXPORTER),), after="python train.py"),
    623: Ran(left=((LOGGING, "lines of Python in a block of shell, about the exporter's own logger"),)),
    636: Ran(left=((MANIFEST, "a piece of a manifest in a block of Python"),), after="wandb.finish()"),
    653: Ran(bends=(NOTEBOOK,), after="wandb.finish()"),
    677: Ran(bends=(("\u00e2\u0153\u201c", "\u2713"),)),
    686: Left(ELSEWHERE),
    756: Left("needs a cluster with that system's pods"),
}


def file_of(line: int) -> str:
    """A script of the guide with what it takes for granted."""
    (block,) = [block for block in snippets("primus") if block.line == line]
    treatment = TREATMENTS[line]
    assert isinstance(treatment, Ran)
    return READERS + bent(block, treatment)
