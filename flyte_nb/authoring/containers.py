"""Checkers for lists, sets, tuples and dicts: what they hold is checked too.

Decides: how items are looked at cheaply, and how a misfit names its place: `[1]`, `['key']`.
Must not know: which annotation means which container.

The quick look flattens one level at a time and asks the items' checker once for all of them, so that 40,000 ints, or
20,000 lists of two, cost a few milliseconds; the slow look, item by item, runs only to name a misfit or to convert.
"""

from collections import deque
from collections.abc import Collection, Mapping
from itertools import chain
from typing import Final, cast

from flyte_nb.authoring.checkers import EVERYTHING, Checker, Mismatch, shortened, unexpected

# What other containers hold is not looked at: it may be lazy, endless or dear.
_LOOKED_INTO: Final = (list, tuple, set, frozenset, deque)
_NUMBERED: Final = (list, tuple, deque)


class ItemsChecker(Checker):
    """Any number of items of one type: `list[T]`, `set[T]`, `tuple[T, ...]`, `Sequence[T]`."""

    __slots__ = ("container", "item")

    def __init__(self, annotation: object, container: type, item: Checker) -> None:
        super().__init__(annotation, frozenset({container}) if item.exact is EVERYTHING else frozenset())
        self.container = container
        self.item = item

    def accept(self, value: object) -> object:
        """The container, or a copy of it if an item was converted."""
        if not isinstance(value, self.container):
            raise self._not_one(value)
        if not isinstance(value, _LOOKED_INTO) or self.item.fit(value):
            return value
        items = [self._accept_item(place, item, value) for place, item in enumerate(value)]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return next(plain for plain in _LOOKED_INTO if isinstance(value, plain))(items)

    def fit(self, values: Collection[object]) -> bool:
        """Whether these are all such containers, and all that they hold fits."""
        if not {self.container}.issuperset(map(type, values)) or self.container not in _LOOKED_INTO:
            return False
        return self.item.fit(list(chain.from_iterable(cast(Collection[Collection[object]], values))))

    def _accept_item(self, place: int, item: object, value: object) -> object:
        try:
            return self.item.accept(item)
        except Mismatch as misfit:
            step = f"[{place}]" if isinstance(value, _NUMBERED) else f"[{shortened(item)}]"
            raise misfit.under(step) from None

    def _not_one(self, value: object) -> Mismatch:
        if self.container in {list, tuple} and isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping):
            return unexpected(self.annotation, value, f"pass {self.container.__name__}(...)")
        return unexpected(self.annotation, value)


class TupleChecker(Checker):
    """A tuple of a fixed number of items, each with its own type: `tuple[A, B]`."""

    __slots__ = ("items",)

    def __init__(self, annotation: object, items: tuple[Checker, ...]) -> None:
        super().__init__(annotation)
        self.items = items

    def accept(self, value: object) -> object:
        """The tuple, or a new one if an item was converted."""
        if not isinstance(value, tuple):
            raise unexpected(self.annotation, value)
        if len(value) != len(self.items):
            raise Mismatch(f"Expected {len(self.items)} items for {self.annotation} but got {len(value)}: {shortened(value)}")
        items = tuple(accept_at(f"[{place}]", checker, item) for place, (checker, item) in enumerate(zip(self.items, value, strict=True)))
        return value if all(map(_same, items, value)) else items

    def fit(self, values: Collection[object]) -> bool:
        """Whether these are all plain tuples of the right length, and each column fits."""
        if not {tuple}.issuperset(map(type, values)):
            return False
        rows = cast(Collection[tuple[object, ...]], values)
        if not {len(self.items)}.issuperset(map(len, rows)):
            return False
        return all(checker.fit([row[place] for row in rows]) for place, checker in enumerate(self.items))


class DictChecker(Checker):
    """Keys of one type and values of another: `dict[K, V]`, `Mapping[K, V]`."""

    __slots__ = ("container", "item", "key")

    def __init__(self, annotation: object, container: type, key: Checker, item: Checker) -> None:
        anything = key.exact is EVERYTHING and item.exact is EVERYTHING
        super().__init__(annotation, frozenset({container}) if anything else frozenset())
        self.container = container
        self.key = key
        self.item = item

    def accept(self, value: object) -> object:
        """The dict, or a new one if a key or a value was converted."""
        if not isinstance(value, self.container):
            raise unexpected(self.annotation, value)
        if not isinstance(value, dict) or (self.key.fit(value) and self.item.fit(value.values())):
            return value
        taken = {
            accept_at(f"[key {shortened(key)}]", self.key, key): accept_at(f"[{shortened(key)}]", self.item, item)
            for key, item in value.items()
        }
        unchanged = all(map(_same, taken, value)) and all(map(_same, taken.values(), value.values()))
        return value if unchanged else taken

    def fit(self, values: Collection[object]) -> bool:
        """Whether these are all plain dicts, and all their keys and values fit."""
        if self.container is not dict or not {dict}.issuperset(map(type, values)):
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
