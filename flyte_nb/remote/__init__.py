"""Decides nothing: `flyte.remote` under its Flyte name: handles of runs and actions."""

from flyte_nb.remote.action import Action
from flyte_nb.remote.condition import Condition
from flyte_nb.remote.details import AbortInfo, ActionMetadata, ErrorInfo, PhaseTransitionInfo
from flyte_nb.remote.filters import TimeFilter
from flyte_nb.remote.home import Home, set_home, the_home
from flyte_nb.remote.outputs import ActionInputs, ActionOutputs, outputs_of
from flyte_nb.remote.run import Run

ActionDetails = Action
RunDetails = Run

__all__ = [
    "AbortInfo",
    "Action",
    "ActionDetails",
    "ActionInputs",
    "ActionMetadata",
    "ActionOutputs",
    "Condition",
    "ErrorInfo",
    "Home",
    "PhaseTransitionInfo",
    "Run",
    "RunDetails",
    "TimeFilter",
    "outputs_of",
    "set_home",
    "the_home",
]
