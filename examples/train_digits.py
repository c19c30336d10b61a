"""A real training run: handwritten digits, two ranks that train on halves of the data and average their weights.

    wayside-collector run &
    python examples/train_digits.py

Prints the test accuracy. Everything that has to do with Wayside is marked.
"""

import argparse
import multiprocessing
import os
import time
import warnings
from multiprocessing.connection import Connection

import numpy as np
import wayside  # 1: the client, which depends on nothing
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

WORLD_SIZE = 2
BATCH = 64
LEARNING_RATE = 2e-3


def train(rank: int, steps: int, run_id: str, other: Connection, result: Connection) -> None:
    """One rank's work."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(WORLD_SIZE), WAYSIDE_RUN_ID=run_id)
    data, target = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(data / 16.0, target, random_state=0)
    mine_x, mine_y = train_x[rank::WORLD_SIZE], train_y[rank::WORLD_SIZE]
    model = MLPClassifier((64,), learning_rate_init=LEARNING_RATE, random_state=0)
    order = np.random.default_rng(rank)
    config = {"batch_size": BATCH, "learning_rate": LEARNING_RATE, "hidden": 64, "steps": steps}
    accuracy = 0.0
    with wayside.init(project="digits", name="digits-mlp", config=config) as run:  # 2: every rank begins the same run
        for step in range(steps):
            began = time.perf_counter()
            batch = order.integers(0, len(mine_x), BATCH)
            model.partial_fit(mine_x[batch], mine_y[batch], classes=np.arange(10))
            average(model, rank, other)
            row = {
                "train/loss": model.loss_,
                "train/samples_per_second": BATCH / (time.perf_counter() - began),
                "train/epoch": step * BATCH * WORLD_SIZE / len(train_x),
            }
            if step % 25 == 24 or step == steps - 1:
                guess = model.predict_proba(test_x)
                accuracy = float((guess.argmax(axis=1) == test_y).mean())
                row |= {"val/loss": log_loss(test_y, guess), "val/accuracy": accuracy}
            wayside.log(row, step=step)  # 3: a microsecond, never a wait
        run.summary["accuracy"] = accuracy
    if rank == 0:
        result.send(accuracy)


def average(model: MLPClassifier, rank: int, other: Connection) -> None:
    """Both ranks go on with the mean of their weights."""
    weights = [*model.coefs_, *model.intercepts_]
    if rank == 0:
        theirs = other.recv()
        for mine, their in zip(weights, theirs, strict=True):
            mine += their
            mine /= 2
        other.send(weights)
    else:
        other.send(weights)
        for mine, mean in zip(weights, other.recv(), strict=True):
            mine[...] = mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--run-id", default=f"digits-{os.urandom(4).hex()}")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    spawn = multiprocessing.get_context("spawn")
    left, right = spawn.Pipe()
    told, tell = spawn.Pipe(duplex=False)
    ranks = [
        spawn.Process(target=train, args=(rank, chosen.steps, chosen.run_id, end, tell))
        for rank, end in enumerate((left, right))
    ]
    for process in ranks:
        process.start()
    tell.close()
    accuracy = told.recv()
    for process in ranks:
        process.join()
    print(f"accuracy {accuracy:.4f}")
    raise SystemExit(max(process.exitcode or 0 for process in ranks))


if __name__ == "__main__":
    main()
