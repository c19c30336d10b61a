"""In nanoGPT's shape: one init with a config of globals, rows by iteration, and no finish."""

import math

import wandb

wandb_log, wandb_project, wandb_run_name = True, "owt", "gpt2-124M"
learning_rate, max_iters, eval_interval = 6e-4, 20, 5
config_keys = [k for k, v in globals().items() if not k.startswith("_") and isinstance(v, (int, float, bool, str))]
config = {k: globals()[k] for k in config_keys}

if wandb_log:
    wandb.init(project=wandb_project, name=wandb_run_name, config=config)
for iter_num in range(max_iters):
    if iter_num % eval_interval == 0:
        losses = {"train": 3 * math.exp(-iter_num), "val": 3.1 * math.exp(-iter_num)}
        returned = wandb.log(
            {
                "iter": iter_num,
                "train/loss": losses["train"],
                "val/loss": losses["val"],
                "lr": learning_rate,
                "mfu": 0.3 * 100,
            }
        )
        print(iter_num, returned, wandb.run.step)
print(wandb.run.project, wandb.run.name, wandb.run.group or "", wandb.run.job_type or "", wandb.run.tags)
print(sorted(dict(wandb.config).items()), wandb.config.learning_rate, wandb.config["max_iters"])
