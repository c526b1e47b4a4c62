"""Decides which names of a notebook a piece of code binds, and which it reads: at once, or when a function in it is called later.

Python's own `symtable` differs between versions where comprehensions are concerned, and knows no order; this walk goes in the order in
which code runs, so that `x = x + 1` reads what was there before and `for i in xs: print(i)` does not.

Must not know: cells, or what the names mean.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


@dataclass
class Uses:
    """What code does with the names of the notebook.

    Attributes:
        binds: names that it gives a value.
        deletes: names that it deletes at its end.
        now: names that it reads when it runs.
        later: names that functions in it read when they are called.
        hints: names in annotations written as text, and in those of local variables: used by readers, maybe by nobody else.
        called: names that a lambda in it reads; it may be called at once.
        shared: names that functions in it declare as global.
    """

    binds: set[str] = field(default_factory=set)
    deletes: set[str] = field(default_factory=set)
    now: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    hints: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)


def uses_of(code: Iterable[ast.AST]) -> Uses:
    """What statements that follow each other do with the names of their module."""
    walk = _Walk()
    for node in code:
        walk.visit(node, walk.top)
    walk.settle()
    return walk.uses


@dataclass
class _Scope:
    kind: str  # module, class, function, comprehension
    parent: _Scope | None = None
    later: bool = False
    in_lambda: bool = False
    bound: set[str] = field(default_factory=set)
    global_names: set[str] = field(default_factory=set)

    def inner(self, kind: str, *, later: bool = False, in_lambda: bool = False) -> _Scope:
        """A scope within this one; what runs later within it does too."""
        return _Scope(kind, self, self.later or later, self.in_lambda or in_lambda)


class _Walk:
    def __init__(self) -> None:
        self.top = _Scope("module")
        self.uses = Uses()
        self._reads: list[tuple[str, _Scope]] = []

    # ------------------------------------------------------------------ walking
    def visit(self, node: ast.AST | None, scope: _Scope) -> None:
        if node is None:
            return
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is not None:
            method(node, scope)
        elif isinstance(node, _COMPREHENSIONS):
            self._comprehension(node, scope)
        else:
            self._all(ast.iter_child_nodes(node), scope)

    def _all(self, nodes: Iterable[ast.AST | None], scope: _Scope) -> None:
        for node in nodes:
            self.visit(node, scope)

    def _name(self, node: ast.Name, scope: _Scope) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read(node.id, scope)
        else:
            self._bind(node.id, scope)
            if isinstance(node.ctx, ast.Del) and scope.kind == "module":
                self.uses.deletes.add(node.id)

    def _read(self, name: str, scope: _Scope) -> None:
        if scope.kind != "module" or name not in scope.bound:
            self._reads.append((name, scope))

    def _bind(self, name: str, scope: _Scope) -> None:
        if name in scope.global_names:
            self._reads.append((name, scope))  # it changes the notebook's variable, so it needs one
            return
        scope.bound.add(name)
        if scope.kind == "module":
            self.uses.binds.add(name)
            self.uses.deletes.discard(name)

    def _global(self, node: ast.Global, scope: _Scope) -> None:
        scope.global_names.update(node.names)
        self.uses.shared.update(node.names)

    def _import(self, node: ast.Import, scope: _Scope) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name.partition(".")[0], scope)

    def _importfrom(self, node: ast.ImportFrom, scope: _Scope) -> None:
        for alias in node.names:
            if alias.name != "*":
                self._bind(alias.asname or alias.name, scope)

    # ------------------------------------------------------------------ statements whose parts run in another order
    def _assign(self, node: ast.Assign, scope: _Scope) -> None:
        self._all([node.value, *node.targets], scope)

    def _augassign(self, node: ast.AugAssign, scope: _Scope) -> None:
        if isinstance(node.target, ast.Name):
            self._read(node.target.id, scope)
        self._all([node.value, node.target], scope)

    def _annassign(self, node: ast.AnnAssign, scope: _Scope) -> None:
        if scope.kind == "function":
            self._hint(node.annotation)
        else:
            self._annotation(node.annotation, scope)
        self.visit(node.value, scope)
        if node.value is not None or not isinstance(node.target, ast.Name):
            self.visit(node.target, scope)

    def _namedexpr(self, node: ast.NamedExpr, scope: _Scope) -> None:
        self.visit(node.value, scope)
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        self._bind(node.target.id, scope)

    def _for(self, node: ast.For | ast.AsyncFor, scope: _Scope) -> None:
        self._all([node.iter, node.target, *node.body, *node.orelse], scope)

    _asyncfor = _for

    def _excepthandler(self, node: ast.ExceptHandler, scope: _Scope) -> None:
        self.visit(node.type, scope)
        before = {name for name in (node.name,) if name and name in self.uses.binds}
        if node.name:
            self._bind(node.name, scope)
        self._all(node.body, scope)
        if scope.kind == "module" and node.name and not before:
            self.uses.binds.discard(node.name)  # Python deletes it at the handler's end

    def _matchas(self, node: ast.MatchAs | ast.MatchStar, scope: _Scope) -> None:
        self._all(ast.iter_child_nodes(node), scope)
        if node.name:
            self._bind(node.name, scope)

    _matchstar = _matchas

    def _matchmapping(self, node: ast.MatchMapping, scope: _Scope) -> None:
        self._all(ast.iter_child_nodes(node), scope)
        if node.rest:
            self._bind(node.rest, scope)

    # ------------------------------------------------------------------ scopes
    def _functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope) -> None:
        self._all(node.decorator_list, scope)
        self._defaults(node.args, scope)
        around = self._typed(node, scope)
        for each in _arguments(node.args):
            self._annotation(each.annotation, around)
        self._annotation(node.returns, around)
        self._bind(node.name, scope)
        inner = around.inner("function", later=True)
        inner.bound.update(each.arg for each in _arguments(node.args))
        self._all(node.body, inner)

    _asyncfunctiondef = _functiondef

    def _lambda(self, node: ast.Lambda, scope: _Scope) -> None:
        self._defaults(node.args, scope)
        inner = scope.inner("function", later=True, in_lambda=True)
        inner.bound.update(each.arg for each in _arguments(node.args))
        self.visit(node.body, inner)

    def _classdef(self, node: ast.ClassDef, scope: _Scope) -> None:
        self._all(node.decorator_list, scope)
        around = self._typed(node, scope)
        self._all([*node.bases, *node.keywords], around)
        self._all(node.body, around.inner("class"))
        self._bind(node.name, scope)

    def _typealias(self, node: ast.AST, scope: _Scope) -> None:  # Python 3.12
        around = self._typed(node, scope).inner("function", later=True)
        self.visit(getattr(node, "value", None), around)
        self.visit(getattr(node, "name", None), scope)

    def _typed(self, node: ast.AST, scope: _Scope) -> _Scope:
        """The scope of a definition's type parameters (Python 3.12), or the scope itself."""
        parameters = getattr(node, "type_params", [])
        if not parameters:
            return scope
        inner = scope.inner("function")
        inner.bound.update(each.name for each in parameters)
        for each in parameters:
            self._all(ast.iter_child_nodes(each), inner)
        return inner

    def _defaults(self, arguments: ast.arguments, scope: _Scope) -> None:
        self._all([*arguments.defaults, *arguments.kw_defaults], scope)

    def _comprehension(self, node: ast.AST, scope: _Scope) -> None:
        inner = scope.inner("comprehension")
        generators: list[ast.comprehension] = getattr(node, "generators", [])
        for number, each in enumerate(generators):
            self.visit(each.iter, inner if number else scope)
            self._all([each.target, *each.ifs], inner)
        self._all([getattr(node, part, None) for part in ("elt", "key", "value")], inner)

    # ------------------------------------------------------------------ annotations
    def _annotation(self, node: ast.expr | None, scope: _Scope) -> None:
        self.visit(node, scope)
        if node is not None:
            self._hint(node)

    def _hint(self, node: ast.AST) -> None:
        if isinstance(node, ast.Subscript) and _last_name(node.value) in {"Literal", "Annotated"}:
            parts = node.slice.elts[:1] if isinstance(node.slice, ast.Tuple) else []
            if _last_name(node.value) == "Annotated":
                self._hint_all(parts)
            return
        if isinstance(node, ast.Name):
            self.uses.hints.add(node.id)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                self._hint(ast.parse(node.value.strip(), mode="eval").body)
            except SyntaxError:
                return
        self._hint_all(ast.iter_child_nodes(node))

    def _hint_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self._hint(node)

    # ------------------------------------------------------------------ the end
    def settle(self) -> None:
        """Sort what was read by where it was read: what is bound around it is not the notebook's."""
        for name, scope in self._reads:
            if not _is_bound(name, scope):
                if not scope.later:
                    self.uses.now.add(name)
                else:
                    self.uses.later.add(name)
                    if scope.in_lambda:
                        self.uses.called.add(name)


def _is_bound(name: str, start: _Scope) -> bool:
    scope: _Scope | None = start
    while scope is not None and scope.kind != "module":
        if name in scope.global_names:
            return False
        if name in scope.bound and (scope.kind != "class" or scope is start):
            return True
        scope = scope.parent
    return False


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    several = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return several + [each for each in (arguments.vararg, arguments.kwarg) if each is not None]


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
