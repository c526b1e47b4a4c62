"""Decides what stands in a module for names of this package that the real SDK does not have and that a few lines of Python can replace.

Each gives what ours gives, draw for draw and row for row; what ours refuses is not refused here. In a text, `{name}` is the name that a
stand-in has in the module.

Must not know: where they are used.
"""

from __future__ import annotations

from collections.abc import Iterable

VALUES = '''
def {values_of}(given):
    """The values of an argument: an iterable's items, or the one value that it is."""
    single = isinstance(given, (str, bytes, bytearray, dict)) or not hasattr(given, "__iter__")
    return [given] if single else list(given)
'''

GRID = '''
def {grid}(**values):
    """A table of all combinations; the last argument changes fastest."""
    import itertools

    import pandas as pd

    rows = list(itertools.product(*({values_of}(given) for given in values.values())))
    return pd.DataFrame(rows, columns=list(values), index=range(len(rows)))
'''

SAMPLE = '''
def {sample}(n, seed=None, **values):
    """A table of drawn rows; a column depends on its name, its distribution and the seed."""
    import hashlib
    import secrets

    import numpy as np
    import pandas as pd

    seed = secrets.randbits(32) if seed is None else seed
    columns = {{}}
    for name, given in values.items():
        digest = hashlib.blake2b(f"{{seed}}\\0{{name}}".encode(), digest_size=16).digest()
        draws = np.random.Generator(np.random.PCG64(int.from_bytes(digest))).random(n)
        drawn_from = given if callable(given) and hasattr(given, "is_distribution") else {choice}({values_of}(given))
        columns[name] = given.ppf(draws) if hasattr(given, "ppf") else drawn_from(draws)
    return pd.DataFrame(columns, index=range(n))
'''

_DISTRIBUTION = """
    drawn.is_distribution = True
    return drawn
"""

UNIFORM = (
    '''
def {uniform}(low, high):
    """Every number between two borders is equally likely."""

    def drawn(draws):
        return (low + (high - low) * draws).tolist()
'''
    + _DISTRIBUTION
)

LOGUNIFORM = (
    '''
def {loguniform}(low, high):
    """Every order of magnitude between two borders is equally likely."""
    import math

    def drawn(draws):
        first, last = math.log(low), math.log(high)
        return [min(max(math.exp(first + (last - first) * draw), low), high) for draw in draws.tolist()]
'''
    + _DISTRIBUTION
)

NORMAL = (
    '''
def {normal}(mean=0.0, deviation=1.0):
    """The normal distribution."""
    from statistics import NormalDist

    def drawn(draws):
        standard = NormalDist().inv_cdf
        return [mean + deviation * standard(max(draw, 2.0**-54)) for draw in draws.tolist()]
'''
    + _DISTRIBUTION
)

LOGNORMAL = (
    '''
def {lognormal}(mean=0.0, deviation=1.0):
    """Numbers above 0 whose logarithm is normal."""
    import math

    def drawn(draws):
        return [math.exp(value) for value in {normal}(mean, deviation)(draws)]
'''
    + _DISTRIBUTION
)

RANDINT = (
    '''
def {randint}(low, high):
    """Whole numbers as of `range(low, high)`, equally likely."""

    def drawn(draws):
        return [low + min(int(draw * (high - low)), high - low - 1) for draw in draws.tolist()]
'''
    + _DISTRIBUTION
)

CHOICE = (
    '''
def {choice}(values, weights=None):
    """One of some values."""
    import numpy as np

    values = {values_of}(values)

    def drawn(draws):
        if weights is None:
            return [values[min(int(draw * len(values)), len(values) - 1)] for draw in draws.tolist()]
        edges = np.cumsum(weights) / sum(weights)
        last = max(place for place, weight in enumerate(weights) if weight)
        return [values[min(place, last)] for place in np.searchsorted(edges, draws, side="right").tolist()]
'''
    + _DISTRIBUTION
)

MAP_FRAME = '''
async def {map_frame}(task, frame, *, rename=None, concurrency=0, group_name=None):
    """Call a task for each row of a table; what it returns is joined to the table. Rows that fail do not fail the rest."""
    import asyncio
    import dataclasses
    import functools
    import inspect

    import pandas as pd

    given = task.keywords if isinstance(task, functools.partial) else {{}}
    task = task.func if isinstance(task, functools.partial) else task
    frame = frame if isinstance(frame, pd.DataFrame) else pd.DataFrame(frame)
    parameters = inspect.signature(task.func).parameters
    named = frame.rename(columns=rename or {{}})
    rows = named[[name for name in named.columns if name in parameters]].to_dict("records") or [{{}} for _ in range(len(frame))]
    gate = asyncio.Semaphore(concurrency or max(1, len(rows)))

    async def call(row):
        async with gate:
            return await task.aio(**given, **row)

    with flyte.group(f"{{task.name}}_{{group_name or 'frame'}}"):
        ends = await asyncio.gather(*(call(row) for row in rows), return_exceptions=True)
    outputs = {{}}
    for position, end in enumerate(ends):
        if isinstance(end, Exception):
            continue
        if dataclasses.is_dataclass(end):
            spread = {{field.name: getattr(end, field.name) for field in dataclasses.fields(end)}}
        elif hasattr(end, "model_dump"):
            spread = {{name: getattr(end, name) for name in type(end).model_fields}}
        elif isinstance(end, tuple):
            spread = end._asdict() if hasattr(end, "_asdict") else {{f"o{{place}}": value for place, value in enumerate(end)}}
        else:
            spread = end if isinstance(end, dict) and end and all(isinstance(name, str) for name in end) else {{"output": end}}
        for name, value in spread.items():
            label = name
            while label in frame.columns or label in ("task", "phase", "error"):
                label = f"output_{{label}}"
            outputs.setdefault(label, [float("nan")] * len(ends))[position] = value
    results = frame.assign(**{{name: pd.Series(values, index=frame.index).infer_objects() for name, values in outputs.items()}})
    results["phase"] = ["failed" if isinstance(end, Exception) else "succeeded" for end in ends]
    results["error"] = [f"{{getattr(end, 'code', type(end).__name__)}}: {{end}}" if isinstance(end, Exception) else None for end in ends]
    return results
'''

#: By name of ours: the text, and the stand-ins that it uses.
STANDINS: dict[str, tuple[str, tuple[str, ...]]] = {
    "values_of": (VALUES, ()),
    "grid": (GRID, ("values_of",)),
    "choice": (CHOICE, ("values_of",)),
    "sample": (SAMPLE, ("choice", "values_of")),
    "uniform": (UNIFORM, ()),
    "loguniform": (LOGUNIFORM, ()),
    "normal": (NORMAL, ()),
    "lognormal": (LOGNORMAL, ("normal",)),
    "randint": (RANDINT, ()),
    "map_frame": (MAP_FRAME, ()),
}
#: What the stand-in for `flyte.map_frame` takes by name; a call with others is left as it is, and listed.
MAP_FRAME_ARGUMENTS = frozenset({"rename", "concurrency", "group_name"})
#: Those that may stand wherever ours does; `map_frame` starts a run, and is a driver of its own.
ANYWHERE = frozenset(STANDINS) - {"values_of", "map_frame"}


def with_needed(names: Iterable[str]) -> list[str]:
    """These stand-ins and those that they use, in the order of their definition."""
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        waiting += [each for each in STANDINS[name][1] if each not in wanted]
    return [name for name in STANDINS if name in wanted]
