"""Accelerate, its tracker by name, and tensors logged as they are."""

import torch
import wayside.integrations.accelerate  # noqa: F401 -- registers the name
from accelerate import Accelerator

accelerator = Accelerator(cpu=True, log_with="wayside")
accelerator.init_trackers("accelerated", config={"lr": 0.1}, init_kwargs={"wayside": {"tags": ["tiny"]}})
model = torch.nn.Linear(4, 1)
model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
for step in range(5):
    loss = model(torch.ones(2, 4)).square().mean()
    accelerator.backward(loss)
    optimizer.step()
    optimizer.zero_grad()
    accelerator.log({"train/loss": loss, "lr": 0.1}, step=step)
assert accelerator.get_tracker("wayside", unwrap=True).id == "r1"
accelerator.end_training()
