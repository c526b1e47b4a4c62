# ruff: noqa: E501 - a cell is one text
"""Notebooks of many shapes, and what their drivers return: the exported module has to return it too, with either package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

START = "import asyncio\nimport flyte_nb as flyte\n%load_ext flyte_nb\nenv = flyte.TaskEnvironment('e')"
DOUBLE = "@env.task\nasync def double(x: int) -> int:\n    return 2 * x"


@dataclass(frozen=True)
class Shape:
    """A notebook.

    Attributes:
        name: what is special about it.
        cells: its cells, in order.
        output: what its driver returns.
        absent: what must not be in the module.
        present: what must be there.
    """

    name: str
    cells: tuple[str, ...]
    output: object
    absent: tuple[str, ...] = ()
    present: tuple[str, ...] = ()


def shape(name: str, *cells: str, output: object, absent: tuple[str, ...] = (), present: tuple[str, ...] = ()) -> Shape:
    """A shape, written shortly."""
    return Shape(name, cells, output, absent, present)


def write_notebook(path: Path, cells: tuple[str, ...] | list[str]) -> Path:
    """Write cells as a stored notebook."""
    stored: list[dict[str, object]] = [
        {"cell_type": "code", "id": f"c{number}", "metadata": {}, "outputs": [], "execution_count": None, "source": cell}
        for number, cell in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": stored}), encoding="utf8")
    return path


SHAPES = (
    shape(
        "a driver cell with a last expression",
        START,
        DOUBLE,
        "%%flyte_run --block --group doubles\ntwice = await asyncio.gather(*(double(x) for x in range(4)))\nsum(twice)",
        output=12,
        present=("with flyte.group", "return sum(twice)"),
        absent=("load_ext", "get_ipython", "flyte_nb as"),
    ),
    shape(
        "a driver cell that assigns several names",
        START,
        DOUBLE,
        "%%flyte_run\na = await double(1)\nb, c = await double(a), 7",
        output={"a": 2, "b": 4, "c": 7},
    ),
    shape("a driver cell whose last line is silenced", START, DOUBLE, "%%flyte_run\na = await double(1)\ndouble.name;", output=2),
    shape(
        "tasks of %%flyte_task cells with options, a helper and a constant in the cell",
        "import asyncio, flyte_nb\n%load_ext flyte_nb",
        "%%flyte_task --env my-etl --retries 2 --timeout 2.5 --cache auto --short-name s\nRATE = 3\ndef rated(x):\n    return x * RATE\n\n"
        "# the task\ndef score(x: int) -> int:\n    return rated(x)",
        "%%flyte_task --env my-etl --memory 512Mi\nasync def total(n: int) -> int:\n    return sum(await asyncio.gather(*(score.aio(x) for x in range(n))))",
        "%%flyte_run --out got\nawait total(4)",
        output=18,
        present=(
            'my_etl_env = flyte.TaskEnvironment("my-etl")',
            "retries=2",
            "timedelta(seconds=2.5)",
            "depends_on=[my_etl_env]",
            "# the task",
        ),
    ),
    shape(
        "a task that a cell ran with inputs",
        START,
        DOUBLE,
        "ITEMS = [1, 2, 3]",
        "@env.task\nasync def main(xs: list[int], plus: int = 0) -> int:\n    return plus + sum(await asyncio.gather(*(double(x) for x in xs)))",
        "run = flyte.run(main, ITEMS, plus=1)\nrun",
        "run.results.sort_values('x')",
        output=13,
        absent=("sort_values",),
    ),
    shape(
        "an awaited run with a context",
        START,
        DOUBLE,
        "run = await flyte.with_runcontext(name='x').run.aio(double, 4)",
        output=8,
        absent=("aio(double",),
    ),
    shape(
        "edited and repeated cells: the last definition wins",
        START,
        DOUBLE,
        "def plus(x):\n    return x + 1",
        DOUBLE.replace("2 * x", "plus(2 * x)"),
        "def plus(x):\n    return x + 100",
        "run = flyte.run(double, 1)",
        output=102,
        absent=("x + 1\n",),
    ),
    shape(
        "a variable that is changed step by step",
        START,
        "xs = [1]\nxs.append(2)",
        "xs = [x * 10 for x in xs]\nxs[0] += 5\nlast = xs[-1]\nprint(xs)",
        "@env.task\nasync def total() -> list[int]:\n    return [*xs, last]",
        "flyte.run(total)",
        output=[15, 20, 20],
        absent=("print(xs)",),
    ),
    shape(
        "a variable that had another value when it was read",
        START,
        "N = 2",
        "DATA = list(range(N))",
        "N = 10",
        "@env.task\nasync def total() -> list[int]:\n    return [*DATA, N]",
        "flyte.run(total)",
        output=[0, 1, 10],
    ),
    shape(
        "classes, bases, decorators, dataclasses and defaults",
        START,
        "from dataclasses import dataclass, field\nimport functools\nimport abc",
        "class Base(abc.ABC):\n    scale = 2\n",
        "LIMIT = 3\n@dataclass\nclass Point(Base):\n    x: int\n    many: list[int] = field(default_factory=list)\n    def scaled(self) -> int:\n        return self.x * self.scale * LIMIT",
        "def twice(function):\n    @functools.wraps(function)\n    def inner(*a, **k):\n        return 2 * function(*a, **k)\n    return inner",
        "@twice\ndef measure(p: 'Point', by: int = LIMIT) -> int:\n    return p.scaled() + by",
        "@env.task\nasync def total(p: Point) -> int:\n    return measure(p)",
        "flyte.run(total, Point(2))",
        output=30,
    ),
    shape(
        "other names of the package",
        "import asyncio\nimport flyte_nb as fl\nfrom flyte_nb import TaskEnvironment as Env, group\nimport flyte_nb.errors as err\nfrom flyte_nb.models import ActionPhase",
        "e = Env('e')\n@e.task\nasync def fail(x: int) -> int:\n    raise ValueError('no')",
        "@e.task\nasync def main() -> str:\n    import flyte_nb.errors\n    try:\n        with group('g'), fl.group('h'):\n            await fail(1)\n    except err.RuntimeUserError as error:\n        return error.code + ActionPhase.FAILED.value\n    return ''",
        "fl.run(main)",
        output="ValueErrorfailed",
        absent=("flyte_nb.", "fl."),
    ),
    shape(
        "modules of the package that have to be imported by themselves",
        "import flyte_nb\nimport flyte_nb.io as fio",
        "env = flyte_nb.TaskEnvironment('e')\n@env.task\nasync def main() -> str:\n    t = await flyte_nb.durable.time.aio()\n    return type(t).__name__ + fio.File.__name__",
        "flyte_nb.run(main)",
        output="floatFile",
        present=("import flyte.durable", "import flyte.io as fio"),
    ),
    shape(
        "flyte.map in a sync task and in an async one",
        START,
        DOUBLE,
        "@env.task\ndef mapped(n: int) -> list[int]:\n    return list(flyte.map(double, range(n)))",
        "@env.task\nasync def main() -> list[int]:\n    found = await mapped.aio(3)\n    async for each in flyte.map.aio(double, [5]):\n        found.append(each)\n    return found",
        "flyte.run(main)",
        output=[0, 2, 4, 10],
    ),
    shape(
        "future annotations, unions and types that are defined later",
        "from __future__ import annotations\nimport asyncio\nimport flyte_nb as flyte\nfrom typing import Optional, Literal",
        "env = flyte.TaskEnvironment('e')",
        "@env.task\nasync def pick(x: int | None, how: Literal['a', 'b'] = 'a') -> Optional[str]:\n    return None if x is None else how * x",
        "flyte.run(pick, 3, 'b')",
        output="bbb",
        present=("from __future__ import annotations",),
    ),
    shape(
        "strings over several lines in a driver",
        START,
        "@env.task\nasync def length(text: str) -> int:\n    return len(text)",
        "%%flyte_run --group g\ntext = '''a\n  b\n'''\nname = f'''{text}\n c'''\nawait length(text + name)",
        output=15,
    ),
    shape(
        "a driver that goes on with what an earlier one found",
        START,
        DOUBLE,
        "%%flyte_run --out first\nfound = await asyncio.gather(*(double(x) for x in range(3)))\nprint('said')",
        "good = [x for x in found if x > 1]\nlen(good)",
        "%%flyte_run --out second --group again\nawait asyncio.gather(*(double(x) for x in good))",
        output=[4, 8],
        absent=("said",),
    ),
    shape(
        "a driver that changes a variable of the notebook",
        START,
        DOUBLE,
        "total = 5",
        "%%flyte_run\nfor x in range(3):\n    total += await double(x)\ntotal",
        output=11,
        present=("global total",),
    ),
    shape(
        "imports in a driver, and functions that see its variables",
        START,
        DOUBLE,
        "%%flyte_run\nimport math\nfrom collections import Counter as C\nbase = math.floor(1.5)\ndef shifted(x):\n    return x + base\n[shifted(await double(x)) for x in range(2)] + [C('aab')['a']]",
        output=[1, 3, 2],
    ),
    shape(
        "loops, conditions, with and try at the top level",
        START,
        "import io, json\ntry:\n    import no_such_module as fast\nexcept ImportError:\n    fast = None",
        "LOOKUP = {}\nfor key in 'ab':\n    LOOKUP[key] = ord(key)",
        "with io.StringIO('{\"z\": 1}') as file:\n    LOOKUP.update(json.load(file))\nif fast is None:\n    MODE = 'slow'\nelse:\n    MODE = 'fast'",
        "@env.task\nasync def main() -> str:\n    return MODE + json.dumps(LOOKUP)",
        "flyte.run(main)",
        output='slow{"a": 97, "b": 98, "z": 1}',
    ),
    shape(
        "lambdas, comprehensions, walrus and functions in a table",
        START,
        "def one(x):\n    return x + ONE\nONE = 1",
        "STEPS = {'one': one, 'neg': lambda x: -x * ONE}\nif (n := len(STEPS)) > 1:\n    SIZE = n",
        "@env.task\nasync def main() -> list[int]:\n    return [step(3) for step in STEPS.values()] + [SIZE, n]",
        "flyte.run(main)",
        output=[4, -3, 2, 2],
    ),
    shape(
        "timed and captured cells, pasted script guards, statements on one line",
        START,
        "%%time\nA = 1; B = 2",
        "%time C = A + B",
        "%%capture\nprint('x')\nD = 4",
        "@env.task\nasync def main() -> int:\n    return A + B + C + D",
        "if __name__ == '__main__':\n    # go\n    run = flyte.run(main)\n    run.wait()",
        output=10,
    ),
    shape(
        "several imports of one package, and only those that are used",
        START,
        "import os, sys, json as j\nimport os.path\nimport xml.dom\nimport xml.etree.ElementTree\nimport collections.abc\nfrom math import pi, sqrt as root",
        "@env.task\nasync def main() -> str:\n    return os.path.basename('/a/b') + xml.etree.ElementTree.Element('z').tag + str(root(4))",
        "flyte.run(main)",
        output="bz2.0",
        absent=("json", "collections", "xml.dom", " pi"),
    ),
    shape(
        "tasks without a decorator line, and environments made of others",
        START,
        "other = env.clone_with('other', env_vars={'A': '1'})\ndef plain(x: int) -> int:\n    return x + 1\nadd = env.task(plain)\nadd2 = other.task(retries=1)(plain)",
        "@other.task(short_name='m')\nasync def main() -> int:\n    return await add.aio(1) + await add2.override(short_name='z').aio(2)",
        "flyte.run(main)",
        output=5,
    ),
    shape(
        "steps that are traced",
        START,
        "@flyte.trace\nasync def step(x: int) -> int:\n    return x + 1",
        "@env.task\nasync def main() -> int:\n    return await step(await step(1))",
        "flyte.run(main)",
        output=3,
    ),
    shape(
        "recursion, and functions that call each other",
        START,
        "def even(n):\n    return n == 0 or odd(n - 1)",
        "def odd(n):\n    return n != 0 and even(n - 1)",
        "@env.task\nasync def depth(n: int) -> int:\n    return 1 if n == 0 or not even(2) else 1 + await depth(n - 1)",
        "flyte.run(depth, 3)",
        output=4,
    ),
    shape(
        "texts that are no ASCII",
        START,
        "Größe = 'µ'; Ünit = Größe * 2  # Länge: 你好",
        "@env.task\nasync def main() -> str:\n    return f'{Ünit} 你好'",
        "flyte.run(main)",
        output="µµ 你好",
        present=("# Länge: 你好",),
    ),
    shape(
        "runs that follow each other",
        START,
        DOUBLE,
        "first = flyte.run(double, 2)\nfirst.wait()",
        "n = first.outputs()[0] + 1\nn",
        "second = flyte.run(double, n)",
        output=10,
        present=("first.wait()",),
    ),
    shape(
        "a table in, a table out",
        START + "\nimport functools",
        "@env.task\ndef train(rate: float, depth: int, seed: int = 0) -> dict:\n    if depth == 4:\n        raise ValueError('no four')\n    return {'loss': rate * depth + seed, 'rate': 1}",
        "grid = flyte.grid(rate=[0.5, 0.25], depth=range(3, 5), kind='x')\nlen(grid)",
        "run = flyte.map_frame(functools.partial(train, seed=7), grid, concurrency=2)\nrun.wait()",
        "run.results.sort_values('loss')",
        output="3  0.25      4    x   NaN          NaN     failed  ValueError: no four",
        present=("flyte_grid(rate=[0.5, 0.25], depth=range(3, 5)", "return await map_frame("),
        absent=("sort_values", "flyte.grid", "flyte.map_frame"),
    ),
    shape(
        "names of ours by themselves",
        "from flyte_nb import TaskEnvironment, grid as table, map_frame as sweep",
        "env = TaskEnvironment('e')\n@env.task\nasync def area(width: int, height: float = 1.5) -> float:\n    return width * height",
        "found = await sweep.aio(area, table(wide=[1, 2]), rename={'wide': 'width'})",
        output="1     2     3.0  succeeded  None",
        absent=("import grid", "map_frame as"),
    ),
    shape(
        "a function with a decorator of its own in a task's cell",
        START,
        "def plus(function):\n    def inner(x: int) -> int:\n        return function(x) + 1\n    inner.__name__ = 't'\n    return inner",
        "%%flyte_task --retries 1\n# about it\n@plus\ndef t(x: int) -> int:\n    return x",
        "%%flyte_task\n@env.task\ndef u(x: int) -> int:\n    return x",
        "%%flyte_run\nawait t.aio(1) + await u.aio(2)",
        output=4,
        present=("# about it\n@notebook_env.task(retries=1)\n@plus",),
    ),
    shape(
        "environments in a table, and made by a function",
        START,
        "def made(name):\n    return flyte.TaskEnvironment(name, env_vars={'N': name})\nother = made('o')\nenvs = {'a': flyte.TaskEnvironment('a')}",
        "@envs['a'].task\ndef t() -> int:\n    return 1",
        "@other.task\nasync def u() -> int:\n    return 2 + await t.aio()",
        "flyte.run(u)",
        output=3,
    ),
    shape(
        "functions of a driver that change its variables",
        START,
        DOUBLE,
        "%%flyte_run\ncounter = 0\ndef count():\n    global counter\n    counter += 1\ncount(); count()\nawait double(counter)",
        output=4,
    ),
    shape(
        "lines of a driver that go on, with tabs",
        START,
        DOUBLE,
        "%%flyte_run --group g\ns = ('a'\n  'b')\nt = 'x' \\\n  'y'\nout = []\nfor x in range(2):\n\tif x:\n\t\tout.append(await double(x))\n(out,\n len(s + t))",
        output=([2], 4),
    ),
    shape(
        "helps, shells and cells in other languages",
        START,
        "%%bash\necho hi",
        "!ls\ndouble?",
        DOUBLE,
        "%%html\n<b>",
        "if True:\n    %matplotlib inline\nN = 2",
        "flyte.run(double, N)",
        output=4,
    ),
)
