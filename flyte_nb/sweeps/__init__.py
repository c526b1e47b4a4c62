"""Sweeps: a table of parameters in, a table of results out.

Decides: nothing; it names what the modules beside it offer to users.
Must not know: how actions run.
"""

from flyte_nb.sweeps.distributions import choice, lognormal, loguniform, normal, randint, uniform
from flyte_nb.sweeps.grids import grid, sample
from flyte_nb.sweeps.mapping import MapFrame

__all__ = ["MapFrame", "choice", "grid", "lognormal", "loguniform", "normal", "randint", "sample", "uniform"]
