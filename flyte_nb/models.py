"""Decides nothing: the names of Flyte 2's `flyte.models` that users meet, from where they live here."""

from flyte_nb.authoring.context import ActionID, GroupData, TaskContext
from flyte_nb.core.phases import ActionPhase

__all__ = ["ActionID", "ActionPhase", "GroupData", "TaskContext"]
