"""PEFT Studio's guide: what becomes of each of its snippets, and what stands in the place of its own services."""

from guides.snippets import Left, Ran

#: PEFT Studio's orchestrator and comparison, as far as the guide calls them.
SERVICES = """
import os, types
from dataclasses import dataclass, field

@dataclass
class TrainingConfig:
    job_id: str
    model_name: str
    dataset_path: str
    output_dir: str
    peft_method: str = "lora"
    lora_r: int = 8
    lora_alpha: int = 16
    learning_rate: float = 2e-4
    batch_size: int = 4
    num_epochs: int = 3

class TrainingOrchestrator:
    def __init__(self):
        self.callbacks = {}
    def create_job(self, config):
        return config
    def register_metrics_callback(self, job_id, callback):
        self.callbacks[job_id] = callback
    def start_training(self, job_id):
        for step in (10, 20):
            self.callbacks[job_id](types.SimpleNamespace(
                step=step, loss=1 / step, learning_rate=2e-4, grad_norm=1.0, epoch=0, throughput=100.0,
                samples_per_second=25.0, cpu_utilization=50.0, ram_used=8 * 1024**3, elapsed_time=1.0,
                estimated_time_remaining=9.0, gpu_utilization=[90.0, 80.0], gpu_memory_used=[2 * 1024**3, 1024**3],
                gpu_temperature=[60.0, 61.0], val_loss=0.5 if step == 20 else None, val_perplexity=None))

class Failing(TrainingOrchestrator):
    def start_training(self, job_id):
        raise RuntimeError("out of memory")

class ComparisonService:
    def __init__(self):
        self.runs = []
    def add_run(self, summary):
        self.runs.append(summary)
    def compare_runs(self, jobs):
        return jobs

model_name, use_case, timestamp, gpu_name, dataset_size = "llama", "chatbot", 1, "H200", 1000
final_loss, best_val_loss, total_steps, training_time, quality_score = 0.5, 0.6, 1000, 3600, 85.0
checkpoint_path, step, metrics, job_id = "./checkpoints/step_1000", 500, {"loss": 0.4}, "experiment_001"
os.makedirs(checkpoint_path, exist_ok=True)
open(checkpoint_path + "/adapter.bin", "w").write("weights")

def begin(*jobs, orchestrator=None):
    for job in jobs:
        about = TrainingConfig(job, "llama", "data/train.json", "out")
        setup_wandb_for_training(orchestrator or TrainingOrchestrator(), wandb_service, job, about)
"""

OURS = "from services.training_orchestration_service import (\n    TrainingOrchestrator,\n    TrainingConfig\n)\n"
HOME = ("from services.wandb_integration_service", "from wayside.compat.peft_studio")
EXAMPLE = ("from services.wandb_integration_example", "from wayside.compat.peft_studio")

TREATMENTS = {
    59: Left("wandb is not needed in the training process: nothing to install"),
    67: Ran(bends=(HOME,), before=SERVICES),
    84: Ran(after='test "$WANDB_API_KEY" = your_api_key_here'),
    90: Ran(),
    101: Ran(
        bends=((OURS, ""), EXAMPLE),
    ),
    162: Ran(before='begin("experiment_001")  # which the block before has finished: it goes on'),
    186: Ran(bends=(EXAMPLE,)),
    202: Ran(before='begin("experiment_002", "experiment_003")', after="assert comparison_url"),
    344: Ran(),
    352: Ran(),
    365: Ran(),
    376: Ran(after="wandb_service.finish_run('experiment_002', summary=summary)"),
    392: Ran(
        bends=(("    raise", "    raised = e"),),
        before="job_id, orchestrator = 'experiment_003', Failing()",
        after="assert str(raised) == 'out of memory'",
    ),
    410: Ran(),
    435: Left("a command of wandb's about its own cache, which the training process has none of"),
    443: Ran(
        bends=(
            (
                "from services.comparison_service import get_comparison_service",
                "get_comparison_service = ComparisonService",
            ),
        ),
        before='create_run_summary = dict.fromkeys\nbegin("job1", "job2", "job3")',
        after="assert local_comparison and wandb_url",
    ),
    479: Left("the tests of that repository, which are not here"),
}
