"""Decides the names of runs and actions.

An action's name follows from its parent's name, its inputs, its task, how often the parent made that same call,
and its group (Flyte 2's rule, `models.ActionID.new_sub_action_from`). It does not depend on the order in which
asyncio happens to run things, so a later run can find "the same" action again.

Must not know: clocks or random sources (a run's name is made from bytes that the caller brings).
"""

from __future__ import annotations

import hashlib
from functools import cache

ROOT_ACTION = "a0"
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


#: So many digits are written at a time; parts of a number below the last of these are quick to divide.
_THREE, _SIX, _TWELVE = 36**3, 36**6, 36**12


@cache
def _triples() -> list[str]:
    """All groups of three digits (3 MB, 10 ms: made when the first name is)."""
    return [first + second + third for first in _ALPHABET for second in _ALPHABET for third in _ALPHABET]


def base36(number: int) -> str:
    """`number` (not negative) written with the digits 0-9a-z."""
    digits, triples = "", _triples()
    while number:
        number, low = divmod(number, _TWELVE)
        high, low = divmod(low, _SIX)
        first, second = divmod(high, _THREE)
        third, fourth = divmod(low, _THREE)
        digits = triples[first] + triples[second] + triples[third] + triples[fourth] + digits
    return digits.lstrip("0") or "0"


def run_name(entropy: bytes) -> str:
    """A run name that starts with a letter, from random bytes (10 or more make collisions negligible)."""
    return "r" + base36(int.from_bytes(entropy, "big")).rjust(12, "0")[-12:]


def action_name(parent: str, inputs_hash: str, task_identity: str, sequence: int, group: str) -> str:
    """The deterministic name of a child action; `sequence` counts identical calls of one parent from 1."""
    text = f"{parent}-{inputs_hash}-{task_identity}-{sequence}" + (f"-{group}" if group else "")
    return base36(int.from_bytes(hashlib.md5(text.encode("utf8", "surrogatepass"), usedforsecurity=False).digest(), "big"))
