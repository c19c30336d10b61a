"""Kills and freezes of trainers, collector and the W&B sink's child."""

import contextlib
import signal
import time

import psutil

from .scene import PACES, Scene, bounded
from .world import Producer

_CHILD = "wayside_collector.sinks.wandb.child"


def kill_producer(scene: Scene) -> None:
    victim, pace = scene.victim(), scene.pace()
    scene.world.kill_producer(victim)
    scene.world.restart_producer(victim, bounded(victim, pace))


def kill_collector(scene: Scene) -> None:
    absent = scene.choose.random() * 0.3
    scene.world.aim(scene.victim())
    scene.world.kill_collector()
    time.sleep(absent)
    scene.world.start_collector()


def kill_both(scene: Scene) -> None:
    victim, pace, absent = scene.victim(), scene.pace(), scene.choose.random() * 0.3
    scene.world.aim(victim)
    if scene.choose.random() < 0.5:
        scene.world.kill_producer(victim)
        scene.world.kill_collector()
    else:
        scene.world.kill_collector()
        scene.world.kill_producer(victim)
    time.sleep(absent)
    scene.world.start_collector()
    scene.world.restart_producer(victim, bounded(victim, pace))


def absent_collector(scene: Scene) -> None:
    """No collector for so long that journals move to disk, while a trainer dies and another begins."""
    victim, pace = scene.victim(), scene.choose.choice(PACES[0][1:])
    scene.world.kill_collector()
    time.sleep(scene.choose.random())
    scene.world.kill_producer(victim)
    scene.world.restart_producer(victim, bounded(victim, pace))
    time.sleep(scene.choose.random() * 2.5)
    scene.world.start_collector()


def freeze(scene: Scene) -> None:
    """SIGSTOP of one or two of trainer, collector and wandb child; sometimes they never wake up again."""
    victim, seconds = scene.victim(), scene.choose.random()
    frozen = scene.choose.sample(["collector", "producer", "child"], scene.choose.choice([1, 2]))
    dies = scene.choose.random() < 0.3
    processes = [found for name in frozen if (found := _process(scene, name, victim)) is not None]
    for process in processes:
        _signal(process, signal.SIGSTOP)
    time.sleep(seconds)
    if dies and "producer" in frozen:
        scene.world.kill_producer(victim)
    if dies and "collector" in frozen:
        scene.world.kill_collector()
    for process in processes:
        _signal(process, signal.SIGCONT)
    if dies and "collector" in frozen:
        scene.world.start_collector()
    if dies and "producer" in frozen:
        scene.world.restart_producer(victim, bounded(victim, 0.01))


def kill_child(scene: Scene) -> None:
    """SIGKILL of the W&B sink's child, of wandb-core below it, or of all with the collector."""
    which = scene.choose.choice(["child", "core", "collector too"])
    children = _below(scene)
    victims = [one for one in children if (which == "core") != (_CHILD in _command(one))] or children
    for process in victims:
        _signal(process, signal.SIGKILL)
    if which == "collector too":
        scene.world.kill_collector()
        scene.world.start_collector()


def _process(scene: Scene, name: str, victim: Producer) -> psutil.Process | None:
    if name == "child":
        children = [one for one in _below(scene) if _CHILD in _command(one)]
        return children[0] if children else None
    process = scene.world.collector if name == "collector" else victim.process
    assert process is not None
    return psutil.Process(process.pid)


def _below(scene: Scene) -> list[psutil.Process]:
    assert scene.world.collector is not None
    return psutil.Process(scene.world.collector.pid).children(recursive=True)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
