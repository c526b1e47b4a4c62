"""Decides how cells are taken apart into statements, each with its comments, and what a statement changes beyond the names that it binds.

Must not know: which statements are needed, or where they go.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from flyte_nb.exporting.names import FUNCTIONS, Uses, uses_of, words

#: Methods that change what they are called on; of others it cannot be told from the text.
CHANGING = words(
    "add add_dependency append appendleft basicConfig clear compile discard eval extend extendleft filterwarnings fit fit_transform freeze "
    "insert load_state_dict load_weights makedirs manual_seed mkdir partial_fit pop popitem popleft register remove reverse seed "
    "setLevel set_params setdefault simplefilter sort touch train update write_bytes write_text"
)
#: Packages that draw: what is set there is no matter of a task.
DRAWING = words("IPython altair bokeh holoviews ipywidgets matplotlib plotly seaborn")


@dataclass(frozen=True, slots=True)
class TaskLine:
    """What a `%%flyte_task` line says; None where it says nothing."""

    env: str
    retries: int = 0
    timeout: float = 0
    cache: str | None = None
    cpu: str | None = None
    memory: str | None = None
    short_name: str | None = None
    out: str | None = None

    def settings(self) -> dict[str, str]:
        """The arguments of `@env.task(...)` as code, by name."""
        seconds = int(self.timeout) if self.timeout == int(self.timeout) else self.timeout
        given = {
            "retries": str(self.retries) if self.retries else "",
            "timeout": "" if not seconds else str(seconds) if isinstance(seconds, int) else f"timedelta(seconds={seconds})",
            "cache": repr(self.cache) if self.cache else "",
            "short_name": repr(self.short_name) if self.short_name else "",
        }
        return {name: value for name, value in given.items() if value}

    def resources(self) -> str:
        """The arguments of `Resources(...)`, or nothing."""
        return ", ".join(f"{name}={value!r}" for name, value in (("cpu", self.cpu), ("memory", self.memory)) if value is not None)


@dataclass(frozen=True, slots=True)
class DriverLine:
    """What a `%%flyte_run` line says.

    Attributes:
        out: the name of the run, or "".
        group: the group that calls belong to, or "".
        silenced: the last line ends in a semicolon, so its value is not the run's output.
    """

    out: str = ""
    group: str = ""
    silenced: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell, or a file that a cell ran.

    Attributes:
        label: how a reader finds it, such as `In[3]`.
        source: Python; magics stand there as IPython writes them, `get_ipython()...`.
        failed_at: the line at which it failed: what stands before it has happened. None if it did not fail.
    """

    label: str
    source: str
    task: TaskLine | None = None
    driver: DriverLine | None = None
    failed_at: int | None = None


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement at the top level of a cell.

    Attributes:
        number: its place in the order in which all statements ran.
        first: its first line in the cell, its comments included.
        is_task: it is the function of a `%%flyte_task` cell.
    """

    number: int
    cell: Cell
    node: ast.stmt
    first: int
    is_task: bool = False

    @functools.cached_property
    def uses(self) -> Uses:
        """Names that it binds and reads."""
        return uses_of([self.node])

    @functools.cached_property
    def binds(self) -> frozenset[str]:
        """Names that have a value from it."""
        out = {self.cell.task.out} if self.is_task and self.cell.task is not None and self.cell.task.out else set()
        return frozenset(self.uses.binds | out)

    @functools.cached_property
    def changes(self) -> frozenset[str]:
        """Variables whose values it changes in place."""
        return frozenset(_changed(self.node))

    @property
    def where(self) -> str:
        """Cell and line."""
        return f"{self.cell.label}, line {self.node.lineno}"

    @functools.cached_property
    def alike(self) -> str:
        """Equal for statements that say the same."""
        return f"{ast.dump(self.node)} {self.cell.task if self.is_task else ''}"


def statements_of(cells: list[Cell]) -> list[Statement]:
    """All statements of cells that ran, in order; what failed and what is no Python is left out."""
    found: list[Statement] = []
    for cell in cells:
        try:
            tree = ast.parse(cell.source)
        except (SyntaxError, ValueError):
            continue
        task = next((node for node in reversed(tree.body) if isinstance(node, FUNCTIONS)), None) if cell.task is not None else None
        last = 0
        for node in _plain(tree.body):
            start = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            first = _with_comments(cell.source.split("\n"), last, start)
            last = node.end_lineno or node.lineno
            if cell.failed_at is None or last < cell.failed_at:
                found.append(Statement(len(found), cell, node, first, node is task))
    return found


def _plain(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a cell; what is meant for scripts stands among them."""
    for node in body:
        if isinstance(node, ast.If) and "__name__" in ast.dump(node.test) and "__main__" in ast.dump(node.test):
            yield from node.body
        else:
            yield node


def _with_comments(lines: list[str], last: int, start: int) -> int:
    """The first of the comment lines that stand right above a line; lines are counted from 1."""
    first = start
    while first - 1 > last and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first


# ------------------------------------------------------------------ what changes
def root_of(node: ast.AST) -> str:
    """The variable that an expression such as `a.b[0].c` starts from, or ""."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    """`a.b.c` as a text; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        start = dotted(node.value)
        return f"{start}.{node.attr}" if start else ""
    return ""


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all within it that runs with it: of functions and classes what stands around their bodies."""
    yield node
    if isinstance(node, (*FUNCTIONS, ast.Lambda)):
        around = [*getattr(node, "decorator_list", []), *node.args.defaults, *filter(None, node.args.kw_defaults)]
    elif isinstance(node, ast.ClassDef):
        around = [*node.decorator_list, *node.bases]
    else:
        around = list(ast.iter_child_nodes(node))
    for child in around:
        yield from own_nodes(child)


def _changed(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return
    for each in own_nodes(node):
        if isinstance(each, ast.Assign | ast.Delete):
            targets = [part for target in each.targets for part in _parts(target)]
            yield from (root_of(target) for target in targets if isinstance(target, ast.Attribute | ast.Subscript) and root_of(target))
        elif isinstance(each, ast.AugAssign | ast.AnnAssign) and isinstance(each.target, ast.Attribute | ast.Subscript):
            yield from (name for name in (root_of(each.target),) if name)
        elif isinstance(each, ast.Expr) and (name := _called_on(each.value)):
            yield name


def _parts(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for each in target.elts:
            yield from _parts(each)
    else:
        yield target


def _called_on(node: ast.expr) -> str:
    """The variable that a call for its own sake changes, such as `xs.append(1)`, or ""."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return ""
    in_place = any(each.arg == "inplace" and isinstance(each.value, ast.Constant) and each.value.value is True for each in node.keywords)
    return root_of(node.func.value) if in_place or node.func.attr in CHANGING or node.func.attr.endswith("_") else ""
