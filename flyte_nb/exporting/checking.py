"""Decides what the real SDK cannot run of a module, by line.

What is listed here was tried with `flyte` 2.12 in local mode.

Must not know: notebooks.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from flyte_nb.exporting.findings import Finding
from flyte_nb.exporting.flytes import (
    BLOCKING,
    FLYTES,
    INCLUDED,
    INSTEAD,
    INSTEAD_OF_RUN,
    MODULES,
    ONLY_OUR_ARGUMENTS,
    RUN,
    TOP,
    FlyteNames,
)
from flyte_nb.exporting.names import FUNCTIONS, uses_of
from flyte_nb.exporting.statements import dotted, own_nodes, root_of

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_ENUMS = frozenset({"Enum", "Flag", "IntFlag"})
_TUPLES = frozenset({"tuple", "Tuple"})


@dataclass
class _Facts:
    """What is known of a module: its tasks, enums with values that are no text, environments."""

    flyte: FlyteNames
    environments: set[str] = field(default_factory=set)
    tasks: dict[str, _Function] = field(default_factory=dict)
    enums: set[str] = field(default_factory=set)


def check(tree: ast.Module, tasks: Collection[str] = ()) -> list[Finding]:
    """What the real SDK cannot run of a module.

    Args:
        tree: the module.
        tasks: names of tasks that it has, beside those that can be told by their decorators.
    """
    facts = _facts(tree, tasks)
    found = [*_undefined(tree), *_names(tree, facts.flyte), *_arguments(tree, facts.flyte)]
    for task in facts.tasks.values():
        found += [*_interface(task, facts)]
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            found += _blocking(node, facts)
        if isinstance(node, (*FUNCTIONS, ast.Module)):
            found += _handles(node, facts.flyte)
    return sorted(set(found), key=lambda each: each.line)


def _facts(tree: ast.Module, tasks: Collection[str]) -> _Facts:
    facts = _Facts(FlyteNames.of([tree], FLYTES))
    for node in tree.body:
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign) and isinstance(value, ast.Call):
            is_clone = isinstance(value.func, ast.Attribute) and value.func.attr == "clone_with"
            if is_clone or (facts.flyte.path(value.func) or "").startswith(("TaskEnvironment", "Environment")):
                facts.environments.update(each.id for each in node.targets if isinstance(each, ast.Name))
        if isinstance(node, FUNCTIONS) and (node.name in tasks or any(_is_task(each, facts) for each in node.decorator_list)):
            facts.tasks[node.name] = node
        if isinstance(node, ast.Assign) and isinstance(value, ast.Call) and _is_task(value.func, facts) and value.args:
            function = next((each for each in tree.body if isinstance(each, FUNCTIONS) and each.name == dotted(value.args[0])), None)
            if function is not None and isinstance(node.targets[0], ast.Name):
                facts.tasks[node.targets[0].id] = function
        if isinstance(node, ast.ClassDef) and any(dotted(base).rpartition(".")[2] in _ENUMS for base in node.bases):
            values = [each.value for each in node.body if isinstance(each, ast.Assign)]
            if any(isinstance(each, ast.Constant) and not isinstance(each.value, str) for each in values):
                facts.enums.add(node.name)
    return facts


def _is_task(decorator: ast.expr, facts: _Facts) -> bool:
    while isinstance(decorator, ast.Call):
        decorator = decorator.func
    if not isinstance(decorator, ast.Attribute) or decorator.attr != "task":
        return False
    return root_of(decorator) in facts.environments or root_of(decorator).endswith("env")


# ------------------------------------------------------------------ names
def _undefined(tree: ast.Module) -> Iterator[Finding]:
    uses = uses_of(tree.body)
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return
    known = uses.binds | uses.shared | set(dir(builtins)) | {"__file__"}
    for name in sorted((uses.now | uses.later) - known):
        line = min(node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name)
        yield Finding("problem", f"`{name}` is defined nowhere in the module", line=line)


def _names(tree: ast.Module, flyte: FlyteNames) -> Iterator[Finding]:
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == FLYTES and not node.level:
            start = (node.module or "").partition(".")[2]
            for each in [name for name in node.names if name.name != "*"]:
                yield from _about(f"{start}.{each.name}".lstrip("."), node.lineno)
        elif isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
            path = flyte.path(node)
            if path and dotted(node).partition(".")[0] in flyte.modules:
                yield from _about(path, node.lineno)


def _about(path: str, line: int) -> Iterator[Finding]:
    first, _, rest = path.partition(".")
    inside = {**MODULES, **INCLUDED}
    member = rest.partition(".")[0]
    if first not in TOP | MODULES.keys():
        yield Finding("problem", f"`flyte.{first}` is a name that only flyte_nb has", INSTEAD.get(first, ""), line)
    elif first in inside and member and member not in inside[first] and not member.startswith("__"):
        yield Finding("problem", f"`flyte.{first}.{member}` is a name that only flyte_nb has", "", line)


def _arguments(tree: ast.Module, flyte: FlyteNames) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            path = (flyte.path(node.func) or "").removesuffix(".aio")
            name = "override" if isinstance(node.func, ast.Attribute) and node.func.attr == "override" else path
            for keyword in node.keywords:
                if keyword.arg in ONLY_OUR_ARGUMENTS.get(name, ()):
                    what = f"`{keyword.arg}=` of `{'flyte.' * (name == path)}{name}` is an argument that only flyte_nb has"
                    yield Finding("problem", what, "leave it out", keyword.value.lineno)


# ------------------------------------------------------------------ interfaces of tasks
def _interface(task: _Function, facts: _Facts) -> Iterator[Finding]:
    returned = [node for node in own_nodes_of(task) if isinstance(node, ast.Return) and node.value is not None]
    returned = [node for node in returned if not (isinstance(node.value, ast.Constant) and node.value.value is None)]
    if task.returns is None and returned:
        what = f"task `{task.name}` has no return annotation, and returns something"
        yield Finding("problem", what, "write `-> type`: the call fails otherwise", task.lineno)
    several = next((node for node in returned if isinstance(node.value, ast.Tuple)), None)
    if task.returns is not None and several is not None and not _is_tuple(_unquoted(task.returns)):
        what = f"task `{task.name}` returns a tuple, which the SDK takes for several outputs"
        yield Finding("problem", what, "write `-> tuple[...]`, or return a list", several.lineno)
    if task.returns is not None:
        why = _refused_output(_unquoted(task.returns))
        if why:
            yield Finding("problem", f"task `{task.name}` returns {why}", "return a list, or a dataclass", task.returns.lineno)
    annotations = [each.annotation for each in [*task.args.posonlyargs, *task.args.args, *task.args.kwonlyargs]]
    for annotation in [*annotations, task.returns]:
        named = {each.id for each in ast.walk(annotation) if isinstance(each, ast.Name)} & facts.enums if annotation is not None else set()
        if annotation is not None and named:
            what = f"task `{task.name}` takes or returns `{min(named)}`, an enum whose values are no texts"
            yield Finding("problem", what, "give it values of str, or make it an IntEnum", annotation.lineno)


def own_nodes_of(function: _Function) -> Iterator[ast.AST]:
    """What stands in a function itself, and not in functions within it."""
    for each in function.body:
        yield from own_nodes(each)


def _unquoted(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return node
    return node


def _is_tuple(node: ast.expr) -> bool:
    """Whether an annotation may be one of several outputs: a tuple, or a class of the user's (a NamedTuple)."""
    name = dotted(node.value if isinstance(node, ast.Subscript) else node).rpartition(".")[2]
    return name in _TUPLES or (name not in {"Any", "list", "dict", "object"} and not hasattr(builtins, name))


def _refused_output(node: ast.expr) -> str:
    """Why a return annotation cannot be an output, or ""."""
    if dotted(node).rpartition(".")[2] in _TUPLES:
        return "`tuple`, which has to say what is in it"
    if dotted(node).rpartition(".")[2] in {"OrderedDict", "Exception", "BaseException"}:
        return f"`{dotted(node)}`, which it cannot carry"
    if not isinstance(node, ast.Subscript) or dotted(node.value).rpartition(".")[2] not in _TUPLES:
        return ""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if any(isinstance(each, ast.Constant) and each.value is Ellipsis for each in parts):
        return "a tuple of any length"
    return "a tuple of one" if len(parts) == 1 else ""


# ------------------------------------------------------------------ calls that block
def _blocking(function: ast.AsyncFunctionDef, facts: _Facts) -> Iterator[Finding]:
    for node in own_nodes_of(function):
        if not isinstance(node, ast.Call):
            continue
        path = facts.flyte.path(node.func)
        task = facts.tasks.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if isinstance(task, ast.FunctionDef):
            what = f"`{task.name}` is called in a blocking way from async code"
            yield Finding("problem", what, f"`await {task.name}.aio(...)`", node.lineno)
        elif path == "map":
            what = "`flyte.map` blocks, which async code must not"
            yield Finding("problem", what, "`[each async for each in flyte.map.aio(...)]`", node.lineno)
        elif path in BLOCKING:
            yield Finding("problem", f"`flyte.{path}` blocks, which async code must not", f"`await flyte.{path}.aio(...)`", node.lineno)


# ------------------------------------------------------------------ handles of runs
def _handles(scope: _Function | ast.Module, flyte: FlyteNames) -> Iterator[Finding]:
    """What is asked of variables that hold a run, and that only our runs have."""
    nodes = list(own_nodes_of(scope)) if not isinstance(scope, ast.Module) else [each for one in scope.body for each in own_nodes(one)]
    runs = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and any(flyte.starts_run(each) for each in own_nodes(node.value)) and _is_handle(node.value, flyte)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in runs and node.attr not in RUN:
            what = f"`{node.value.id}.{node.attr}`: only runs of flyte_nb have `{node.attr}`"
            yield Finding("problem", what, INSTEAD_OF_RUN.get(node.attr, ""), node.lineno)


def _is_handle(node: ast.expr, flyte: FlyteNames) -> bool:
    """Whether an expression is the handle of a run, and not something of it."""
    node = node.value if isinstance(node, ast.Await) else node
    if not isinstance(node, ast.Call):
        return False
    func = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr == "aio" else node.func
    if flyte.path(func) in {"run", "rerun"}:
        return True
    return isinstance(func, ast.Attribute) and func.attr in {"run", "rerun"} and flyte.starts_run(func.value)
