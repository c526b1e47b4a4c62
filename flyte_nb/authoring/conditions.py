"""Decides what a condition is: a question that a run asks and waits for until somebody answers it.

It is a row of the run beside the actions of tasks, in phase `paused` while it is open. The answer is kept: when the
asking action is tried again, it is not asked again.

Must not know: who answers, or how the question is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NoReturn

from flyte_nb.authoring.outcomes import error_of
from flyte_nb.core.current import CURRENT, Frame, ResultStream
from flyte_nb.core.events import Inputs, RunSettings, TaskFacts
from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Item, unpack
from flyte_nb.core.policy import Timeout
from flyte_nb.core.questions import ANSWER_TYPES, Answer

PromptType = Literal["text", "markdown"]


@dataclass
class ConditionWebhook:
    """What a Flyte backend posts when a condition opens. Kept, without effect: the notebook shows the question itself.

    Attributes:
        url: Where it posts to.
        payload: What it posts.
    """

    url: str
    payload: dict[str, Any] | None = None


@dataclass
class Condition:
    """A question of a run. Made by `new_condition`; `wait()` gives the answer.

    Attributes:
        name: Its name, to find it by.
        prompt: What is asked.
        prompt_type: "text", or "markdown".
        data_type: bool, int, float or str: what an answer is.
        description: More about it.
        timeout: How long to wait, as seconds or a timedelta; None is without end.
        webhook: Kept, without effect.

    Raises:
        TypeError: The data type is none of the four.
        ValueError: The timeout is not positive.
    """

    name: str
    prompt: str = "Approve?"
    prompt_type: PromptType = "text"
    data_type: type[Any] = bool
    description: str = ""
    timeout: timedelta | float | None = None
    webhook: ConditionWebhook | None = None
    _opened: tuple[Frame, ResultStream | None, str] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.data_type not in ANSWER_TYPES.values():
            raise TypeError(f"Invalid data_type {self.data_type}. Must be one of {tuple(ANSWER_TYPES.values())}.")
        if self.timeout is not None and self._seconds() <= 0:
            raise ValueError("timeout must be positive")

    def _seconds(self) -> float:
        return self.timeout.total_seconds() if isinstance(self.timeout, timedelta) else float(self.timeout or 0)

    def open(self) -> None:
        """Ask, inside a run; nothing outside of one, and nothing if an earlier attempt got the answer."""
        frame = CURRENT.get()
        if frame is None:
            return
        counts = frame.action.note("conditions", Counter)
        counts[self.name] += 1
        key = f"condition:{frame.action.row}:{self.name}:{counts[self.name]}"
        if frame.action.recorded is not None and key in frame.action.recorded:
            self._opened = (frame, None, key)
            frame.submitter.step_replayed(frame, key)
            return
        limit = Timeout(max_runtime=timedelta(seconds=self._seconds())) if self.timeout is not None else Timeout()
        parameters = ("prompt", "data_type", "description")
        facts = TaskFacts(key, self.name, self.name, parameters, ("o0",), is_async=True, timeout=limit, kind="condition")
        stream = frame.submitter.stream(_Question(facts), frame)
        stream.submit([(self.prompt, self.data_type.__name__, self.description)])
        self._opened = (frame, stream, key)

    @property
    def wait(self) -> _Wait:
        """Wait for the answer: `condition.wait()` blocks, `await condition.wait.aio()` does not.

        Raises (when called):
            ConditionTimedoutError: Nobody answered in time.
            RuntimeError: It was made outside of a run.
        """
        return _Wait(self)

    def signal(self, value: Answer) -> None:
        """Answer it, from the process that made it. From the notebook: `run.condition(name).signal(value)`.

        Raises:
            TypeError: The answer is of another type.
            RuntimeError: It was made outside of a run.
        """
        if self._opened is None:
            _not_in_a_run()
        frame = self._opened[0]
        frame.submitter.answer_condition(frame.action.run, self.name, checked_answer(value, self.data_type.__name__))

    def stream(self) -> ResultStream | None:
        """Where the answer comes from; None if it is known already."""
        if self._opened is None:
            _not_in_a_run()
        return self._opened[1]

    def answer(self) -> Any:
        """The answer that has come."""
        frame, stream, key = self._opened if self._opened is not None else _not_in_a_run()
        value: Item | Failure
        value, where = (frame.action.recorded or {})[key] if stream is None else None, None
        if stream is not None:
            _ok, value, where = stream.result(0)
            stream.close()
        if isinstance(value, Failure):
            raise error_of(value, where)
        return unpack(value)


class _Wait:
    """The two forms of waiting."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def __call__(self) -> Any:
        """Block until there is an answer."""
        stream = self._condition.stream()
        if stream is not None:
            stream.wait_result(0)
        return self._condition.answer()

    async def aio(self) -> Any:
        """Wait for the answer without blocking the loop."""
        stream = self._condition.stream()
        if stream is not None:
            await stream.wait_result_async(0)
        return self._condition.answer()


class _Question:
    """What the engine needs of a condition; it has no body."""

    def __init__(self, facts: TaskFacts) -> None:
        self.facts = facts

    def current_facts(self) -> TaskFacts:
        """There is no code that could change."""
        return self.facts

    def pickled(self) -> bytes:
        """There is no code."""
        return b""

    def invoke(self, items: Inputs) -> NoReturn:
        """Nothing runs it."""
        raise RuntimeError(f"condition {self.facts.name} is no task, and was started with {len(items)} inputs")

    def pack_output(self, value: object) -> Item:
        """Answers are scalars."""
        return value  # type: ignore[return-value]  # checked by `checked_answer`

    def cache_keys(self, run: str, inputs: Sequence[Inputs]) -> Sequence[str]:
        """Answers are not reused between runs."""
        del run, inputs
        return ()

    def within(self, settings: RunSettings) -> _Question:
        """It has no surroundings."""
        del settings
        return self


def _not_in_a_run() -> NoReturn:
    raise RuntimeError("Conditions can only be awaited within a task context.")


def checked_answer(value: object, type_name: str) -> Answer:
    """An answer of the type that was asked for.

    Raises:
        TypeError: It is of another type.
    """
    wanted = ANSWER_TYPES[type_name]
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise TypeError(f"The condition asks for {type_name}, got {type(value).__name__}: {value!r}")
    return value


class NewCondition:
    """`flyte.new_condition`: ask a question in a run; `flyte.new_condition.aio` is the form to await."""

    def __call__(
        self,
        name: str,
        /,
        prompt: str = "Approve?",
        prompt_type: PromptType = "text",
        data_type: type[Any] = bool,
        description: str = "",
        timeout: timedelta | float | None = None,
        webhook: ConditionWebhook | None = None,
    ) -> Condition:
        """Ask; the answer comes from `wait()` of what this returns.

        Args:
            name: what the question is found by: `run.condition(name)`.
            prompt: what is asked.
            prompt_type: "text", or "markdown".
            data_type: bool, int, float or str: what an answer is.
            description: more about it.
            timeout: how long to wait, as seconds or a timedelta; None is without end.
            webhook: kept for Flyte, without effect.

        Returns:
            The question: `wait()` blocks until it is answered and gives the answer, `await wait.aio()` does not block,
            `signal(value)` answers it.

        Raises:
            TypeError: the data type is none of the four.
            ValueError: the timeout is not positive.
        """
        condition = Condition(name, prompt, prompt_type, data_type, description, timeout, webhook)
        condition.open()
        return condition

    async def aio(self, name: str, /, *args: Any, **kwargs: Any) -> Condition:
        """The same, to be awaited."""
        return self(name, *args, **kwargs)

    def __repr__(self) -> str:
        return "<flyte_nb.new_condition>"
