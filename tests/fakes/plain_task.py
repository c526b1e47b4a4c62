"""A task for engine tests: a plain function, run as it is, whose value is its output."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flyte_nb.core.current import RunnableTask
from flyte_nb.core.events import Inputs, RunSettings, TaskFacts
from flyte_nb.core.payloads import Item
from flyte_nb.engine.commands import SendChunk


class PlainTask:
    """A function as a task. `prepare` stands in the place of pickling and of checking outputs."""

    def __init__(
        self,
        func: Callable[..., object] = lambda *_inputs: None,
        name: str = "plain",
        pack: Callable[[object], Item] | None = None,
        pickled: Callable[[], bytes] | None = None,
    ) -> None:
        self.func = func
        self.facts = TaskFacts(name, f"env.{name}", name)
        self._pack, self._pickled = pack, pickled

    def current_facts(self) -> TaskFacts:
        """The same: nothing changes here."""
        return self.facts

    def pickled(self) -> bytes:
        """Its name, unless the test says otherwise."""
        return self.facts.name.encode() if self._pickled is None else self._pickled()

    def invoke(self, items: Inputs) -> object:
        """Call the function."""
        return self.func(*items)

    def pack_output(self, value: object) -> Item:
        """The value itself, unless the test says otherwise."""
        return value if self._pack is None else self._pack(value)  # type: ignore[return-value]  # tests return scalars

    def within(self, settings: RunSettings) -> RunnableTask:
        """The same: settings of a run change nothing here."""
        del settings
        return self

    def cache_keys(self, run: str, inputs: Sequence[Inputs]) -> Sequence[str]:
        """Nothing is kept."""
        del run, inputs
        return ()


def chunk(number: int, count: int = 1, *, is_async: bool = False, budget: float = 5.0, digest: str = "d") -> SendChunk:
    """An order to run so many actions; their rows count from ten times the chunk's number, their inputs are their positions."""
    return SendChunk(
        place="w1",
        chunk=number,
        run="r",
        run_started_at=1.0,
        digest=digest,
        is_async=is_async,
        rows=range(10 * number, 10 * number + count),
        inputs=[(index,) for index in range(count)],
        attempts=[0] * count,
        groups=[""],
        custom_context=(),
        budget_seconds=budget,
    )
