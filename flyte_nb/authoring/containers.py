"""Checkers for lists, tuples and dicts: what they hold is checked too.

Decides: how items are looked at cheaply, and how a misfit names its place: `[1]`, `['key']`.
Must not know: which annotation means which container.

The quick look flattens one level at a time and asks the items' checker once for all of them, so that 40,000 ints, or
20,000 lists of two, cost a few milliseconds; the slow look, item by item, runs only to name a misfit or to convert.
"""

from collections.abc import Collection
from itertools import chain
from typing import cast

from flyte_nb.authoring.checkers import EVERYTHING, Checker
from flyte_nb.authoring.converting import check_dict
from flyte_nb.authoring.misfits import Mismatch, not_container, shortened, unexpected


class ItemsChecker(Checker):
    """Any number of items of one type: `list[T]`, `tuple[T, ...]`."""

    __slots__ = ("_sources", "container", "item")

    def __init__(self, annotation: object, container: type, item: Checker, *, is_strict: bool = True) -> None:
        super().__init__(annotation, frozenset({container}) if item.exact is EVERYTHING else frozenset())
        self.container = container
        self.item = item
        # Inside tuples and records Flyte makes either out of the other; a tuple is always made.
        self._sources: tuple[type, ...] = (list,) if is_strict and container is list else (tuple, list)

    def accept(self, value: object) -> object:
        """The container, or a copy of it if an item was converted."""
        if not isinstance(value, self._sources):
            raise not_container(self.annotation, self.container, value)
        items = cast("list[object] | tuple[object, ...]", value)
        if not self.item.fit(items):
            items = [self._accept_item(place, item) for place, item in enumerate(items)]
            if all(map(_same, items, cast("list[object]", value))):
                items = cast("list[object]", value)
        return items if isinstance(items, self.container) else self.container(items)

    def fit(self, values: Collection[object]) -> bool:
        """Whether these are all such containers, and all that they hold fits."""
        if not {self.container}.issuperset(map(type, values)):
            return False
        return self.item.fit(list(chain.from_iterable(cast(Collection[Collection[object]], values))))

    def _accept_item(self, place: int, item: object) -> object:
        try:
            return self.item.accept(item)
        except Mismatch as misfit:
            raise misfit.under(f"[{place}]") from None


class TupleChecker(Checker):
    """A tuple of a fixed number of items, each with its own type: `tuple[A, B]`."""

    __slots__ = ("items",)

    def __init__(self, annotation: object, items: tuple[Checker, ...]) -> None:
        super().__init__(annotation)
        self.items = items

    def accept(self, value: object) -> object:
        """The tuple, or a new one if an item was converted."""
        if not isinstance(value, tuple | list):
            raise unexpected(self.annotation, value)
        if len(value) != len(self.items):
            raise Mismatch(f"Tuple length {len(value)} doesn't match expected length {len(self.items)}")
        items = tuple(accept_at(f"[{place}]", checker, item) for place, (checker, item) in enumerate(zip(self.items, value, strict=True)))
        return value if isinstance(value, tuple) and all(map(_same, items, value)) else items

    def fit(self, values: Collection[object]) -> bool:
        """Whether these are all plain tuples of the right length, and each column fits."""
        if not {tuple}.issuperset(map(type, values)):
            return False
        rows = cast(Collection[tuple[object, ...]], values)
        if not {len(self.items)}.issuperset(map(len, rows)):
            return False
        return all(checker.fit([row[place] for row in rows]) for place, checker in enumerate(self.items))


class DictChecker(Checker):
    """Keys of one type and values of another: `dict[K, V]`."""

    __slots__ = ("_is_strict", "item", "key")

    def __init__(self, annotation: object, key: Checker, item: Checker, *, is_strict: bool = True) -> None:
        anything = key.exact is EVERYTHING and item.exact is EVERYTHING
        super().__init__(annotation, frozenset({dict}) if anything else frozenset())
        self.key = key
        self.item = item
        self._is_strict = is_strict

    def accept(self, value: object) -> object:
        """The dict, or a new one if a key or a value was converted."""
        check_dict(self.annotation, value, is_strict=self._is_strict)
        given = cast("dict[object, object]", value)
        if self.key.fit(given) and self.item.fit(given.values()):
            return value
        taken = {
            accept_at(f"[key {shortened(key)}]", self.key, key): accept_at(f"[{shortened(key)}]", self.item, item)
            for key, item in given.items()
        }
        unchanged = all(map(_same, taken, given)) and all(map(_same, taken.values(), given.values()))
        return value if unchanged else taken

    def fit(self, values: Collection[object]) -> bool:
        """Whether these are all plain dicts, and all their keys and values fit."""
        if not {dict}.issuperset(map(type, values)):
            return False
        dicts = cast(Collection[dict[object, object]], values)
        return self.key.fit(list(chain.from_iterable(dicts))) and self.item.fit(list(chain.from_iterable(map(dict.values, dicts))))


def accept_at(step: str, checker: Checker, value: object) -> object:
    """What the checker makes of a value that stands at this place in another."""
    try:
        return checker.accept(value)
    except Mismatch as misfit:
        raise misfit.under(step) from None


def _same(one: object, other: object) -> bool:
    return one is other
