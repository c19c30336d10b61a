"""Accelerate's own WandBTracker; nothing of ours is named."""

import torch
from accelerate import Accelerator

torch.manual_seed(0)
accelerator = Accelerator(cpu=True, log_with="wandb")
init = {"name": "tiny", "id": "same", "tags": ["t"]}
accelerator.init_trackers("accelerated", config={"lr": 0.1}, init_kwargs={"wandb": init})
model = torch.nn.Linear(4, 1)
model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
for step in range(5):
    loss = model(torch.ones(2, 4)).square().mean()
    accelerator.backward(loss)
    optimizer.step()
    optimizer.zero_grad()
    accelerator.log({"train/loss": loss.item(), "lr": 0.1}, step=step)
accelerator.end_training()
