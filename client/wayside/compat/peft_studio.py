"""PEFT Studio's W&B service, for the process that trains: `services.wandb_integration_service` and its example.

A job's id is its run's id, as it is in the collector's own `/api/wandb/…` (docs/peft-studio.md), so either half may
begin a run that the other goes on with. Whatever is asked, nothing raises: a call that could not be done says False or
None, and why once on stderr. An API key is neither kept nor used here: it is the collector's.
"""

import os
from collections.abc import Mapping as AnyMapping
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..notices import Notices
from ..runs import Run
from .beginning import begin, tags_of
from .media import log_artifact

PROJECT = "peft-studio"
MOST_COMPARED = 5
MAX_FINISHED = 1000  #: finished jobs whose addresses are remembered, the latest

_GIB = 1024**3

#: Hyperparameters of a training's configuration that are recorded, where it has them.
HYPERPARAMETERS = (
    *("model_name", "peft_method", "lora_r", "lora_alpha", "lora_dropout", "target_modules", "learning_rate"),
    *("batch_size", "gradient_accumulation_steps", "num_epochs", "max_steps", "warmup_steps", "optimizer", "scheduler"),
    *("weight_decay", "max_grad_norm", "precision", "quantization", "save_steps", "eval_steps"),
)

#: What a training reports, by its own name, and what the metric is called. Bytes become GiB.
METRICS = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "epoch": "train/epoch",
    "throughput": "performance/throughput",
    "samples_per_second": "performance/samples_per_second",
    "cpu_utilization": "resources/cpu_utilization",
    "ram_used": "resources/ram_used_gb",
    "elapsed_time": "timing/elapsed_time",
    "estimated_time_remaining": "timing/estimated_time_remaining",
    "val_loss": "val/loss",
    "val_perplexity": "val/perplexity",
}

#: The same of lists with a value for each GPU.
GPU_METRICS = {
    "gpu_utilization": "resources/gpu_{}_utilization",
    "gpu_memory_used": "resources/gpu_{}_memory_gb",
    "gpu_temperature": "resources/gpu_{}_temperature",
}

SUMMARY = (
    *("final_loss", "best_val_loss", "total_steps", "epochs_completed", "training_time_seconds", "quality_score"),
)


@dataclass
class WandBConfig:
    """What all jobs of a service have in common."""

    enabled: bool = False
    project_name: str = PROJECT
    entity: Optional[str] = None
    api_key: Optional[str] = field(default=None, repr=False)
    tags: Optional[Sequence[str]] = None
    notes: Optional[str] = None

    def __post_init__(self) -> None:
        self.tags = tags_of(self.tags)


@dataclass
class ExperimentMetadata:
    """What a job is about."""

    job_id: str
    model_name: str
    dataset_name: str
    use_case: str
    run_name: Optional[str] = None

    def to_dict(self) -> Dict[str, Any]:
        return asdict(self)


class WandBIntegrationService:
    """Jobs and their runs. is_available: always, since wandb is not needed. active_runs: job to run."""

    def __init__(self, config: Optional[WandBConfig] = None) -> None:
        self.config = config or WandBConfig()
        self.active_runs: Dict[str, Run] = {}
        self.is_available = True
        self._addresses: Dict[str, Optional[str]] = {}  # of jobs that are over
        self._notices = Notices()
        if self.config.api_key:
            self.config.api_key = None
            told = "an API key is not needed here, and not kept: W&B is the collector's business"
            self._notices.tell(
                "key", f"{told}; give it to the collector as WANDB_API_KEY or `sinks.wandb.api_key_file`"
            )

    def is_enabled(self) -> bool:
        return self.config.enabled

    def get_active_runs(self) -> List[str]:
        return list(self.active_runs)

    def start_run(
        self, job_id: str, metadata: ExperimentMetadata, config: Mapping[str, Any], resume: bool = False
    ) -> bool:
        """Begin a job's run, beside those of other jobs. A job begun before goes on as the run it was."""
        if not self.config.enabled:
            return False
        if job_id in self.active_runs:
            return True
        job, about = str(job_id), metadata.to_dict()
        run = begin(
            None,
            reinit="create_new",
            id=job,
            project=self.config.project_name,
            entity=self.config.entity,
            name=metadata.run_name or f"{metadata.model_name}_{metadata.use_case}_{job[:8]}",
            config=config,
            tags=tags_of(self.config.tags, metadata.use_case, metadata.model_name, f"job_{job[:8]}"),
            notes=self.config.notes,
            resume="allow" if resume else None,
        )
        about.pop("run_name")
        run.summary.update(about)
        self.active_runs[job_id] = run
        return True

    def log_metrics(
        self, job_id: str, metrics: Mapping[str, Any], step: Optional[int] = None, commit: bool = True
    ) -> bool:
        run = self._run(job_id)
        if run is None or not self._is_mapping(metrics, "metrics"):
            return False
        run.log(dict(metrics), step=step, commit=commit)
        return True

    def log_hyperparameters(self, job_id: str, hyperparameters: Mapping[str, Any]) -> bool:
        run = self._run(job_id)
        if run is None or not self._is_mapping(hyperparameters, "hyperparameters"):
            return False
        run.config.update(hyperparameters)
        return True

    def log_artifact(
        self,
        job_id: str,
        artifact_path: str,
        artifact_type: str = "model",
        name: Optional[str] = None,
        metadata: Optional[Dict[str, Any]] = None,
    ) -> bool:
        """Record a file or a folder, or a checkpoint."""
        run = self._run(job_id)
        if run is None:
            return False
        return log_artifact(run, artifact_path, artifact_type, name or f"{job_id}_checkpoint", metadata=metadata)

    def finish_run(self, job_id: str, exit_code: int = 0, summary: Optional[Mapping[str, Any]] = None) -> bool:
        run = self._run(job_id)
        if run is None:
            return False
        del self.active_runs[job_id]
        if summary and self._is_mapping(summary, "summary"):
            run.summary.update(summary)
        self._addresses[job_id] = run.url
        while len(self._addresses) > MAX_FINISHED:
            del self._addresses[next(iter(self._addresses))]
        run.finish(exit_code)
        return True

    def get_run_url(self, job_id: str) -> Optional[str]:
        """The run's place on the collector's page, also when it is over; None as long as no collector is known."""
        if not self.config.enabled:
            return None
        run = self.active_runs.get(job_id)
        return run.url if run is not None else self._addresses.get(job_id)

    def compare_runs(self, job_ids: Sequence[str], metrics: Optional[Sequence[str]] = None) -> Optional[str]:
        """Where two to five jobs stand beside each other: on the collector's page; where none is known, at W&B, if it
        is known whose the runs are. None where neither is, or for another number of jobs.
        """
        if not self.config.enabled:
            return None
        jobs = list(dict.fromkeys(map(str, job_ids)))
        if not 2 <= len(jobs) <= MOST_COMPARED:
            self._notices.tell("compare", f"2 to {MOST_COMPARED} different jobs are compared, not {len(jobs)}")
            return None
        from urllib.parse import quote

        ids = ",".join(quote(job, safe="") for job in jobs)
        page = next((url for job in (*self.active_runs, *self._addresses) if (url := self.get_run_url(job))), None)
        if page is not None:
            return f"{page.rpartition('/runs/')[0]}/compare?runs={ids}"
        if self.config.entity is None:
            return None
        return f"https://wandb.ai/{self.config.entity}/{self.config.project_name}/table?runSets={ids}"

    def _run(self, job_id: str) -> Optional[Run]:
        run = self.active_runs.get(job_id) if self.config.enabled else None
        if run is None and self.config.enabled:
            self._notices.tell(f"job {job_id}", f"no run of job {job_id!r:.80} is open: start_run() begins one")
        return run

    def _is_mapping(self, value: Any, what: str) -> bool:
        if not isinstance(value, AnyMapping):
            self._notices.tell(what, f"{what} must be a dictionary of names and values, not {type(value).__name__}")
            return False
        return True


_service: Optional[WandBIntegrationService] = None


def get_wandb_service(config: Optional[WandBConfig] = None) -> WandBIntegrationService:
    """The process's service; made when there is none, disabled unless `config` says otherwise."""
    global _service
    if _service is None:
        _service = WandBIntegrationService(config)
    return _service


def configure_wandb(
    enabled: bool = True,
    project_name: str = PROJECT,
    entity: Optional[str] = None,
    api_key: Optional[str] = None,
    tags: Optional[Sequence[str]] = None,
) -> WandBIntegrationService:
    """The process's service with other settings; jobs that are open stay open, and go on as they were begun."""
    global _service
    before = _service
    _service = WandBIntegrationService(WandBConfig(enabled, project_name, entity, api_key, tags))
    if before is not None:
        _service.active_runs, _service._addresses = before.active_runs, before._addresses
    return _service


def setup_wandb_for_training(
    orchestrator: Any, wandb_service: WandBIntegrationService, job_id: str, config: Any
) -> None:
    """Begin a job's run, and log every report that the orchestrator makes of it."""
    known = {name: getattr(config, name) for name in HYPERPARAMETERS if hasattr(config, name)}
    model = str(known.get("model_name", ""))
    about = ExperimentMetadata(
        job_id=job_id,
        model_name=model,
        dataset_name=os.path.basename(str(getattr(config, "dataset_path", ""))),
        use_case=str(known.get("peft_method", "")),
        run_name=f"{model}_{job_id[:8]}",
    )
    if wandb_service.start_run(job_id=job_id, metadata=about, config=known):
        orchestrator.register_metrics_callback(
            job_id,
            lambda told: wandb_service.log_metrics(job_id, metrics_of(told), step=getattr(told, "step", None)),
        )


def metrics_of(told: Any) -> Dict[str, Any]:
    """A training's report under the names of the metrics; what it does not tell is not there."""
    found = {name: getattr(told, attribute, None) for attribute, name in METRICS.items()}
    for attribute, name in GPU_METRICS.items():
        for number, value in enumerate(getattr(told, attribute, None) or ()):
            found[name.format(number)] = value
    known = {name: value for name, value in found.items() if value is not None}
    return {name: value / _GIB if name.endswith("_gb") else value for name, value in known.items()}


def finish_wandb_for_training(
    wandb_service: WandBIntegrationService, job_id: str, final_metrics: Mapping[str, Any], success: bool = True
) -> None:
    """End a job's run, with what came of it."""
    summary = {name: final_metrics[name] for name in SUMMARY if final_metrics.get(name) is not None}
    wandb_service.finish_run(job_id, exit_code=0 if success else 1, summary=dict(summary, success=success))


def log_checkpoint_to_wandb(
    wandb_service: WandBIntegrationService, job_id: str, checkpoint_path: str, step: int, metrics: Mapping[str, Any]
) -> None:
    """Record a checkpoint as `checkpoint_step_{step}`."""
    told = {"step": step, **{name: metrics.get(name) for name in ("loss", "learning_rate", "epoch")}}
    wandb_service.log_artifact(job_id, checkpoint_path, "model", f"checkpoint_step_{step}", told)
