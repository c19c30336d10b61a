"""Model Foundry's guide, run: its logger, its configuration, its trainer as it tells to write it."""

import re

import pytest
import yaml
from e2e.machine import Machine
from guides.model_foundry import CLI_MODULE, CONFIG_MODULE, PYPLOT, TREATMENTS, trainer
from guides.running import CONFIG, merged, put, run_python, run_shell, runs
from guides.snippets import TEXTS, script
from wayside.compat.model_foundry import LoggingConfig

TEXT = (TEXTS / "model_foundry.txt").read_text()
YAML = re.search(r"```yaml\n(# configs/experiment_with_wandb.yaml.*?)```", TEXT, re.DOTALL)
EXPERIMENTS = (
    "exp0_baseline",
    "exp1_remove_expletives",
    "exp2_remove_topic_shift",
    "experiment",
    "experiment_with_wandb",
)


def furnish(machine: Machine) -> None:
    """What the guide's reader has: the framework, its experiments, a checkpoint."""
    assert YAML is not None
    for name in EXPERIMENTS:
        put(machine, f"configs/{name}.yaml", YAML[1].replace("exp0_baseline_wandb", name))
    put(machine, "model_foundry/__init__.py", "")
    put(machine, "model_foundry/config.py", CONFIG_MODULE)
    put(machine, "model_foundry/trainer.py", trainer())
    put(machine, "model_foundry/cli.py", CLI_MODULE)
    put(machine, "matplotlib/__init__.py", "")
    put(machine, "matplotlib/pyplot.py", PYPLOT)
    put(
        machine,
        "train.py",
        "import sys\nsys.argv = ['', 'train', 'configs/experiment.yaml']\nimport model_foundry.cli\n",
    )
    put(machine, "output/checkpoint-1000/weights.bin", "weights")


@pytest.mark.timeout(120)
def test_the_python_of_the_guide(machine: Machine):
    """Every block works in its order, and what it logs arrives: metrics in their groups, a picture, a table, an
    artifact, alerts with their levels; also by the class whose text the guide gives, over `import wayside as wandb`.
    """
    collector = machine.collector(CONFIG).wait_ready()
    furnish(machine)
    run_python(machine, script("model_foundry", TREATMENTS, "python"))
    collector.wait_delivered()
    found = {name: session["run"] for name, session in runs(collector).items()}
    assert set(found) == {"experiment_with_wandb", "exp0_baseline", "grouped", "theirs"}
    (first, *_, last) = machine.rows(found["experiment_with_wandb"])
    assert (first["step"], first["metrics"], last["step"]) == (10, {"train/loss": 0.1, "train/lr": 1e-3}, 20)
    (row,) = machine.rows(found["exp0_baseline"])
    assert (row["step"], row["metrics"]["train/tokens_per_sec"]) == (100, 8500)
    assert merged(machine, "config", found["exp0_baseline"])["logging"]["log_metrics_every_n_steps"] == 10
    grouped = found["grouped"]
    (row,) = machine.rows(grouped)
    assert {name.partition("/")[0] for name in row["metrics"]} == {"train", "val", "system", "optimization"}
    media = {event["name"]: event for event in machine.events("media", grouped)}
    assert {name: event["type"] for name, event in media.items()} == {
        "charts/loss_curve": "image",
        "training_metrics": "table",
    }
    assert media["training_metrics"]["values"]["columns"] == ["epoch", "step", "loss", "perplexity"]
    (artifact,) = machine.events("artifact", grouped)
    assert (artifact["name"], artifact["type"]) == ("model-checkpoint-7", "model")
    alerts = [(event["title"], event["level"]) for event in machine.events("alert", grouped)]
    assert alerts == [("High Loss Detected", "WARN"), ("Training Complete", "INFO")]
    assert [row["metrics"] for row in machine.rows(found["theirs"])] == [{"train/loss": 0.5}]
    assert [event["name"] for event in machine.events("artifact", found["theirs"])] == ["theirs"]


@pytest.mark.timeout(180)
def test_the_shell_of_the_guide(machine: Machine):
    """Each command trains, whatever its environment asks of W&B, and WANDB_PROJECT goes before the configuration."""
    collector = machine.collector(CONFIG).wait_ready()
    furnish(machine)
    run_shell(machine, script("model_foundry", TREATMENTS, "bash"))
    status = collector.wait_delivered()
    projects = [(one["name"], one["project"]) for one in status["sessions"]]
    assert projects.count(("experiment", "my-experiment")) == 1
    assert projects.count(("experiment", "model-foundry-experiments")) == 7
    assert {name for name, _ in projects} == set(EXPERIMENTS) - {"experiment_with_wandb"}


def test_the_configuration_of_the_guide():
    """Its YAML and its arguments are taken; defaults are the framework's; what is wrong is said, all of it at once."""
    assert YAML is not None
    config = LoggingConfig(**yaml.safe_load(YAML[1])["logging"])
    assert (config.wandb_project, config.profile_performance) == ("model-foundry-experiments", True)
    default = LoggingConfig()
    assert (default.use_wandb, default.log_metrics_every_n_steps, default.max_log_files, default.dir) == (
        False,
        10,
        10,
        "logs",
    )
    with pytest.raises(ValueError, match=r"console_level must be one of DEBUG.*; max_log_files must be a whole number"):
        LoggingConfig(console_level="LOUD", max_log_files=0)
