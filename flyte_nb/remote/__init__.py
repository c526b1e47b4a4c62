"""Decides nothing: `flyte.remote` under its Flyte name: handles of runs and actions."""

from flyte_nb.remote.action import Action
from flyte_nb.remote.condition import Condition
from flyte_nb.remote.details import AbortInfo, ActionMetadata, ErrorInfo, PhaseTransitionInfo
from flyte_nb.remote.filters import TimeFilter
from flyte_nb.remote.outputs import ActionInputs, ActionOutputs
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
    "PhaseTransitionInfo",
    "Run",
    "RunDetails",
    "TimeFilter",
]
