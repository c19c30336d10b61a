"""In the shape of a trainer's callback: everything by the module, steps in the dictionary, an exit code at the end."""

import wandb


class Callback:
    def setup(self, args):
        if wandb.run is None:
            wandb.init(project="huggingface", name="trial", group="g", tags=["a", "b"], notes="n", reinit=True)
        wandb.config.update(args, allow_val_change=True)
        wandb.config["model/num_parameters"] = 124
        if getattr(wandb, "define_metric", None):
            wandb.define_metric("train/global_step")
            wandb.define_metric("*", step_metric="train/global_step", step_sync=True)
        wandb.run._label(code="transformers_trainer")

    def on_log(self, logs, step):
        for key in ("train_runtime", "train_loss"):
            if key in logs:
                wandb.run.summary[key] = logs.pop(key)
        print(wandb.log({**{f"train/{k}": v for k, v in logs.items()}, "train/global_step": step}))

    def on_save(self, step):
        artifact = wandb.Artifact(name=f"checkpoint-{step}", type="model", metadata={"step": step})
        with artifact.new_file(f"model-{step}.txt", mode="w") as file:
            file.write("weights")
        logged = wandb.run.log_artifact(artifact, aliases=[f"step-{step}"])
        print(type(logged).__name__, logged is artifact, logged.name.split(":")[0], logged.type, logged.metadata)


callback = Callback()
callback.setup({"lr": 3e-5, "betas": (0.9, 0.999), "nested": {"a": {"b": 1}}, "none": None, "flag": True})
for step in range(1, 4):
    callback.on_log({"loss": 1 / step, "learning_rate": 3e-5, "epoch": step / 3}, step)
callback.on_save(3)
callback.on_log({"train_runtime": 12.5, "train_loss": 0.6, "total_flos": 1e12}, 3)
print(wandb.run.summary["train_runtime"], wandb.run.summary["train_loss"])
print(wandb.config.get("lr"), wandb.config.get("absent", 7), "lr" in wandb.config, wandb.config["betas"])
print(sorted(wandb.config.keys()), wandb.config["nested"]["a"]["b"], wandb.config.as_dict()["flag"])
print(wandb.run.name, wandb.run.group, wandb.run.tags, wandb.run.notes, wandb.run.step)
wandb.termwarn("a warning")
print(wandb.finish(exit_code=0), wandb.run is None)
