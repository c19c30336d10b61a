"""A small training in the place of yours: one weight learns that y = 3 x. STEPS, and PAUSE after each, are read."""

import os
import random
import time

import wayside

steps, pause = int(os.environ.get("STEPS", "600")), float(os.environ.get("PAUSE", "0.1"))
weight = 0.0
with wayside.init(project="example", config={"steps": steps, "learning_rate": 0.01}) as run:
    for step in range(steps):
        x = random.uniform(-1, 1)
        error = weight * x - 3 * x
        weight -= 0.01 * 2 * error * x
        wayside.log({"train/loss": error * error, "train/weight": weight}, step=step)
        time.sleep(pause)
    run.summary["weight"] = weight
