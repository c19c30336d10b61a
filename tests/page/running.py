"""A training run that goes on until it is told otherwise."""

import sys

from e2e.machine import Machine, until

TRAINING = """
import sys, time, pathlib
import wayside

folder = pathlib.Path(sys.argv[1])
with wayside.init(project="live", id="now", name="watched", config={"lr": 0.1}) as run:
    print(run.url, flush=True)
    step = 0
    while not (folder / "stop").exists():
        metrics = {"train/loss": 1 / (1 + step / 50)}
        if (folder / "more").exists():
            metrics["val/accuracy"] = 0.5
        wayside.log(metrics, step=step)
        if (folder / "alert").exists():
            (folder / "alert").unlink()
            wayside.alert("Too hot", "GPU 3", level="ERROR")
        step += 1
        time.sleep(0.02)
"""


class Training:
    """A training run that goes on until it is told otherwise."""

    def __init__(self, machine: Machine) -> None:
        self.folder = machine.folder
        self.process, self.log = machine.start([sys.executable, "-c", TRAINING, str(self.folder)], WAYSIDE_QUIET="1")

    @property
    def url(self) -> str:
        return until(self._said, "the run's url")

    def _said(self) -> str:
        assert self.process.poll() is None, self.log.read_text()
        return self.log.read_text().partition("\n")[0]

    def tell(self, what: str) -> None:
        (self.folder / what).touch()
