"""Decides what a task call inside a run is: an awaitable that is submitted when it is first awaited or scheduled.

To the caller it is a coroutine (Flyte 2's rule: nothing happens before it runs, and group, context and call sequence
are those of that moment). A real coroutine would cost an `asyncio.Task` each, which is five to nine times the price of
a future; so a call is a future that passes for a coroutine until it starts (`Call`) and is a plain future from then on
(`StartedCall`). Loops of ours take it as it is (`engine.driver_loop`); on any other loop a task
call is a real coroutine around one.

Must not know: the controller; calls go to the frame's submitter.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator, Mapping
from contextvars import Context
from typing import Any, Protocol

from flyte_nb.authoring.outcomes import thrown_at
from flyte_nb.authoring.unawaited import refuse_uses
from flyte_nb.core.current import CURRENT, RunnableTask, Submitter, Whereabouts
from flyte_nb.core.events import Inputs
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import SCALARS, Item, unpack


class BindableTask(RunnableTask, Protocol):
    """A task whose arguments can be bound to items."""

    def pack_inputs(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inputs:
        """Check the arguments of a call and turn them into items."""
        ...


class _AnyCall(asyncio.Future[Any]):
    """What an unstarted and a started call share."""

    __slots__ = ("_args", "_kwargs", "_name", "_submitter", "_task", "_waiter", "seq")

    seq: int
    _waiter: Any

    def __init__(self, task: BindableTask, args: tuple[Any, ...], kwargs: Mapping[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._task = task
        self._args = args
        self._kwargs = kwargs

    def _start(self) -> None:
        """Submit the call; from here on it is a future."""
        if type(self) is Call:
            _set_class(self, StartedCall)
        frame = CURRENT.get()
        if frame is None:
            raise RuntimeError(f"A call of task {self._task.facts.name} was made inside a run and is awaited outside of it.")
        if frame.action.refusal:
            super().cancel()
            raise asyncio.CancelledError(frame.action.refusal)
        self._submitter: Submitter = frame.submitter
        try:
            inputs = self._task.pack_inputs(self._args, self._kwargs)
            frame.submitter.start(self, self._task, inputs, frame)
        except Exception as error:  # noqa: BLE001 - a call's errors surface where it is awaited
            self.set_exception(error)
        self._args, self._kwargs = (), {}

    def resolve(self, item: Item) -> None:
        """Take the output's item."""
        if self.done():
            return
        if type(item) in SCALARS:
            self.set_result(item)
            return
        try:
            self.set_result(unpack(item))
        except Exception as error:  # noqa: BLE001 - loading a value runs user code
            self.set_exception(error)

    def fail(self, failure: Failure, where: Whereabouts) -> None:
        """Take the failure."""
        if not self.done():
            self.set_exception(thrown_at(failure, where))
            self._log_traceback = False  # an error that nobody asks for is in the run's view, not in the log

    def fail_here(self, error: BaseException) -> None:
        """Take an error that kept the call from becoming an action."""
        if not self.done():
            self.set_exception(error)

    @property
    def task_name(self) -> str:
        """The full name of the task."""
        return self._task.facts.name

    def set_name(self, name: object) -> None:
        """As of `asyncio.Task`."""
        self._name = str(name)

    def get_name(self) -> str:
        """As of `asyncio.Task`."""
        return getattr(self, "_name", None) or f"{self._task.facts.short_name}-{getattr(self, 'seq', '?')}"

    def get_coro(self) -> object:
        """As of `asyncio.Task`."""
        return self

    def cancelling(self) -> int:
        """As of `asyncio.Task`."""
        return int(self.cancelled())

    def uncancel(self) -> int:
        """As of `asyncio.Task`."""
        return 0


class Call(_AnyCall):
    """A task call that has not started."""

    __slots__ = ()

    @property  # type: ignore[misc]  # passing for a coroutine is the point
    def __class__(self) -> type:
        return types.CoroutineType

    def start_now(self, loop: asyncio.AbstractEventLoop, options: Mapping[str, Any]) -> asyncio.Future[Any]:
        """Take the place of the `asyncio.Task` that a loop would make of a coroutine."""
        if loop is not self.get_loop():
            raise RuntimeError("A task call belongs to the loop that it was made on.")
        context: Context | None = options.get("context")
        if context is None:
            self._start()
        else:
            context.run(self._start)
        if options.get("name") is not None:
            self.set_name(options["name"])
        return self

    def cancel(self, msg: object = None) -> bool:
        """Give up: it never becomes an action."""
        _set_class(self, StartedCall)
        return asyncio.Future.cancel(self, msg)

    def add_done_callback(self, callback: Any, *, context: Context | None = None) -> None:
        """Start, and call back when the action has ended."""
        self._start()
        asyncio.Future.add_done_callback(self, callback, context=context)

    def __await__(self) -> Generator[Any, None, Any]:
        self._start()
        return asyncio.Future.__await__(self)

    __iter__ = __await__

    def send(self, value: object) -> Any:
        """Run to the next pause: somebody drives this by hand."""
        _set_class(self, DrivenCall)
        self._start()
        self._waiter = asyncio.Future.__await__(self)
        return DrivenCall.send(self, value)  # type: ignore[arg-type]  # its class was changed above

    def throw(self, error: Any, *_rest: Any) -> Any:
        """Raise inside: it never becomes an action."""
        self.cancel()
        raise error

    def close(self) -> None:
        """Give up: it never becomes an action."""
        self.cancel()


class StartedCall(_AnyCall):
    """A task call whose action was asked for."""

    __slots__ = ()

    def cancel(self, msg: object = None) -> bool:
        """Give up and abort the action."""
        if not super().cancel(msg):
            return False
        submitter = getattr(self, "_submitter", None)
        if submitter is not None:
            submitter.cancel(self)
        return True


class DrivenCall(StartedCall):
    """A started call that is driven by `send`, as a coroutine is, and not by a loop of ours."""

    __slots__ = ()

    def send(self, _value: object) -> Any:
        """Run to the next pause."""
        return next(self._waiter)

    def throw(self, error: Any, *rest: Any) -> Any:
        """Raise inside: the caller gave up."""
        self.cancel()
        return self._waiter.throw(error, *rest)

    def close(self) -> None:
        """Give up and abort the action."""
        self.cancel()


refuse_uses(_AnyCall)
_class_slot: Any = object.__dict__["__class__"]


def _set_class(call: _AnyCall, cls: type[_AnyCall]) -> None:
    _class_slot.__set__(call, cls)
