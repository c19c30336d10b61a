"""Model Foundry's `WandBLogger` and `LoggingConfig`: `model_foundry.logging_components` and `.config`.

logger = WandBLogger(project="model-foundry", name="exp0_baseline", config=config)
logger.log_metrics(step=100, metrics={"train/loss": 2.456})
logger.finish()
"""

import os
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence

import wayside

from ..runs import Run
from ..settings import read_settings
from .beginning import begin, tags_of, torch_memory
from .media import kept_or_told, log_artifact, log_media

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
ALERT_LEVELS = ("INFO", "WARN", "ERROR")


@dataclass
class LoggingConfig:
    """The section `logging` of an experiment's configuration. Raises ValueError with all that is wrong."""

    console_level: str = "INFO"
    file_level: str = "DEBUG"
    dir: str = "logs"
    use_structured_logging: bool = True
    use_wandb: bool = False
    wandb_project: Optional[str] = None
    wandb_entity: Optional[str] = None
    max_log_files: int = 10
    max_log_size_mb: int = 100
    log_metrics_every_n_steps: int = 10
    log_detailed_metrics_every_n_steps: int = 100
    profile_performance: bool = False
    log_memory_every_n_steps: int = 100
    max_errors_to_track: int = 1000

    def __post_init__(self) -> None:
        problems: List[str] = []
        for name in ("console_level", "file_level"):
            level = getattr(self, name)
            if level not in LEVELS:
                problems.append(f"{name} must be one of {', '.join(LEVELS)}, not {level!r:.40}")
        for name, value in vars(self).items():
            if name.startswith(("max_", "log_")) and (not isinstance(value, int) or value < 1):
                problems.append(f"{name} must be a whole number above zero, not {value!r:.40}")
        if problems:
            raise ValueError("; ".join(problems))

    def dict(self) -> Dict[str, Any]:
        return dict(vars(self))


class WandBLogger:
    """One run. run, run_id: None where it is not enabled, and then every call does nothing. wandb: the module with
    wandb's names, as scripts ask the logger for it.

    project: WANDB_PROJECT goes before it, as the guide says.
    """

    def __init__(
        self,
        project: str,
        name: str,
        config: Any,
        tags: Optional[Sequence[str]] = None,
        enabled: bool = True,
        *,
        entity: Optional[str] = None,
    ) -> None:
        self.enabled = enabled
        self.wandb: Any = wayside if enabled else None
        self.run: Optional[Run] = None
        self._latest: Dict[str, Any] = {}
        if enabled:
            asked = read_settings(os.environ).project or project
            self.run = begin(
                None, project=asked, entity=entity, name=name, config=config, tags=tags_of(tags), resume="allow"
            )

    @property
    def run_id(self) -> Optional[str]:
        return self.run.id if self.run is not None else None

    def log_metrics(self, step: int, metrics: Dict[str, Any]) -> None:
        """Log under a step."""
        if self.run is not None:
            self.run.log(metrics, step=step)
            self._remember(metrics)

    def log_system_metrics(self, step: Optional[int] = None) -> None:
        """torch's memory, in GB, where torch uses a GPU; all else of the machine is measured by the collector."""
        memory = torch_memory() if self.run is not None else None
        if self.run is not None and memory is not None:
            reserved = memory.reserved / 1e9
            found = {"allocated": memory.allocated / 1e9, "reserved": reserved, "cached": reserved}
            self.run.log({f"system/gpu_memory_{name}_gb": value for name, value in found.items()}, step=step)

    def watch_model(self, model: Any, log_freq: int = 100, log_graph: bool = True) -> None:
        """Log gradients and parameters of a torch model every so many steps. log_graph: accepted; no graph is kept."""
        if self.run is not None:
            with kept_or_told(self.run, "watch", type(model).__name__):
                self.run.watch(model, log="all", log_freq=log_freq)

    def log_artifact(
        self, artifact_path: str, artifact_type: str, name: str, description: Optional[str] = None
    ) -> None:
        """Record a file or a folder: a model, a dataset, a configuration."""
        if self.run is not None:
            log_artifact(self.run, artifact_path, artifact_type, name, description or f"{artifact_type} artifact")

    def log_table(self, name: str, columns: Sequence[str], data: Sequence[Sequence[Any]]) -> None:
        if self.run is not None:
            log_media(self.run, name, "Table", columns=list(columns), data=list(data))

    def log_image(self, name: str, image: Any, caption: Optional[str] = None) -> None:
        """A path, a PIL image, a figure of matplotlib, or an array."""
        if self.run is not None:
            log_media(self.run, name, "Image", image, caption=caption)

    def log_histogram(self, name: str, values: Any) -> None:
        if self.run is not None:
            log_media(self.run, name, "Histogram", values)

    def alert(self, title: str, text: str, level: str = "INFO") -> None:
        """Tell people: by W&B, by a webhook, on the run's page. level: INFO, WARN or ERROR; any other word is INFO."""
        if self.run is not None:
            asked = str(level).upper()
            self.run.alert(title, text, asked if asked in ALERT_LEVELS else "INFO")

    def finish(self) -> None:
        if self.run is not None:
            self.run.finish()

    def get_run_url(self) -> Optional[str]:
        """The run's place on the collector's page; None as long as no collector is known."""
        return self.run.url if self.run is not None else None

    def summary(self) -> Optional[Dict[str, Any]]:
        """The latest value of each metric, and what was put into the run's summary."""
        return {**self._latest, **self.run.summary} if self.run is not None else None

    def _remember(self, metrics: Mapping[str, Any]) -> None:
        # Plain values only: a tensor held here would keep its memory on the GPU.
        if isinstance(metrics, dict):
            self._latest.update((k, v) for k, v in metrics.items() if isinstance(v, (int, float, str)))
