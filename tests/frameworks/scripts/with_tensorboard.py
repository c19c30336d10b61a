"""A script that writes TensorBoard files and knows nothing of Wayside. Argument: whose writer."""

import sys

import numpy as np

if sys.argv[1] == "tensorboardX":
    from tensorboardX import SummaryWriter
else:
    from torch.utils.tensorboard import SummaryWriter

train, val = SummaryWriter("runs/tiny/train"), SummaryWriter("runs/tiny/val")
for step in range(3):
    train.add_scalar("loss", 1 / (step + 1), step)
    val.add_scalar("loss", np.float32(0.5), global_step=step)
train.add_hparams({"lr": 0.1}, {"best": 0.25})
train.close()
val.close()
