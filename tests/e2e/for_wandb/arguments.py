"""In a sweep's shape, run by hand: arguments as config, several runs in one process, alerts, and small names."""

import argparse

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--optimizer", default="sgd")
args = parser.parse_args(["--lr", "0.5"])


def train(number):
    run = wandb.init(project="sweep", name=f"trial-{number}", config=args, group="trials", reinit=True)
    wandb.config.setdefaults({"lr": 9, "layers": 3})
    for epoch in range(wandb.config.epochs):
        run.log({"epoch": epoch, "loss": number / (epoch + 1)}, commit=False)
        run.log({"accuracy": 0.5})
        wandb.log({"late": 1}, step=epoch + 10)
    run.summary["best"] = number
    run.summary.update({"worst": -number})
    print(run.name, run.config.lr, run.config.layers, run.config.optimizer, run.step, run.summary["best"])
    wandb.alert(title="done", text=f"trial {number}", level=wandb.AlertLevel.INFO, wait_duration=0)
    wandb.run.alert("careful", "again", level="WARN")
    run.finish()


print(wandb.login(key="x" * 40) in (True, False))
for number in (1, 2):
    train(number)
print(wandb.run is None, wandb.AlertLevel.WARN.value)
with wandb.init(mode="disabled") as run:
    print(run.log({"a": 1, "image": None}), run.step >= 0, run.disabled)
print(issubclass(wandb.errors.CommError, wandb.Error), issubclass(wandb.UsageError, wandb.Error))
print(wandb.util.make_artifact_name_safe("a b"), wandb.require("service"), wandb.setup() is not None)
wandb.teardown()
