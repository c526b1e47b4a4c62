"""Decides what `@trace` does: a function's calls are recorded as steps of the action that makes them.

A traced function runs in its caller's process, and its exceptions are its own. When an action is tried again, a step
that had ended well is not run again: its result is taken from the record. Outside of a run it is the plain function.

Must not know: where steps are kept.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

from flyte_nb import errors
from flyte_nb.authoring.checking import plainness
from flyte_nb.authoring.outcomes import cause_of, error_of
from flyte_nb.authoring.signature import Signature
from flyte_nb.core import ids
from flyte_nb.core.current import CURRENT, Frame, PendingCall, ResultStream, RunnableTask, Step, Submitter
from flyte_nb.core.events import Inputs, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.hashing import digest_code
from flyte_nb.core.names import hash_of_inputs, identity
from flyte_nb.core.payloads import Item, pack, unpack

P = ParamSpec("P")
R = TypeVar("R")
Body = Callable[..., Any]


def trace(func: Callable[P, R]) -> Callable[P, R]:
    """Record each call of a function as a step of the running action. For functions and generators, async or not.

    A later attempt of the action is given what the step returned, instead of running it again. Outside of a run it is
    the plain function.

    Args:
        func: the function; what it takes and returns is checked against its annotations, as of a task.

    Raises (when called):
        TraceDoesNotAllowNestedTasksError: it calls a task.

    Example:
        >>> @flyte.trace
        ... def double(x: int) -> int:
        ...     return 2 * x
        >>> double(2)
        4
    """
    if inspect.iscoroutinefunction(func):
        made: Body = _traced_coroutine(func)
    elif inspect.isasyncgenfunction(func):
        made = _traced_async_generator(func)
    elif inspect.isgeneratorfunction(func):
        made = _traced_generator(func)
    else:
        made = _traced_function(func)
    return cast(Callable[P, R], functools.wraps(func)(made))


def _traced_function(func: Body) -> Body:
    def traced(*args: Any, **kwargs: Any) -> Any:
        step = _begin(func, args, kwargs)
        if step is None:
            return func(*args, **kwargs)
        if step.is_recorded:
            return step.replay()
        with step.ending(), step.inside():
            step.value = step.checked(func(*args, **kwargs))
        return step.value

    return traced


def _traced_coroutine(func: Body) -> Body:
    async def traced(*args: Any, **kwargs: Any) -> Any:
        step = _begin(func, args, kwargs)
        if step is None:
            return await func(*args, **kwargs)
        if step.is_recorded:
            return step.replay()
        with step.ending(), step.inside():
            step.value = step.checked(await func(*args, **kwargs))
        return step.value

    return traced


def _traced_generator(func: Body) -> Body:
    def traced(*args: Any, **kwargs: Any) -> Iterator[Any]:
        step = _begin(func, args, kwargs)
        if step is None:
            yield from func(*args, **kwargs)
            return
        if step.is_recorded:
            yield from step.replay()
            return
        step.value = []
        with step.ending():
            items = func(*args, **kwargs)
            while True:
                with step.inside():  # not around the yield: the consumer's context is the consumer's
                    try:
                        item = next(items)
                    except StopIteration:
                        break
                step.value.append(item)
                yield item

    return traced


def _traced_async_generator(func: Body) -> Body:
    async def traced(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        step = _begin(func, args, kwargs)
        if step is None:
            async for item in func(*args, **kwargs):
                yield item
            return
        if step.is_recorded:
            for item in step.replay():
                yield item
            return
        step.value = []
        with step.ending():
            items = func(*args, **kwargs)
            while True:
                with step.inside():
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        break
                step.value.append(item)
                yield item

    return traced


# ------------------------------------------------------------------ one call
class _StepCall:
    """One call of a traced function inside an action."""

    def __init__(self, frame: Frame, signature: Signature, task: TaskFacts, inputs: Inputs) -> None:
        self._frame, self._signature, self._task, self._inputs = frame, signature, task, inputs
        hashed = hash_of_inputs(inputs)
        outer = frame.submitter.key if isinstance(frame.submitter, InStep) else ""
        key = f"{outer}/{identity(task)}-{hashed}-{frame.group}"
        counts = frame.action.note("steps", Counter)
        counts[key] += 1
        self._key = f"{key}-{counts[key]}"
        self._inside = InStep(frame.submitter, self._key, (hashed, identity(task), counts[key], frame.group))
        self._began = time.time()
        self.value: Any = None

    def checked(self, value: Any) -> Any:
        """What a function returned, held against its annotation.

        Raises:
            RuntimeDataValidationError: it does not fit.
        """
        return self._signature.check_output(value)

    @property
    def is_recorded(self) -> bool:
        """Whether an earlier attempt has taken this very step."""
        return self._frame.action.recorded is not None and self._key in self._frame.action.recorded

    def replay(self) -> Any:
        """What the step gave then."""
        known = (self._frame.action.recorded or {})[self._key]
        self._frame.submitter.step_replayed(self._frame, self._key)
        if isinstance(known, Failure):
            raise cause_of(known) or error_of(known, None)
        return unpack(known)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Around the function's code: tasks cannot be called there, and `ctx().action` is the step."""
        token = CURRENT.set(replace(self._frame, submitter=self._inside))
        try:
            yield
        finally:
            CURRENT.reset(token)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Around the whole call: record how it ended. One that was cancelled or left early is not recorded."""
        try:
            yield
        except Exception as error:
            self._record(None, error)
            raise
        self._record(*_packed(self.value))

    def _record(self, output: Item, error: Exception | None) -> None:
        # What cannot be pickled cannot be replayed either: the step is shown, and run again.
        key = "" if isinstance(error, _NotKept) else self._key
        shown = None if isinstance(error, _NotKept) else error
        step = Step(self._task, key, self._inputs, output, self._began, time.time())
        self._frame.submitter.record_step(self._frame, step, shown)


class _NotKept(Exception):  # noqa: N818 - never raised
    """Marks a result that cannot be pickled."""


def _packed(value: object) -> tuple[Item, Exception | None]:
    try:
        return pack(value, plain=plainness(value)), None
    except Exception:  # noqa: BLE001 - whatever pickling raises
        return f"<{type(value).__name__} that cannot be pickled>", _NotKept()


def _begin(func: Body, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _StepCall | None:
    """The step that a call is; None outside of a run.

    Raises:
        TypeError, ValueError: arguments do not fit: the rules are those of tasks.
    """
    frame = CURRENT.get()
    if frame is None:
        return None
    signature, facts = _known(func)
    inputs = tuple(_packed(value)[0] for value in signature.bind(args, kwargs))
    return _StepCall(frame, signature, facts, inputs)


@functools.lru_cache(maxsize=1_000)
def _known(func: Body) -> tuple[Signature, TaskFacts]:
    """What is known of a traced function, found out when it is first called inside a run."""
    signature = Signature.of(func)
    code = digest_code(func.__code__)
    name = func.__name__
    is_async = inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func)
    parameters = tuple(each.name for each in signature.parameters)
    return signature, TaskFacts(f"trace:{name}:{code}", name, name, parameters, ("o0",), is_async, kind="trace", code=code)


# ------------------------------------------------------------------ inside
class InStep:
    """The submitter inside a traced function: calls of tasks are refused, everything else goes on.

    Args:
        around: the submitter of the action.
        key: the step's.
        name_parts: what the step's name is made of: hash of inputs, identity, sequence, group.
    """

    def __init__(self, around: Submitter, key: str, name_parts: tuple[str, str, int, str]) -> None:
        self.around, self.key, self._name_parts = around, key, name_parts

    def start(self, call: PendingCall, task: RunnableTask, inputs: Inputs, frame: Frame) -> None:
        """Refuse."""
        del call, inputs, frame
        _refuse(task)

    def cancel(self, call: PendingCall) -> None:
        """See `Submitter`."""
        self.around.cancel(call)

    def stream(self, task: RunnableTask, frame: Frame, limit: int = 0) -> ResultStream:
        """Refuse, unless it is a condition that is waited for."""
        if task.facts.kind == "task":
            _refuse(task)
        return self.around.stream(task, frame, limit)

    def record_step(self, frame: Frame, step: Step, error: Exception | None) -> None:
        """See `Submitter`."""
        self.around.record_step(frame, step, error)

    def step_replayed(self, frame: Frame, key: str) -> None:
        """See `Submitter`."""
        self.around.step_replayed(frame, key)

    def write_report(self, frame: Frame, tabs: Sequence[tuple[str, str]]) -> None:
        """See `Submitter`."""
        self.around.write_report(frame, tabs)

    def answer_condition(self, run: str, name: str, answer: Item) -> None:
        """See `Submitter`."""
        self.around.answer_condition(run, name, answer)

    def action_name(self, frame: Frame) -> str:
        """The name of the step."""
        return ids.action_name(self.around.action_name(frame), *self._name_parts)


def _refuse(task: RunnableTask) -> NoReturn:
    raise errors.TraceDoesNotAllowNestedTasksError(
        f"Task {task.facts.name} is invoked from inside a `flyte.trace`. You can continue using the task function, as a "
        f"regular python function using `{task.facts.short_name}.forward(...)`."
    )
