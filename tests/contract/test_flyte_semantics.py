"""What Flyte 2.12 was seen to do with calls, maps, errors and values, row by row; each table is one run.

A row is a small driver and what it must give: a value, or the class, the code and the first line of the error. The rows
were run with the real SDK (local mode) too; those that differ there are left out or say so.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import pytest

import flyte_nb as flyte
from flyte_nb.workspace import Workspace
from tests.fakes.spaces import finished, output

env = flyte.TaskEnvironment("semantics")
Rows = dict[str, tuple[Callable[[], Any], object]]
BINDING: Rows = {}
VALUES: Rows = {}
CALLING: Rows = {}
MAPPING: Rows = {}
FAILING: Rows = {}
BLOCKING: Rows = {}


def row(table: Rows, expected: object) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Add a driver to a table."""

    def add(driver: Callable[[], Any]) -> Callable[[], Any]:
        table[driver.__name__] = (driver, expected)
        return driver

    return add


def called(task: Any, *args: Any, **kwargs: Any) -> Callable[[], Any]:
    """A driver of one call; type checkers are to let wrong ones pass."""
    return partial(task, *args, **kwargs)


def told(error: BaseException) -> tuple[str, str, str]:
    """The class, the code and the first line of an error."""
    return type(error).__name__, str(getattr(error, "code", "")), str(error).split("\n", maxsplit=1)[0]


def shown(value: object) -> object:
    """A result, with errors that are values told."""
    return told(value) if isinstance(value, BaseException) else value


async def rows_of(table: Rows) -> dict[str, object]:
    """What the rows of a table give."""
    found: dict[str, object] = {}
    for name, (driver, _expected) in table.items():
        try:
            result: Any = driver()
            found[name] = await result if isinstance(result, Awaitable) else result
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is the row's result
            found[name] = told(error)
    return found


def expected(table: Rows) -> dict[str, object]:
    """What the rows of a table must give."""
    return {name: wanted for name, (_driver, wanted) in table.items()}


class Pair(NamedTuple):
    """Two named outputs."""

    size: int
    label: str


@dataclass
class Plan:
    """A record with a sloppy default and a nested list."""

    rate: float
    steps: list[int] = field(default_factory=list)


@dataclass
class WiderPlan(Plan):
    """A record derived from it."""

    note: str = ""


# ------------------------------------------------------------------ tasks
@env.task
async def add(x: int, y: int = 5) -> int:
    """A required and an optional input."""
    return x + y


@env.task
def add_sync(x: int, y: int = 5) -> int:
    """The same, sync."""
    return x + y


@env.task
async def keyword_only(a: int, *, b: int = 2, c: str) -> str:
    """Inputs by name only."""
    return f"{a}{b}{c}"


@env.task
async def three(a: int, b: int = 2, c: int = 3) -> int:
    """Defaults that `map` counts as open."""
    return a * 100 + b * 10 + c


@env.task
async def grow(xs: list[int] = [], table: dict[str, int] = {}) -> int:  # noqa: B006 - what is tested
    """Change the inputs."""
    xs.append(1)
    table["k"] = 1
    return len(xs) + len(table)


@env.task
async def give(what: Literal["nothing", "one", "three", "pair"]) -> tuple[int, str]:
    """Return what does not fit, or does."""
    gifts: dict[str, Any] = {"nothing": None, "one": 1, "three": (1, "a", 3), "pair": (1, "a")}
    return gifts[what]  # type: ignore[no-any-return]  # what is tested


@env.task
async def give_pair(count: int) -> Pair:
    """Named outputs."""
    return Pair(count, "m")


@env.task
async def fall_off(x: int) -> int:  # type: ignore[empty-body]
    """End without a return."""


@env.task
async def untyped(x, y=3):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """No annotations at all."""
    return (type(x).__name__, y)


@env.task
async def odd(x: int) -> int:
    """Fail for odd numbers."""
    if x % 2:
        raise ValueError(f"odd {x}")
    return x


@env.task
async def raising(name: str) -> str:
    """Raise what the table of errors says."""
    error = ERRORS[name][0]()
    raise error


@env.task
def raising_sync(name: str) -> str:
    """The same, sync."""
    error = ERRORS[name][0]()
    raise error


@env.task
async def nested(name: str, depth: int) -> str:
    """Let an error through some levels."""
    return await (nested(name, depth - 1) if depth else raising(name))


@env.task
async def slow() -> int:
    """Wait for an end from outside."""
    await asyncio.sleep(60)
    return 1


@env.task
async def cancel_itself() -> int:
    """End as cancelled."""
    raise asyncio.CancelledError("itself")


@env.task
async def describe(when: dt.datetime, plan: Plan, pairs: list[tuple[str, float]], loose: dict) -> str:  # type: ignore[type-arg]
    """What arrives."""
    return f"{when.isoformat()} {plan} {pairs} {loose}"


@env.task
async def same(value: Any) -> Any:
    """Give it back."""
    return value


@env.task
async def plan_of(plan: Plan) -> Plan:
    """Change a copy."""
    plan.steps.append(9)
    return plan


@env.task
async def context(key: str) -> str:
    """The custom context and the group of the body."""
    return f"{flyte.get_custom_context().get(key)} {flyte.ctx().group_data}"


@env.task
async def apply(function: Callable[[int], Any], x: int) -> int:
    """Call a function, or a task, that is an input."""
    result = function(x)
    return int(await result if isinstance(result, Awaitable) else result)


@env.task
async def factorial(n: int) -> int:
    """Call itself."""
    return 1 if n <= 1 else n * await factorial(n - 1)


# ------------------------------------------------------------------ binding
_COUNT = "expected inputs dict_keys(['x', 'y'])"
_TYPE = "Type conversion failed for variable 'x'."
_TWO = "return annotation has 2 outputs specified."


def _output(task: str, why: str) -> tuple[str, str, str]:
    message = f"In task semantics.{task} variable o0, failed to serialize/deserialize because of {why}"
    return "RuntimeDataValidationError", "DataValidationError", message


BINDING |= {
    "by position": (called(add, 1, 2), 3),
    "missing": (called(add), ("ValueError", "", "Missing required inputs: x")),
    "too many": (called(add, 1, 2, 3), ("ValueError", "", f"Too many positional arguments provided, {_COUNT}, args 3")),
    "by name": (called(add, y=1, x=2), 3),
    "mixed": (called(add, 1, y=2), 3),
    "a text": (called(add, "one"), ("TypeError", "", _TYPE)),
    "a float": (called(add, 1.5), ("TypeError", "", _TYPE)),
    "a bool": (called(add, bool(1)), ("TypeError", "", _TYPE)),
    "none": (called(add, None), ("TypeError", "", _TYPE)),
    # The SDK drops it silently.
    "unknown": (
        called(add, 1, z=2),
        ("TypeError", "", "semantics.add() got an unexpected keyword argument 'z'; its inputs are x, y."),
    ),
    "twice": (called(add, 1, x=2), ("TypeError", "", "semantics.add() got multiple values for argument 'x'")),
    "keyword only": (called(keyword_only, 1, c="z"), "12z"),
    "keyword only by position": (called(keyword_only, 1, 2, "z"), "12z"),
    "keyword only missing": (called(keyword_only, 1), ("ValueError", "", "Missing required inputs: c")),
    "default once": (called(grow), 2),
    "default again": (called(grow), 2),
    "default given": (called(grow, [5]), 3),
    "two outputs": (called(give, "pair"), (1, "a")),
    "one of two": (called(give, "one"), _output("give", f"Received 1 outputs but {_TWO}")),
    "three of two": (called(give, "three"), _output("give", f"Received 3 outputs but {_TWO}")),
    "a literal": (called(give, "other"), ("TypeError", "", "Type conversion failed for variable 'what'.")),
    "named outputs": (called(give_pair, 3), Pair(3, "m")),
    "no return": (
        called(fall_off, 1),
        _output("fall_off", "Expected value of type <class 'int'> but got 'None' of type <class 'NoneType'>"),
    ),
    # The SDK refuses a return without annotation.
    "untyped": (called(untyped, (1, {2})), ("tuple", 3)),
    "forward": (called(add.forward, 1.5), 6.5),
    "plain partial": (called(partial(add, 4), y=1), 5),
}


# ------------------------------------------------------------------ values
NOON = dt.datetime(2024, 1, 2, 12, 0, tzinfo=dt.UTC)


@row(VALUES, f"{NOON.isoformat()} Plan(rate=2.0, steps=[1]) [('a', 1.0)] {{'k': [1, 2]}}")
async def as_declared() -> object:
    """Local times arrive in UTC, ints in float fields as floats, tuples in a plain dict as lists."""
    return await describe(NOON.replace(tzinfo=None), Plan(2, (1,)), [("a", 1)], {"k": (1, 2)})  # type: ignore[arg-type]


@row(VALUES, (Plan(1.0, [9]), Plan(1.0)))
async def copies() -> object:
    """A derived record arrives as the declared one, and a change stays with the copy."""
    mine = WiderPlan(1.0, note="lost")
    return await plan_of(mine), Plan(mine.rate, mine.steps)


@row(VALUES, ("TypeError", "", "Type conversion failed for variable 'plan'."))
async def bad_field() -> object:
    """A field that its type cannot be made of."""
    return await plan_of(Plan("fast"))  # type: ignore[arg-type]


@row(VALUES, ("TypeError", "", "Type conversion failed for variable 'loose'."))
async def no_plain_dict() -> object:
    """A defaultdict is no dict to Flyte."""
    return await describe(NOON, Plan(1.0), [], defaultdict(int))


@row(VALUES, [(1, {2}), {"a": b"x"}, None, NOON, Plan(1.0)])
async def anything() -> object:
    """What is declared as Any arrives as it is."""
    return [await same(value) for value in ((1, {2}), {"a": b"x"}, None, NOON, Plan(1.0))]


# ------------------------------------------------------------------ calling
@row(CALLING, ["2 None", "1 None", "3 None"])
async def context_is_read_at_the_start() -> object:
    """When it is awaited, or handed to the loop."""
    with flyte.custom_context(k="1"):
        later, now = context("k"), asyncio.create_task(context("k"))
    with flyte.custom_context(k="2"):
        first = await later
    with flyte.group("a"), flyte.custom_context(k="3"):
        return [first, await now, await context("k")]


@row(CALLING, [6, 7, 6, 120])
async def tasks_and_functions_are_values() -> object:
    """A closure, a task and a partial of one as inputs; a task that calls itself."""
    offset = 5
    return [
        await apply(lambda v: v + offset, 1),
        await apply(add, 2),
        await apply(partial(add, y=1), 5),
        await factorial(5),
    ]


@row(CALLING, ["z", "semantics.add", 2, 2, 0, 7])
async def falsy_keeps() -> object:
    """An override with a falsy value changes nothing."""
    other = add.override(short_name="z", retries=2, timeout=0)
    again = other.override(retries=0, short_name="")
    return [again.short_name, again.name, other.retries.count, again.retries.count, add.retries.count, await again(2)]


@row(CALLING, [{1, 2}, True])
async def one_call_a_thread() -> object:
    """A sync task in threads of the driver's; what cannot be overridden; a call that is closed never happens."""
    results = set(await asyncio.gather(*(asyncio.to_thread(add_sync, i, 1) for i in range(2))))
    with pytest.raises(ValueError, match="Name cannot be overridden"):
        add.override(name="other")
    call: Any = add(1)
    call.close()
    return [results, asyncio.iscoroutine(add_sync.aio(1))]


# ------------------------------------------------------------------ map
async def mapped(*args: Any, **kwargs: Any) -> list[object]:
    """The results of a map."""
    return [shown(value) async for value in flyte.map.aio(*args, **kwargs)]


def _partial(found: int, task: str, names: list[str]) -> tuple[str, str, str]:
    wrong = f"Found {found} unspecified parameters in semantics.{task}, params: dict_keys({names})"
    return "TypeError", "", f"Partial function must leave exactly one parameter unspecified for mapping. {wrong}"


def _both(name: str, task: str = "add") -> tuple[str, str, str]:
    what = f"Parameter '{name}' is provided both as positional argument and keyword argument"
    return "TypeError", "", f"{what} in partial function semantics.{task}."


def _source() -> Iterator[int]:
    yield 1
    raise RuntimeError("the source broke")


_ODD = ("RuntimeUserError", "ValueError", "odd 1")
MAPPING |= {
    "order": (called(mapped, add, [3, 1, 2]), [8, 6, 7]),
    "nothing": (called(mapped, add), []),
    "no items": (called(mapped, add, []), []),
    "shortest": (lambda: mapped(add, range(5), iter([10, 20])), [10, 21]),
    "defaults": (called(mapped, three, [1, 2], [5, 6]), [153, 263]),
    "a dict": (called(mapped, add, {1: 9}), [6]),
    "keyword only": (called(mapped, keyword_only, [1], [2], ["z"]), ["12z"]),
    "errors": (called(mapped, odd, range(3)), [0, _ODD, 2]),
    "bounded": (called(mapped, odd, range(3), concurrency=1), [0, _ODD, 2]),
    "bounded more": (called(mapped, add, range(5), concurrency=2), [5, 6, 7, 8, 9]),
    "raise": (called(mapped, odd, range(3), return_exceptions=False), _ODD),
    "raise bounded": (called(mapped, odd, range(3), concurrency=1, return_exceptions=False), _ODD),
    "wrong item": (called(mapped, add, [1, "a"]), [6, ("TypeError", "", _TYPE)]),
    "wrong item raises": (called(mapped, add, [1, "a"], return_exceptions=False), ("TypeError", "", _TYPE)),
    "too many": (
        called(mapped, factorial, [1], [2]),
        [("ValueError", "", "Too many positional arguments provided, expected inputs dict_keys(['n']), args 2")],
    ),
    "source breaks": (lambda: mapped(add, _source()), ("RuntimeError", "", "the source broke")),
    "no iterable": (called(mapped, add, 5), ("TypeError", "", "'int' object is not iterable")),
    "partial": (called(mapped, partial(add, 1), [1, 2]), [2, 3]),
    "partial by name": (called(mapped, partial(add, y=1), [1, 2]), [2, 3]),
    "partial of partial": (called(mapped, partial(partial(three, 1), c=2), [1]), [112]),
    "partial, two open": (called(mapped, partial(add), [1]), _partial(2, "add", ["x", "y"])),
    "partial, default open": (called(mapped, partial(three, 1), [1]), _partial(2, "three", ["a", "b", "c"])),
    "partial, none open": (called(mapped, partial(add, 1, 2), [1]), _partial(0, "add", ["x", "y"])),
    "partial, both": (called(mapped, partial(three, 1, b=1), [1]), _both("b", "three")),
    "partial, the item's place": (called(mapped, partial(add, x=1), [1]), _both("x")),
    "sync map": (lambda: [shown(value) for value in flyte.map(add_sync, [1, "a"])], [6, ("TypeError", "", _TYPE)]),
}


@row(MAPPING, [5, 6, 7])
async def left_early() -> object:
    """A loop that is left."""
    got: list[object] = []
    async for value in flyte.map.aio(add, range(100), concurrency=2):
        got.append(value)
        if len(got) == 3:
            break
    return got


# ------------------------------------------------------------------ errors
class MineError(Exception):
    """A class of the user's."""


class ManyArgumentsError(Exception):
    """One that cannot be made of its text alone."""

    def __init__(self, a: int, *, b: int) -> None:
        super().__init__(f"{a}-{b}")


class MuteError(Exception):
    """One whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class MyOOMError(Exception):
    """One whose name says what Flyte looks for."""


errors = flyte.errors
#: What a body raises, and the class, the code and the kind that its caller sees.
ERRORS: dict[str, tuple[Callable[[], BaseException], tuple[str, str, str]]] = {
    "value": (lambda: ValueError("v"), ("RuntimeUserError", "ValueError", "user")),
    "key": (lambda: KeyError("k"), ("RuntimeUserError", "KeyError", "user")),
    "mine": (lambda: MineError("m"), ("RuntimeUserError", "MineError", "user")),
    "many arguments": (lambda: ManyArgumentsError(1, b=2), ("RuntimeUserError", "ManyArgumentsError", "user")),
    "mute": (MuteError, ("RuntimeUserError", "MuteError", "user")),
    "group": (lambda: ExceptionGroup("g", [ValueError("a")]), ("RuntimeUserError", "ExceptionGroup", "user")),
    "timeout": (lambda: TimeoutError("t"), ("RuntimeUserError", "TimeoutError", "user")),
    "interrupted": (lambda: InterruptedError("t"), ("TaskInterruptedError", "InterruptedError", "user")),
    "by name": (lambda: MyOOMError("x"), ("OOMError", "MyOOMError", "user")),
    "custom": (lambda: errors.CustomError("My", "m"), ("RuntimeUserError", "My", "user")),
    "custom oom": (lambda: errors.CustomError("MyOOMThing", "m"), ("OOMError", "MyOOMThing", "user")),
    "custom unknown": (lambda: errors.CustomError("SomeUnknown", "m"), ("RuntimeUnknownError", "SomeUnknown", "unknown")),
    "custom timeout": (
        lambda: errors.CustomError("MaxRuntimeExceededError", "m"),
        ("MaxRuntimeExceededError", "MaxRuntimeExceededError", "user"),
    ),
    "from": (lambda: errors.CustomError.from_exception(ValueError("v")), ("RuntimeUserError", "ValueError", "user")),
    "final": (lambda: errors.NonRecoverableError("n", code="CC"), ("RuntimeUserError", "CC", "user")),
    "user": (lambda: errors.RuntimeUserError("UC", "m"), ("RuntimeUserError", "UC", "user")),
    "system": (lambda: errors.RuntimeSystemError("SC", "m"), ("RuntimeSystemError", "SC", "system")),
    "unknown": (lambda: errors.RuntimeUnknownError("UK", "m"), ("RuntimeUnknownError", "UK", "unknown")),
    "oom": (lambda: errors.OOMError("OOMKilled", "m"), ("OOMError", "OOMKilled", "user")),
    "deadline": (lambda: errors.DeadlineExceededError("m"), ("DeadlineExceededError", "DeadlineExceededError", "user")),
    "aborted": (lambda: errors.ActionAbortedError("m"), ("RuntimeUserError", "ActionAbortedError", "user")),
    "initialization": (lambda: errors.InitializationError("IC", "user", "m"), ("RuntimeUserError", "InitializationError", "user")),
    "not found": (lambda: errors.ActionNotFoundError("m"), ("RuntimeUserError", "ActionNotFoundError", "user")),
}


async def seen(call: Awaitable[object]) -> tuple[str, str, str]:
    """The class, the code and the kind of a call's error."""
    try:
        await call
    except errors.BaseRuntimeError as error:
        return type(error).__name__, error.code, error.kind
    return "no error", "", ""


@row(FAILING, [5, _ODD, ("RuntimeUserError", "ValueError", "odd 3")])
async def gathered() -> object:
    """Errors as values, in their place."""
    results = await asyncio.gather(add(0), odd(1), odd(3), return_exceptions=True)
    return [shown(result) for result in results]


@row(FAILING, _ODD)
async def arithmetic() -> object:
    """A sum over results raises the error that is among them."""
    return sum([value async for value in flyte.map.aio(odd, range(3))])


@row(FAILING, [[_ODD]])
async def task_group() -> object:
    """The siblings of a failed one are cancelled."""
    result: list[object] = []
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(odd(1))
            group.create_task(slow())
    except* errors.RuntimeUserError as caught:
        result.append([told(error) for error in caught.exceptions])
    return result


@row(FAILING, ("TimeoutError", "", ""))
async def waited_for() -> object:
    """A time limit of the caller's."""
    return await asyncio.wait_for(slow(), 0.05)


@row(FAILING, [("why",), 5, "CancelledError"])
async def cancelled() -> object:
    """By the caller, with a message; by itself, seen by a gather."""
    call = asyncio.create_task(slow())
    await asyncio.sleep(0)
    call.cancel("why")
    with pytest.raises(asyncio.CancelledError) as mine:
        await call
    results = await asyncio.gather(add(0), cancel_itself(), return_exceptions=True)
    return [mine.value.args, results[0], type(results[1]).__name__]


@row(FAILING, [1, 1, ["CancelledError"]])
async def first_exception() -> object:
    """`asyncio.wait` tells the one that failed, and the rest can be cancelled."""
    done, pending = await asyncio.wait([asyncio.create_task(odd(1)), asyncio.create_task(slow())], return_when=asyncio.FIRST_EXCEPTION)
    for call in pending:
        call.cancel()
    left = await asyncio.gather(*pending, return_exceptions=True)
    return [len(done), len(pending), [type(error).__name__ for error in left]]


# ------------------------------------------------------------------ a sync driver
BLOCKING |= {
    "a value": (called(add_sync, 1), 6),
    # Flyte's rule for blocking calls: the error is a user error, its class the code.
    "wrong": (called(add_sync, "a"), ("RuntimeUserError", "TypeError", _TYPE)),
    "missing": (called(add_sync), ("RuntimeUserError", "ValueError", "Missing required inputs: x")),
    "async": (lambda: asyncio.run(add(1)), 6),
    "async by aio": (lambda: asyncio.run(add_sync.aio(2)), 7),
    "async by aio, wrong": (lambda: asyncio.run(called(add_sync.aio, "a")()), ("TypeError", "", _TYPE)),
    "map": (lambda: [shown(each) for each in flyte.map(odd, range(3))], [0, _ODD, 2]),
    "map raises": (lambda: list(flyte.map(odd, range(3), return_exceptions=False)), _ODD),
    "next": (lambda: next(iter(flyte.map(add, range(9)))), 5),
    "product": (lambda: next(iter(flyte.map(odd, [1]))) * 2, _ODD),
    "forward": (called(add_sync.forward, "a", "b"), "ab"),
}


@env.task
async def async_driver(name: str) -> dict[str, Any]:
    """Run a table in the kernel."""
    tables = {"binding": BINDING, "values": VALUES, "calling": CALLING, "mapping": MAPPING, "failing": FAILING}
    return await rows_of(tables[name])


@env.task
def sync_driver() -> dict[str, Any]:
    """Run the table of blocking calls on a worker."""
    found: dict[str, object] = {}
    for name, (driver, _expected) in BLOCKING.items():
        try:
            found[name] = driver()
        except Exception as error:  # noqa: BLE001 - it is the row's result
            found[name] = told(error)
    return found


@pytest.mark.parametrize("name", ["binding", "values", "calling", "mapping", "failing"])
def test_rows_of_an_async_driver(space: Workspace, name: str) -> None:
    """Binding, values on their way, forms of a call, `map`, and errors."""
    table = {"binding": BINDING, "values": VALUES, "calling": CALLING, "mapping": MAPPING, "failing": FAILING}[name]

    assert output(flyte.run(async_driver, name)) == expected(table)


def test_rows_of_a_sync_driver(space: Workspace) -> None:
    """Blocking calls, from a worker."""
    assert output(flyte.run(sync_driver)) == expected(BLOCKING)


@env.task
async def all_errors() -> dict[str, list[tuple[str, str, str]]]:
    """What the caller sees of each error, from an async, a sync and a nested task."""
    names = list(ERRORS)
    calls = [[raising(name), raising_sync.aio(name), nested(name, 2)] for name in names]
    found = await asyncio.gather(*(seen(call) for three_calls in calls for call in three_calls))
    return {name: list(found[3 * place : 3 * place + 3]) for place, name in enumerate(names)}


def test_errors_by_code(space: Workspace) -> None:
    """The class follows the code, whatever raised it and however deep."""
    run = flyte.run(all_errors)

    assert output(run) == {name: [wanted] * 3 for name, (_error, wanted) in ERRORS.items()}
    assert finished(run).summary().counts
