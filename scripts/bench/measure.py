"""Decides the order of measurements: repeat by repeat, in each the contenders of a case one after the other, so that figures pair up.

Each system has its own process for as long as its case lasts; the others pause meanwhile. Who is first moves on by one in each repeat, so
that a machine which warms up or slows down favours nobody. Must not know: what is measured, or what the figures mean.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from scripts.bench.children import BrokenSystemError, Child
from scripts.bench.model import SECONDS, Case, Contender, Figures, Found, Slots

Tell = Callable[[str], None]


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


class Measuring:
    """The measurements of one case.

    Args:
        case: what to measure.
        log: where systems print.
        tell: called with a line for whoever waits.
    """

    def __init__(self, case: Case, log: Path, tell: Tell) -> None:
        self._case, self._log, self._tell = case, log, tell
        self._kept: dict[tuple[str, Slots], Child] = {}
        self._samples: dict[str, list[Figures | None]] = {}
        self._broken: dict[str, str] = {}

    def found(self, repeats: int) -> Found:
        """Measure, and end the systems."""
        load = os.getloadavg()[0]
        for contender in self._case.contenders:
            calculated = None if contender.calculated is None else {SECONDS: contender.calculated}
            self._samples[contender.name] = [calculated] * repeats
        with ExitStack() as open_children:
            for repeat, due in enumerate(turns(self._case.contenders, repeats)):
                for contender in due:
                    if contender.name not in self._broken:
                        self._try(contender, repeat, open_children)
        return Found(samples=self._samples, broken=self._broken, load=load)

    def _try(self, contender: Contender, repeat: int, open_children: ExitStack) -> None:
        try:
            figures = self._fresh(contender) if contender.fresh else self._again(contender, open_children)
        except BrokenSystemError as error:
            self._broken[contender.name] = str(error)
            self._tell(f"  {contender.name} broke: {str(error).strip().splitlines()[-1]}")
        else:
            self._samples[contender.name][repeat] = scaled(figures, contender)
            self._tell(f"  {contender.name}: {figures[SECONDS]:.4g} s")

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
