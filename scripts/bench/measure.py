"""Decides the order of measurements: repeat by repeat, in each the contenders of a case one after the other, so that figures pair up.

Each system has its own process for as long as its case lasts; the others pause meanwhile. Who is first moves on by one in each repeat, so
that a machine which warms up or slows down favours nobody. Must not know: what is measured, or what the figures mean.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil

from scripts.bench.children import BrokenSystemError, Child
from scripts.bench.model import COLD_SECONDS, SECONDS, Case, Contender, Figures, Found, Slots

Tell = Callable[[str], None]
#: How long it is looked at what others do, and how busy they may be where one is patient: a percentage of all CPUs.
LOOK_SECONDS, QUIET_PERCENT = 0.2, 15.0
#: Of all patience, at most so much before one measurement.
MOST_WAIT_SECONDS = 20.0


def turns(contenders: tuple[Contender, ...], repeats: int) -> list[list[Contender]]:
    """Return who is measured in which repeat, in which order."""
    order: list[list[Contender]] = []
    for repeat in range(repeats):
        due = [each for each in contenders if each.system and (each.most_repeats is None or repeat < each.most_repeats)]
        first = repeat % len(due) if due else 0
        order.append(due[first:] + due[:first])
    return order


def scaled(figures: Figures, contender: Contender) -> Figures:
    """Return figures with the seconds of the number of actions that they stand for."""
    return {**figures, SECONDS: figures[SECONDS] * contender.scale}


class Patience:
    """How long to wait, in all, for others on this machine to be quiet; everything of ours is paused then."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def others_percent(self) -> float:
        """Return how busy others are, when they are quiet or the patience is used up."""
        began = time.monotonic()
        while True:
            busy = float(psutil.cpu_percent(interval=LOOK_SECONDS))
            waited = time.monotonic() - began
            if busy <= QUIET_PERCENT or waited >= min(self._left, MOST_WAIT_SECONDS):
                self._left -= waited
                return busy
            time.sleep(LOOK_SECONDS)


class Measuring:
    """The measurements of one case.

    Args:
        case: what to measure.
        log: where systems print.
        tell: called with a line for whoever waits.
        patience: how long to wait for others.
    """

    def __init__(self, case: Case, log: Path, tell: Tell, patience: Patience) -> None:
        self._case, self._log, self._tell, self._patience = case, log, tell, patience
        self._kept: dict[tuple[str, Slots], Child] = {}
        self._samples: dict[str, list[Figures | None]] = {}
        self._broken: dict[str, str] = {}

    def found(self, repeats: int) -> Found:
        """Measure, and end the systems."""
        for contender in self._case.contenders:
            calculated = None if contender.calculated is None else {SECONDS: contender.calculated}
            self._samples[contender.name] = [calculated] * repeats
        with ExitStack() as open_children:
            for repeat, due in enumerate(turns(self._case.contenders, repeats)):
                for contender in due:
                    if contender.name not in self._broken:
                        self._try(contender, repeat, open_children)
        return Found(samples=self._samples, broken=self._broken)

    def _try(self, contender: Contender, repeat: int, open_children: ExitStack) -> None:
        others = self._patience.others_percent()
        try:
            figures = self._fresh(contender) if contender.fresh else self._again(contender, open_children)
        except BrokenSystemError as error:
            self._broken[contender.name] = str(error)
            self._tell(f"  {contender.name} broke: {str(error).strip().splitlines()[-1]}")
        else:
            self._samples[contender.name][repeat] = {**scaled(figures, contender), "others_percent": others}
            self._tell(f"  {contender.name}: {figures[COLD_SECONDS if contender.cold else SECONDS]:.4g} s")

    def _fresh(self, contender: Contender) -> Figures:
        """Measure in a process of its own."""
        child = Child(contender.system, contender.slots, self._log)
        try:
            child.start()
            if not contender.cold:
                child.warm_up()
            return child.measure(contender)
        finally:
            child.close()

    def _again(self, contender: Contender, open_children: ExitStack) -> Figures:
        """Measure in the process that the case has for this system."""
        key = (contender.system, contender.slots)
        child = self._kept.get(key)
        if child is None:
            child = Child(contender.system, contender.slots, self._log)
            open_children.callback(child.close)
            with child.awake():
                child.start()
                child.warm_up()
            self._kept[key] = child
        with child.awake():
            return child.measure(contender)
