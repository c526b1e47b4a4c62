"""Decides what a new run of an earlier one is made of.

It is the task as it is defined now, the inputs as they were or as they are to be, the settings that are kept, and what is
taken over.

Must not know: how a run is started.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flyte_nb import errors
from flyte_nb.authoring.definitions import definition_now, is_same_code
from flyte_nb.authoring.task import Task
from flyte_nb.core.current import Context
from flyte_nb.core.events import NO_SETTINGS, Inputs, RunSettings, TaskFacts
from flyte_nb.core.ids import ROOT_ACTION
from flyte_nb.core.payloads import unpack
from flyte_nb.core.state import RunState
from flyte_nb.engine.recovery import NO_ORIGIN, Origin, Recovery
from flyte_nb.store.codec import NOT_KEPT
from flyte_nb.store.refusals import StoredValueError

#: A run that recovers one which recovered another one, and so on: so many are looked at.
LONGEST_CHAIN = 20

Find = Callable[[str], RunState | None]
#: The task object behind a row of a run, if this process or its store has it.
OwnTask = Callable[[RunState, int], Task[..., Any] | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """How a run is asked for, beside its task and inputs: see `Workspace.run_task`."""

    name: str | None = None
    driver: str | None = None
    custom_context: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    max_actions: int | None = None
    settings: RunSettings = NO_SETTINGS
    origin: Origin = NO_ORIGIN

    def runs_in_kernel(self, task: Task[..., Any]) -> bool:
        """Whether the root's body runs in this process: async ones do, unless their environment declares resources.

        Raises:
            ValueError: `driver` is neither of the two that there are.
        """
        if self.driver not in {None, "kernel", "cluster"}:
            raise ValueError(f'driver must be "kernel" or "cluster", got {self.driver!r}')
        return self.driver == "kernel" if self.driver is not None else task.facts.is_async and not task.facts.on_cluster

    def after(self, state: RunState, origin: Origin, *, is_root: bool = True) -> Asked:
        """The same as a repetition of a run: what is left open stays as it was there.

        Variables whose names say that they are secret are not kept in a store: they have to be given again. What was no
        root ran on the cluster, and does so by itself too.
        """
        kept = {name: value for name, value in state.settings.env_vars if value != NOT_KEPT}
        variables = {**kept, **dict(self.settings.env_vars)}
        return replace(
            self,
            driver=self.driver or (None if is_root else "cluster"),
            custom_context={**dict(state.custom_context), **(self.custom_context or {})},
            labels={**dict(state.labels), **(self.labels or {})},
            settings=replace(self.settings, env_vars=tuple(variables.items())),
            origin=origin,
        )


def texts(values: Mapping[str, str] | None) -> Context:
    """Custom context or labels as they are kept.

    Raises:
        TypeError: one of them is no text.
    """
    for key, value in (values or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"custom_context and labels take texts, got {key!r}: {value!r}")
    return tuple((values or {}).items())


@dataclass(frozen=True, slots=True)
class Rerun:
    """What the new run is made of."""

    task: Task[..., Any]
    inputs: Inputs
    earlier: RunState
    origin: Origin
    is_root: bool

    def asked(self, asked: Asked) -> Asked:
        """How it is asked for; what that leaves open is as it was."""
        return asked.after(self.earlier, self.origin, is_root=self.is_root)


def prepare(name: str, action: str, changes: Mapping[str, Any], *, recover: bool, force: Sequence[str], find: Find, own: OwnTask) -> Rerun:
    """Work out what a rerun is made of.

    Args:
        name: the earlier run.
        action: the name of its action that becomes the root of the new run.
        changes: inputs that are to be others than they were.
        recover: take over what succeeded.
        force: names of actions that are to run again although they succeeded.
        find: gives runs by name.
        own: gives the task object of an action.

    Raises:
        RunNotFoundError, ActionNotFoundError: there is no such run, or it has no such action.
        ValueError: the request contradicts itself, names an unknown input, or the run to recover goes on.
        TypeError: an input is of the wrong type.
        TaskNotDefinedError: there is no definition of the task here.
    """
    if force and not recover:
        raise ValueError("force_rerun_actions requires recover=True")
    if recover and action != ROOT_ACTION:
        raise ValueError(
            f"recover=True cannot be combined with action_name={action!r}: what succeeded is found by its place below the "
            f"root, and a run of {action} alone has another root. Leave one of the two out."
        )
    state = _found(name, find, to_recover=recover)
    row = _row(state, action)
    task = _task(state, row, own)
    inputs = _inputs(state, row, task, changes)
    origin = recover_into(name, force, find) if recover else Origin(name, "rerun")
    return Rerun(task, inputs, state, origin, is_root=row == 0)


def recover_into(name: str, force: Sequence[str], find: Find) -> Origin:
    """What a new run takes over of an earlier one; arguments and errors as of `prepare`."""
    states = list(chain(_found(name, find, to_recover=True), find))
    return Origin(name, "recover", Recovery(states, force))


def _found(name: str, find: Find, *, to_recover: bool) -> RunState:
    state = find(name)
    if state is None:
        raise errors.RunNotFoundError(name)
    if to_recover and state.ended_at is None:
        raise ValueError(f"Run {name} has not ended, so it cannot be recovered: wait for it, or abort it, and try again.")
    return state


def chain(state: RunState, find: Find) -> Iterator[RunState]:
    """A run, the one that it recovered, and so on."""
    seen: set[str] = set()
    found: RunState | None = state
    while found is not None and found.name not in seen and len(seen) < LONGEST_CHAIN:
        yield found
        seen.add(found.name)
        source = found.source if found.relation == "recover" else ""
        try:
            found = find(source) if source else None
        except StoredValueError:  # what it did has to be done again then
            return


def _row(state: RunState, action: str) -> int:
    row = state.row_of(action)
    if row is None:
        raise errors.ActionNotFoundError(f"Run {state.name} has no action named {action!r}; run.actions lists them.")
    kind = state.task_of(row).kind
    if kind != "task":
        raise ValueError(f"Action {action} of run {state.name} is a {kind}, which cannot be run by itself: run its parent.")
    return row


def _task(state: RunState, row: int, own: OwnTask) -> Task[..., Any]:
    """What the task's name stands for now; the object that the run had, if that has no name or is a variant of the same."""
    facts = state.task_of(row)
    now, had = definition_now(facts), own(state, row)
    found = had if now is None or (had is not None and is_same_code(now, had)) else now
    if found is None:
        raise errors.TaskNotDefinedError(facts.name, state.name, facts.place.partition(":")[2])
    return found


def _inputs(state: RunState, row: int, task: Task[..., Any], changes: Mapping[str, Any]) -> Inputs:
    facts = state.task_of(row)
    _check_names(state, row, task.facts, changes)
    if not changes and task.facts.parameters == facts.parameters:
        return state.inputs(row)
    old = {name: item for name, item in zip(facts.parameters, state.inputs(row), strict=True) if name not in changes}
    return task.pack_inputs((), {**{name: unpack(item) for name, item in old.items()}, **changes})


def _check_names(state: RunState, row: int, task: TaskFacts, changes: Mapping[str, Any]) -> None:
    where, known = f"{state.name}/{state.action_name(row)}", ", ".join(task.parameters) or "<none>"
    unknown = sorted(set(changes) - set(task.parameters))
    if unknown:
        raise ValueError(f"Unknown input(s) {unknown} for {where}. Known inputs: {known}.")
    gone = sorted(set(state.task_of(row).parameters) - set(task.parameters))
    if gone:
        raise ValueError(
            f"{where} was called with {gone}, which {task.name} no longer takes. Known inputs: {known}. "
            f"Start it anew with flyte.run({task.short_name}, ...)."
        )


__all__ = ["NO_ORIGIN", "Asked", "Rerun", "chain", "prepare", "recover_into", "texts"]
