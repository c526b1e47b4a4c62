"""Decides how the kernel talks with the views of one run: what a browser may ask, and what is sent unasked, how often.

A browser is not to be trusted with types: every field of a request is checked, and what does not fit is dropped. A
request is answered at once, on the thread that brought it. What a view follows is looked at again on every tick of the
painter, on the painter's thread; only differences are sent, and never more than a budget of bytes a second, so that
neither a large run nor many views can flood the connection.

Must not know: widgets, how rows are found, or what a run is.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from flyte_nb.views.protocol import (
    MAX_PAGE,
    Answer,
    DetailRequest,
    DoneAnswer,
    GroupsRequest,
    Look,
    Query,
    Request,
    RowsRequest,
    Sort,
)
from flyte_nb.views.protocol_tabs import SpreadRequest, TabAnswer, TabRequest, TabsReader, TimelineRequest

#: Bytes a second that are sent unasked, over all views of a run, with what Jupyter puts around a message (the header
#: comes on top: about 6 KB/s on the wire).
PUSH_BYTES_PER_SECOND, ENVELOPE_BYTES = 3_000, 600
#: Views that follow something at once; older ones are forgotten, and ask again when they are seen.
MAX_FOLLOWED = 24
_LONGEST_TEXT, _MOST_KEYS, _MOST_COLUMNS, _LARGEST = 1_000, 2_000, 60, 2**53
_FOLLOWABLE = frozenset({"rows", "groups", "detail", "spread", "timeline"})

_log = logging.getLogger(__name__)

Key = tuple[str, str]
Question = RowsRequest | GroupsRequest | DetailRequest | SpreadRequest | TimelineRequest


class Commands(Protocol):
    """What a view may order."""

    def abort(self, row: int) -> None:
        """Stop an action; row 0 is the run."""
        ...

    def rerun(self, row: int) -> str:
        """Start a new run; returns its name."""
        ...


@dataclass(slots=True)
class _Followed:
    """Something that a view keeps an eye on, and the last that it was told."""

    request: Question
    answer: Any


class Session:
    """The conversation with all views of one run.

    Args:
        reader: answers questions about the run.
        send: brings a message to every view; called from any thread.
        commands: what views may order.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        reader: TabsReader,
        send: Callable[[Answer | TabAnswer], None],
        commands: Commands,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._send = send
        self._commands = commands
        self._clock = clock
        self._guard = threading.RLock()
        self._followed: OrderedDict[Key, _Followed] = OrderedDict()
        self._quiet_until = 0.0
        self._number = 0
        self._waiting: list[int] = []

    @property
    def followed_count(self) -> int:
        """How many things are followed."""
        return len(self._followed)

    def receive(self, content: object) -> None:
        """Take a message from a browser; never raises."""
        request = checked(content)
        if request is None:
            return
        try:
            self._handle(request)
        except Exception as error:  # noqa: BLE001 - a message handler: what leaves it is lost, and the view waits for ever
            _log.exception("a request of a view could not be answered")
            self._send(_done(request, ok=False, message=f"{type(error).__name__}: {error}"))

    def _handle(self, request: Request | TabRequest) -> None:
        if request["kind"] == "stop":
            self._stop(request["view"], request["what"])
        elif request["kind"] == "abort":
            self._commands.abort(request["row"])
            self._send(_done(request, ok=True))
        elif request["kind"] == "rerun":
            try:
                self._send(_done(request, ok=True, run=self._commands.rerun(request["row"])))
            except Exception as error:  # noqa: BLE001 - whatever a new run refuses is for the reader
                self._send(_done(request, ok=False, message=str(error) or type(error).__name__))
        elif request["kind"] == "rich":
            self._send(self._reader.rich(request))
        else:
            self._answer(request)

    def _answer(self, request: Question) -> None:
        self._waiting.append(request["id"])  # a push that goes on makes way
        with self._guard:
            self._waiting.pop()
            answer = self._ask(request)
            if request["follow"]:
                key = (request["view"], request["kind"])
                self._followed[key] = _Followed(request, answer)
                self._followed.move_to_end(key)
                while len(self._followed) > MAX_FOLLOWED:
                    self._followed.popitem(last=False)
        self._send(answer)

    def _ask(self, request: Question) -> Any:
        self._number += 1
        if request["kind"] == "rows":
            return {**self._reader.rows(request), "number": self._number, "base": 0}
        if request["kind"] == "groups":
            return {**self._reader.groups(request), "number": self._number, "base": 0}
        if request["kind"] == "spread":
            return self._reader.spread(request)
        return self._reader.timeline(request) if request["kind"] == "timeline" else self._reader.detail(request)

    def _stop(self, view: str, what: str) -> None:
        with self._guard:
            for key in [key for key in self._followed if key[0] == view and what in {"", key[1]}]:
                del self._followed[key]

    def push(self, *, whole: bool = False) -> bool:
        """Send what changed of what is followed; skipped while a request is being answered or the budget is used up.

        Who asks waits for one answer at most, not for all that is followed; the rest is sent with the next tick.

        Args:
            whole: send all of it, whatever was sent before: the last word, in case that a message was lost.

        Returns:
            Whether it was not skipped.
        """
        if not whole and self._clock() < self._quiet_until:
            return False
        if not self._guard.acquire(blocking=whole):
            return False
        try:
            sent = sum(self._push_one(each, whole=whole) for each in list(self._followed.values()) if whole or not self._waiting)
        finally:
            self._guard.release()
        if sent:
            self._quiet_until = self._clock() + sent / PUSH_BYTES_PER_SECOND
        return True

    def _push_one(self, followed: _Followed, *, whole: bool) -> int:
        before = followed.answer
        after = self._ask(followed.request)
        message = after if whole else difference(before, after)
        if message is None:
            return 0
        followed.answer = after
        self._send(message)
        return len(json.dumps(message)) + ENVELOPE_BYTES


def difference(before: Any, after: Any) -> Any:
    """What must be sent so that a view with one answer has the next; None if nothing changed.

    Of a page, rows that differ; of anything else, all of it.
    """
    if after["kind"] not in {"rows", "groups"}:
        return after if _without(after, "version", "now") != _without(before, "version", "now") else None
    if before["offset"] != after["offset"] or before.get("columns") != after.get("columns"):
        return after
    told = before["rows"]
    changed = {str(place): row for place, row in enumerate(after["rows"]) if place >= len(told) or told[place] != row}
    ignored = ("number", "rows", "version")
    if not changed and _without(after, *ignored) == _without(before, *ignored):
        return None
    message = {**after, "base": before["number"], "rows": [], "changed": changed, "length": len(after["rows"])}
    if "catalog" in after and after["catalog"] == before["catalog"]:
        message["catalog"] = []
    return message


def _without(answer: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in names}


def _done(request: Any, *, ok: bool, message: str = "", run: str = "") -> DoneAnswer:
    return {"kind": "done", "view": request["view"], "id": request["id"], "ok": ok, "message": message, "run": run}


# ------------------------------------------------------------------ what a browser may say
_LOOKS = frozenset(Look.__args__)  # type: ignore[attr-defined]  # a Literal's values
_SORTS = frozenset({"failures", "name", "time", "progress"})


def checked(content: object) -> Request | TabRequest | None:
    """A request with every field of the right type and in range; None if it is none."""
    if not isinstance(content, dict):
        return None
    kind = _text(content.get("kind"))
    make = _CHECKS.get(kind)
    if make is None or not _text(content.get("view")):
        return None
    about = {"kind": kind, "view": content["view"][:_LONGEST_TEXT], "id": _whole(content.get("id"))}
    return cast("Request | TabRequest", about | make(content))


def _rows(content: Mapping[str, Any]) -> dict[str, Any]:
    query = content.get("query")
    return {
        "follow": content.get("follow") is True,
        "query": _query(query if isinstance(query, dict) else {}),
        "columns": _texts(content.get("columns")),
        "offset": _whole(content.get("offset")),
        "count": min(MAX_PAGE, _whole(content.get("count"))),
    }


def _query(query: Mapping[str, Any]) -> Query:
    sorts = query.get("sort")
    looks = cast("list[Look]", [look for look in _texts(query.get("looks")) if look in _LOOKS])
    sort: list[Sort] = [
        {"by": _text(one.get("by")), "down": one.get("down") is True}
        for one in (sorts if isinstance(sorts, list) else [])[:4]
        if isinstance(one, dict)
    ]
    return {
        "table": "results" if query.get("table") == "results" else "actions",
        "looks": looks,
        "node": _text(query.get("node")),
        "task": _text(query.get("task")),
        "cause": _text(query.get("cause")),
        "search": _text(query.get("search")),
        "sort": sort,
        "hold": query.get("hold") is True,
        "causes": query.get("causes") is True,
    }


def _groups(content: Mapping[str, Any]) -> dict[str, Any]:
    sort = content.get("sort")
    return {
        "follow": content.get("follow") is True,
        "open": _texts(content.get("open")),
        "sort": sort if isinstance(sort, str) and sort in _SORTS else "failures",
        "offset": _whole(content.get("offset")),
        "count": min(MAX_PAGE, _whole(content.get("count"))),
    }


def _detail(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "follow": content.get("follow") is True,
        "row": _whole(content.get("row")),
        "log_from": _whole(content.get("log_from")),
        "full": content.get("full") is True,
    }


def _spread(content: Mapping[str, Any]) -> dict[str, Any]:
    query, marked = content.get("query"), content.get("marked")
    return {
        "follow": content.get("follow") is True,
        "query": _query(query if isinstance(query, dict) else {}),
        "columns": _texts(content.get("columns"))[:_MOST_COLUMNS],
        "marked": marked if type(marked) is int and 0 <= marked <= _LARGEST else -1,
    }


def _timeline(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "follow": content.get("follow") is True,
        **{name: _seconds(content.get(name)) for name in ("start", "end", "span")},
        **{name: _whole(content.get(name)) for name in ("pixels", "first", "count")},
    }


def _rich(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"row": _whole(content.get("row")), "form": _text(content.get("form"))}


def _command(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"row": _whole(content.get("row"))}


def _stopped(content: Mapping[str, Any]) -> dict[str, Any]:
    what = content.get("what")
    return {"what": what if isinstance(what, str) and what in _FOLLOWABLE else ""}


def _seconds(value: object) -> float:
    """An instant or a span; 0 for what is none."""
    return float(value) if type(value) in (int, float) and 0 <= value <= _LARGEST else 0.0  # type: ignore[operator, arg-type]  # a number


def _whole(value: object) -> int:
    return max(0, min(_LARGEST, value)) if type(value) is int else 0


def _text(value: object) -> str:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def _texts(values: object) -> list[str]:
    return [_text(value) for value in values[:_MOST_KEYS] if isinstance(value, str)] if isinstance(values, list) else []


_CHECKS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "rows": _rows,
    "groups": _groups,
    "detail": _detail,
    "spread": _spread,
    "timeline": _timeline,
    "rich": _rich,
    "abort": _command,
    "rerun": _command,
    "stop": _stopped,
}
