"""A model that is watched while it trains, run by a test with a Python that has torch."""

import torch
import wayside as wandb
from wayside.watching import _summary

torch.manual_seed(0)
run = wandb.init(project="p")
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
wandb.watch(model, log="all", log_freq=2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
expected = {}
for step in range(4):
    loss = model(torch.randn(16, 4)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    for name, each in model.named_parameters():
        grad = each.grad
        expected[f"{step}/{name}"] = [grad.norm().item(), grad.min().item(), grad.max().item(), grad.mean().item()]
    wandb.log({"loss": loss})
wandb.unwatch()
loss = model(torch.randn(16, 4)).pow(2).mean()
loss.backward()  # heard by nobody any more

large = torch.nn.Linear(1500, 1500, bias=False).to(torch.bfloat16)
wandb.watch(large, log_freq=1)
large(torch.ones(1, 1500, dtype=torch.bfloat16)).sum().backward()
wandb.unwatch(large)

broken = torch.nn.Linear(2, 2, bias=False)
wandb.watch(broken, log_freq=1)
(broken(torch.ones(1, 2)) * torch.tensor([float("nan"), 1.0])).sum().backward()
wandb.unwatch()
wandb.log({"img": wandb.Image(torch.rand(3, 5, 7)), "hist": wandb.Histogram(torch.randn(100))})
run.config["expected"] = expected
# A tensor without data: whatever must know a value of it raises, as on a GPU it would wait.
summary = _summary(torch, torch.empty(3_000_000, dtype=torch.float16, device="meta"))
run.config["without_data"] = [str(summary.device), summary.numel()]
wandb.finish()
