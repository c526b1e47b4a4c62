"""The most likely mistakes, as a newcomer makes them: cells, and what is said of them.

Decides: which they are. `tests/cluster/test_mistakes.py` executes every cell, `scripts/mistakes_table.py` draws docs/mistakes.md from them.
"""

from dataclasses import dataclass

#: The cell that all others follow.
BEFORE = """\
import asyncio, threading
import flyte_nb as flyte
%load_ext flyte_nb

env = flyte.TaskEnvironment("etl")

@env.task
async def double(x: int) -> int:
    return 2 * x
"""


@dataclass(frozen=True)
class Mistake:
    """A cell, what it says, and what to write instead.

    Attributes:
        title: what was done.
        cell: the cell; its error, or what it shows, is looked at.
        says: what stands in it, `...` for what differs from run to run.
        instead: what to do, in a sentence or two.
    """

    title: str
    cell: str
    says: str
    instead: str


AWAIT = (
    Mistake(
        "`await` is forgotten in a driver",
        """\
@env.task
async def main() -> int:
    return double(1) + 1

flyte.run(main).outputs()
""",
        "RuntimeUserError: This is a call of task 'etl.double', not its result: write `await double(...)`.\n"
        "In action a0 of task etl.main, run ...",
        "A task that is called inside a run starts when it is awaited: `await double(1) + 1`.",
    ),
    Mistake(
        "a call is returned instead of its result",
        """\
@env.task
async def main() -> int:
    return double(1)

flyte.run(main).outputs()
""",
        "...Expected value of type <class 'int'> but got '<coroutine pending>' ...: it was not awaited: write `await ...`...",
        "`return await double(1)`.",
    ),
    Mistake(
        "`gather` gets a list",
        """\
@env.task
async def main() -> list[int]:
    return await asyncio.gather([double(x) for x in range(3)])

flyte.run(main).outputs()
""",
        "RuntimeUserError: unhashable type: 'list'\nIn action a0 of task etl.main, run ...",
        "That is Python's own: `gather` takes the calls one by one, `asyncio.gather(*(double(x) for x in range(3)))`, with a star.",
    ),
    Mistake(
        "a task is called in a cell, outside of any run",
        "double(3)\n",
        "<coroutine object double at ...>",
        "Outside of a run a task is the plain function (so that you can test it): `await double(3)` runs it here, in the kernel. "
        "`flyte.run(double, 3)` makes a run of it.",
    ),
    Mistake(
        "the result is asked for before the end",
        """\
@env.task
async def slow() -> int:
    await asyncio.sleep(0.5)
    return 1

run = flyte.run(slow)
run.wait(wait_for="running")
run.root.outputs()
""",
        "RuntimeError: Action a0 of run ... has not ended: it is running. `run.wait()` waits for the end of its run.",
        "`run.outputs()` waits for the end by itself; what an action returned can be read once it has ended.",
    ),
)
CALLS = (
    Mistake(
        "the task is called on its way into `flyte.run`",
        "flyte.run(double(3))\n",
        "TypeError: On Flyte tasks can be run... Give the task and its inputs apart: flyte.run(task, 3), not flyte.run(task(3)).",
        "`flyte.run(double, 3)`.",
    ),
    Mistake(
        "a plain function is run",
        """\
def plain(x):
    return x

flyte.run(plain, 1)
""",
        'TypeError: On Flyte tasks can be run... Declare it first: `@env.task`, with env = flyte.TaskEnvironment("name").',
        "Put `@env.task` above it, or `%%flyte_task` at the top of its cell.",
    ),
    Mistake(
        "an input is of another type",
        'flyte.run(double, "3")\n',
        "TypeError: Type conversion failed for variable 'x'.\n...Reason: Expected value of type <class 'int'> but got '3' of type "
        "<class 'str'>\nIn a call of task 'etl.double'.",
        'Types are checked when the task is called, before anything runs. Nothing is converted silently: `int("3")`.',
    ),
    Mistake(
        "an input is a number of numpy's",
        """\
import numpy as np

flyte.run(double, np.arange(3)[1])
""",
        "TypeError: ...Actual type: <class 'numpy.int64'>...: pass .item() of a numpy value...",
        "`np.arange(3)[1].item()`, or `.tolist()` of an array.",
    ),
    Mistake(
        "an input is missing",
        "flyte.run(double)\n",
        "ValueError: Missing required inputs: x\nIn a call of task 'etl.double'.",
        "`flyte.run(double, 3)`, or give the parameter a default.",
    ),
    Mistake(
        "an input has another name",
        "flyte.run(double, y=3)\n",
        "TypeError: ...'y'...",
        "The names are those of the function's parameters: `flyte.run(double, x=3)`.",
    ),
    Mistake(
        "an input cannot travel",
        """\
@env.task
def total(numbers) -> int:
    return sum(numbers)

flyte.run(total, (x for x in range(3)))
""",
        "NotSerializableError: Argument 'numbers' of task 'etl.total' cannot be pickled, so it cannot travel: its type is generator"
        "... Pass what the task can make it from, such as a path, numbers or a dict.",
        "Tasks run in other processes. Pass data: `list(range(3))`; a path instead of an open file, an address instead of a connection.",
    ),
    Mistake(
        "the task uses something that cannot travel",
        """\
lock = threading.Lock()

@env.task
def guarded(x: int) -> int:
    with lock:
        return x

flyte.run(guarded, 1)
""",
        "NotSerializableError: ...lock...",
        "What the function uses of the notebook travels with it. Make such things inside of the task.",
    ),
    Mistake(
        "`flyte.map` is taken for a list",
        """\
results = flyte.map(double, range(3))
results[0]
""",
        "TypeError: <results of flyte.map(double, ...)...> gives one result after the other: make a list first, "
        "`results = list(flyte.map(...))`.",
        "`flyte.map` gives results while the others go on: `list(flyte.map(double, range(3)))`, or a loop.",
    ),
    Mistake(
        "errors in the results of `flyte.map` are overlooked",
        """\
@env.task
async def half(x: int) -> float:
    return 6 / x

sum(flyte.map(half, [1, 2, 0]))
""",
        "RuntimeUserError: division by zero\nIn action ... of task etl.half...",
        "In the place of a result that failed stands its error. Look for them (`isinstance(each, Exception)`), or let the first be raised: "
        "`return_exceptions=False`.",
    ),
)
DEFINITIONS = (
    Mistake(
        "`return` is forgotten",
        """\
@env.task
async def triple(x: int) -> int:
    3 * x

flyte.run(triple, 1).outputs()
""",
        "RuntimeDataValidationError: ...Expected value of type <class 'int'> but got 'None' of type <class 'NoneType'>...",
        "The annotation is a promise; a task without a result says `-> None`.",
    ),
    Mistake(
        "a name that the task uses is not defined",
        """\
@env.task
async def scale(x: int) -> int:
    return x * factor

flyte.run(scale, 1).outputs()
""",
        "RuntimeUserError: name 'factor' is not defined\nIn action a0 of task etl.scale, run ...\n"
        "The task's own traceback:\n...line 3, in scale\n...",
        "Run the cell that defines it, then run again. What a task uses is looked up when the run starts.",
    ),
    Mistake(
        "a task changes a variable of the notebook",
        """\
seen = []

@env.task
async def remember(x: int) -> int:
    seen.append(x)
    return x

list(flyte.map(remember, range(3)))
seen
""",
        "[]",
        "Each worker has a copy. Return what you want to have: the results come back, in order.",
    ),
    Mistake(
        "a decorator of Flyte 1, or of nobody",
        """\
@flyte.task
def f(x: int) -> int:
    return x
""",
        "AttributeError: module 'flyte_nb' has no attribute 'task': here make an environment first, "
        '`env = flyte.TaskEnvironment("name")`, then `@env.task`.',
        "Tasks belong to an environment, which holds what they share.",
    ),
    Mistake(
        "a function that takes anything",
        """\
@env.task
def f(*numbers: int) -> int:
    return sum(numbers)
""",
        "ValueError: Function f cannot have variable positional or keyword arguments.",
        "Inputs have names: `def f(numbers: list[int])`.",
    ),
    Mistake(
        "a number of retries below 0",
        """\
@env.task(retries=-1)
def f(x: int) -> int:
    return x
""",
        "ValueError: RetryStrategy.count must be greater than or equal to 0, got -1",
        "`retries=2` is three attempts in all. There is no “for ever”.",
    ),
    Mistake(
        "a time limit as a text",
        """\
@env.task(timeout="30s")
def f(x: int) -> int:
    return x
""",
        "ValueError: Timeout must be an instance of Timeout, int, or timedelta, got '30s': write seconds, such as timeout=30, or "
        "timedelta(minutes=5).",
        "`timeout=30`.",
    ),
    Mistake(
        "a name of an environment with blanks",
        'flyte.TaskEnvironment("My tasks")\n',
        "ValueError: Environment name 'My tasks' must be in snake_case or kebab-case format.",
        '`flyte.TaskEnvironment("my-tasks")`.',
    ),
)
RUNNING = (
    Mistake(
        "resources that no worker has",
        """\
@env.task
def big(x: int) -> int:
    return x

flyte.run(big.override(resources=flyte.Resources(cpu=64)), 1).outputs()
""",
        "ResourcesUnavailableError: Task etl.big asks for 64 CPUs, and no worker can take that: the largest of ... has ... CPU.... "
        "Ask for less, or make the workers larger: flyte.init(workers=1, threads_per_worker=64)....",
        "It is said within two seconds; nothing waits for ever.",
    ),
    Mistake(
        "a package that the worker does not have",
        """\
@env.task
def load(path: str) -> int:
    import no_such_package
    return 1

flyte.run(load, "a.csv").outputs()
""",
        "RuntimeUserError: No module named 'no_such_package'\nIn action a0 of task etl.load on worker ..., run ...\n"
        "The task's own traceback:\n...",
        "Workers of the embedded cluster have what the kernel has: `%pip install` it, then `%flyte_cluster restart`. On a cluster of "
        "others install it there.",
    ),
    Mistake(
        "a loop of one's own inside a task",
        """\
@env.task
async def main() -> int:
    return asyncio.run(double(1))

flyte.run(main).outputs()
""",
        "RuntimeUserError: asyncio.run() cannot be called from a running event loop...",
        "An async task has a loop already: `await double(1)`. In a cell `await` works too; `%flyte_config nest on` allows nested loops.",
    ),
    Mistake(
        "a run that is not there",
        'flyte.remote.Run.get("r123")\n',
        "RunNotFoundError: There is no run named 'r123' here. `flyte.runs()` lists the runs of this project.",
        "Runs are kept per project folder: is the notebook in another one?",
    ),
    Mistake(
        "a setting that does not exist",
        "flyte.init(worker=3)\n",
        "TypeError: There is no setting 'worker'. Settings are: adaptive, ... workers.",
        "`flyte.init(workers=3)`.",
    ),
)
SURPRISES = (
    Mistake(
        "an async task sleeps, or computes, instead of awaiting",
        """\
import time

@env.task
async def lazy(x: int) -> int:
    time.sleep(0.2)
    return x

list(flyte.map(lazy, range(4)))
""",
        "[0, 1, 2, 3]",
        "It works, but one after the other in each worker: nothing else of its loop goes on meanwhile. `await asyncio.sleep` lets "
        "hundreds wait at once; what computes is better a plain `def`.",
    ),
    Mistake(
        "a helper is edited while results are cached",
        """\
def rate():
    return 1

@env.task(cache="auto")
async def price(x: int) -> int:
    return x * rate()

before = flyte.run(price, 10).outputs()[0]

def rate():
    return 2

before, flyte.run(price, 10).outputs()[0]
""",
        "(10, 20)",
        "Nothing is stale: the version of a task's code counts its helpers, too. `price.version_story()` tells what changed.",
    ),
    Mistake(
        "a result is compared with what a task returned",
        "flyte.run(double, 3).outputs() == 6\n",
        "False",
        "`outputs()` is a tuple, as in Flyte: one item for each declared output. `flyte.run(double, 3).outputs()[0] == 6`.",
    ),
)
MAGICS = (
    Mistake(
        "an option of a magic is misspelt",
        """\
%%flyte_task --retry 3
def f(x: int) -> int:
    return x
""",
        "UsageError: %%flyte_task: unknown option --retry. Did you mean --retries? Options: ...",
        "`%%flyte_task?` explains the options, Tab completes them.",
    ),
    Mistake(
        "a cell without a function",
        """\
%%flyte_task
x = 1
""",
        "UsageError: %%flyte_task needs a function: write `def name(...):` or `async def name(...):` at the top level of the cell.",
        "The last function of the cell becomes the task; imports and helpers may stand above it.",
    ),
    Mistake(
        "an empty cell",
        "%%flyte_run\n",
        "UsageError: %%flyte_run is a cell magic, but the cell body is empty.",
        "The code belongs below the magic, in the same cell.",
    ),
)
#: By heading.
MISTAKES: dict[str, tuple[Mistake, ...]] = {
    "Forgotten awaits": AWAIT,
    "Calling": CALLS,
    "Defining": DEFINITIONS,
    "Running": RUNNING,
    "Surprises without an error": SURPRISES,
    "Magics": MAGICS,
}
