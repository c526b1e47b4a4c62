"""Decides the rows of parameter tables: `grid` takes all combinations, `sample` draws.

Must not know: tasks.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from typing import TYPE_CHECKING, Any

from flyte_nb.sweeps.cells import column_of, values_of
from flyte_nb.sweeps.distributions import distribution_of

if TYPE_CHECKING:  # pandas takes half a second to load, and `import flyte_nb` must not pay for it
    import pandas as pd

#: A grid that is larger is a mistake: no run has so many actions.
MOST_ROWS = 10_000_000


def grid(**values: Any) -> pd.DataFrame:
    """A table of all combinations, in the order of `itertools.product`: the last argument changes fastest.

    Args:
        values: for each column its values: any iterable (a list, a range, an array, a Series, an Enum class, a generator).
            What is no iterable, a text, bytes or a dict is one value.

    Returns:
        A row for each combination, columns in the order of the arguments. One argument without values makes no rows; no
        arguments make one row without columns.

    Raises:
        ValueError: it would have more than ten million rows.

    Example:
        >>> from flyte_nb import grid
        >>> grid(lr=[0.1, 0.01], depth=range(3, 5), model="gbm")
             lr  depth model
        0  0.10      3   gbm
        1  0.10      4   gbm
        2  0.01      3   gbm
        3  0.01      4   gbm
    """
    import pandas as pd  # noqa: PLC0415 - see above

    lists = {name: values_of(given) for name, given in values.items()}
    count = 1
    for each in lists.values():
        count *= len(each)
    if count > MOST_ROWS:
        sizes = " * ".join(f"{len(each):,} ({name})" for name, each in lists.items())
        raise ValueError(f"grid() would have {sizes} = {count:,} rows, more than {MOST_ROWS:,}: flyte.sample draws some of them.")
    rows = list(itertools.product(*lists.values()))
    columns = zip(*rows, strict=True) if rows else [()] * len(lists)
    made = {name: column_of(column) for name, column in zip(lists, columns, strict=True)}
    return pd.DataFrame(made, index=pd.RangeIndex(len(rows)))


def sample(n: int, seed: int | str | None = None, **values: Any) -> pd.DataFrame:
    """A table of `n` drawn rows: random search instead of a grid.

    A column depends on its own name, its distribution and the seed only. So the order of the arguments changes nothing,
    one more column leaves the others as they are, and a larger `n` continues the same table.

    Args:
        n: rows.
        seed: the same seed gives the same table, anywhere; by default another one each time (kept in `frame.attrs["seed"]`).
        values: for each column what it is drawn from: `flyte.loguniform(low, high)`, `uniform`, `normal`, `lognormal`, `randint`,
            `choice(values, weights)`, a frozen distribution of scipy, an iterable or an Enum class to choose from, or one value.

    Raises:
        TypeError, ValueError: `n` is no whole number from 0 on; a column has nothing to choose from.

    Example:
        >>> from flyte_nb import loguniform, randint, sample
        >>> frame = sample(3, seed=7, lr=loguniform(1e-4, 1e-1), depth=randint(2, 9), model="gbm")
        >>> frame.columns.tolist(), len(frame), frame["depth"].between(2, 8).all().item()
        (['lr', 'depth', 'model'], 3, True)
        >>> frame.equals(sample(100, seed=7, model="gbm", depth=randint(2, 9), lr=loguniform(1e-4, 1e-1))[["lr", "depth", "model"]][:3])
        True
    """
    import numpy as np  # noqa: PLC0415 - it comes with pandas
    import pandas as pd  # noqa: PLC0415 - see above

    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"sample(n, seed, ...) takes a number of rows, got {n!r}")
    count = n.__index__()
    if not 0 <= count <= MOST_ROWS:
        raise ValueError(f"sample(n, seed, ...) takes a number of rows from 0 to {MOST_ROWS:,}, got {count:,}")
    if seed is None:
        seed = secrets.randbits(32)
    columns = {}
    for name, given in values.items():
        digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest()
        draws = np.random.Generator(np.random.PCG64(int.from_bytes(digest))).random(count)
        columns[name] = column_of(distribution_of(given).at(draws))
    made = pd.DataFrame(columns, index=pd.RangeIndex(count))
    made.attrs["seed"] = seed
    return made
