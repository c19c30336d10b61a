"""A model of torch's that is watched while it trains."""

import torch
import wandb

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
run = wandb.init(project="watched", name="w", config={"lr": 0.1})
wandb.watch(model, criterion=torch.nn.functional.mse_loss, log="all", log_freq=2)
optimizer = torch.optim.SGD(model.parameters(), lr=run.config.lr)
for _ in range(5):
    loss = torch.nn.functional.mse_loss(model(torch.ones(2, 4)), torch.zeros(2, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    wandb.log({"loss": loss.item(), "tensor": loss, "image": wandb.Image(torch.rand(3, 4, 4))})
    print(round(loss.item(), 6), run.step)
print(wandb.unwatch(model))
print(sorted(name for name, _ in model.named_parameters()))
try:
    wandb.watch("no model")
except TypeError as problem:
    print(problem)
try:
    wandb.watch(model, log="some")
except ValueError as problem:
    print(problem)
wandb.finish()
