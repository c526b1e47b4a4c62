"""The conversation with views: what is answered, what is sent unasked, and that a view which merges differences has the whole."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from flyte_nb.views.protocol import MAX_PAGE
from flyte_nb.views.session import MAX_FOLLOWED, PUSH_BYTES_PER_SECOND, Session, checked, difference
from tests.fakes.spaces import wait_until


class Reader:
    """Answers from a list of texts that a test changes."""

    def __init__(self) -> None:
        self.texts = [f"row {number}" for number in range(100)]
        self.version = 1

    def rows(self, request: Any) -> Any:
        """A page."""
        page = self.texts[request["offset"] : request["offset"] + request["count"]]
        rows = [{"row": request["offset"] + place, "look": "queued", "cells": [text], "seconds": None} for place, text in enumerate(page)]
        catalog = [{"key": "value", "title": "Value"}]
        about = {"kind": "rows", "view": request["view"], "id": request["id"], "version": self.version, "offset": request["offset"]}
        return about | {
            "total": len(self.texts),
            "columns": ["value"],
            "catalog": catalog,
            "rows": rows,
            "changed": {},
            "length": len(rows),
        }

    def groups(self, request: Any) -> Any:
        """A page of no lines."""
        return {"kind": "groups", "view": request["view"], "id": request["id"], "version": self.version, "offset": 0, "rows": []}

    def spread(self, request: Any) -> Any:
        """No columns."""
        return {"kind": "spread", "view": request["view"], "id": request["id"], "version": self.version, "columns": request["columns"]}

    def timeline(self, request: Any) -> Any:
        """No lanes; the time goes on."""
        return {"kind": "timeline", "view": request["view"], "id": request["id"], "version": self.version, "now": self.version, "lanes": []}

    def rich(self, request: Any) -> Any:
        """Nothing to show."""
        return {"kind": "rich", "view": request["view"], "id": request["id"], "error": f"{request['form']}: none"}

    def detail(self, request: Any) -> Any:
        """One row."""
        text = self.texts[request["row"]]
        return {"kind": "detail", "view": request["view"], "id": request["id"], "version": self.version, "words": text}


class Orders:
    """Remembers orders."""

    def __init__(self) -> None:
        self.aborted: list[int] = []

    def abort(self, row: int) -> None:
        """Remember it."""
        self.aborted.append(row)

    def rerun(self, row: int) -> str:
        """Only the run can be repeated."""
        if row:
            raise ValueError("not this one")
        return "rnew"


class Talk:
    """A session with fakes around it, and a clock that stands still."""

    def __init__(self) -> None:
        self.reader, self.orders, self.now = Reader(), Orders(), 0.0
        self.sent: list[Any] = []
        self.session = Session(self.reader, self.sent.append, self.orders, clock=lambda: self.now)

    def ask(self, kind: str, view: str = "v1", **more: object) -> Any:
        """Send a request; returns the answer."""
        self.session.receive({"kind": kind, "view": view, "id": 7, "follow": True, "count": 20, **more})
        return self.sent[-1]

    def push(self, **more: bool) -> list[Any]:
        """One tick, long after the last; returns what was sent."""
        self.now += 1000
        before = len(self.sent)
        self.session.push(**more)
        return self.sent[before:]


@pytest.fixture
def talk() -> Talk:
    """Return a session with fakes."""
    return Talk()


def test_a_request_is_answered_whole(talk: Talk) -> None:
    """With the request's view and id, and a number that a difference can refer to."""
    answer = talk.ask("rows", offset=10)

    assert (answer["view"], answer["id"], answer["base"], answer["number"]) == ("v1", 7, 0, 1)
    assert [row["cells"] for row in answer["rows"]][:2] == [["row 10"], ["row 11"]]


def test_only_differences_are_sent_unasked(talk: Talk) -> None:
    """A row that changed, and no catalog that the view has."""
    talk.ask("rows")
    talk.reader.texts[3] = "changed"

    (message,) = talk.push()

    assert (message["base"], message["rows"], list(message["changed"]), message["catalog"]) == (1, [], ["3"], [])
    assert talk.push() == []


def test_nothing_is_sent_to_who_does_not_follow(talk: Talk) -> None:
    """A view that was hidden, or that asked once."""
    talk.ask("rows", follow=False)
    talk.ask("groups")
    talk.session.receive({"kind": "stop", "view": "v1", "id": 8, "what": ""})
    talk.reader.texts[0] = "changed"

    assert (talk.push(), talk.session.followed_count) == ([], 0)


def test_a_view_that_merges_differences_has_the_whole(talk: Talk) -> None:
    """Rows that change, come and go."""
    held = talk.ask("rows", offset=90)["rows"]
    for step in range(12):
        talk.reader.texts = [*talk.reader.texts[: 95 + step % 7], f"new {step}"]
        talk.reader.texts[91] = f"changed {step}"
        for message in talk.push():
            held = message["rows"] if not message["base"] else held[: message["length"]]
            for place, row in message["changed"].items():
                held[int(place) :] = [row, *held[int(place) + 1 :]]
        fresh = talk.reader.rows({"view": "", "id": 0, "offset": 90, "count": 20})["rows"]
        assert held == fresh


def test_the_last_word_is_whole(talk: Talk) -> None:
    """A message may have been lost on the way."""
    talk.ask("rows")

    (message,) = talk.push(whole=True)

    assert (message["base"], len(message["rows"])) == (0, 20)


def test_what_is_sent_unasked_stays_within_its_budget(talk: Talk) -> None:
    """Whatever changes, and however many look."""
    for number in range(5):
        talk.ask("rows", view=f"v{number}", count=60)
    before = len(talk.sent)
    for tick in range(100):
        talk.now += 0.2
        talk.reader.texts = [f"{'long ' * 20}{tick} {number}" for number in range(100)]
        talk.session.push()
    sent = sum(len(json.dumps(message)) for message in talk.sent[before:])
    largest = max(len(json.dumps(message)) for message in talk.sent[before:])

    assert 0 < sent <= PUSH_BYTES_PER_SECOND * 20 + 5 * largest


def test_a_tick_does_not_wait_for_a_slow_answer(talk: Talk) -> None:
    """The painter serves all views; a sort of a million rows in one must not stop the others."""
    talk.ask("rows")
    talk.reader.texts[0] = "changed"
    begun, go_on = threading.Event(), threading.Event()

    def slow(request: Any) -> Any:
        begun.set()
        go_on.wait(10)
        return Reader.rows(talk.reader, request)

    talk.reader.rows = slow  # type: ignore[method-assign]  # a slow one
    other = threading.Thread(target=talk.ask, args=("rows", "v2"))
    other.start()
    begun.wait(10)
    sent = talk.push()
    go_on.set()
    other.join(10)

    assert sent == []


def test_who_asks_waits_for_one_answer_of_a_tick_and_not_for_all(talk: Talk) -> None:
    """A tick makes way for a click: what it had not come to is sent with the next one."""
    talk.ask("rows")
    talk.ask("detail", row=0)
    talk.reader.texts[0] = "changed"
    begun, go_on = threading.Event(), threading.Event()

    def slow(request: Any) -> Any:
        begun.set()
        go_on.wait(10)
        return Reader.rows(talk.reader, request)

    talk.reader.rows = slow  # type: ignore[method-assign]  # a slow one
    tick = threading.Thread(target=talk.push)
    tick.start()
    begun.wait(10)
    asker = threading.Thread(target=talk.ask, args=("groups", "v2"))
    asker.start()
    wait_until(lambda: bool(talk.session._waiting))
    before = len(talk.sent)
    go_on.set()
    tick.join(10)
    asker.join(10)

    assert [message["kind"] for message in talk.sent[before:]] == ["rows", "groups"]
    assert [message["kind"] for message in talk.push()] == ["detail"]


def test_the_oldest_followers_are_forgotten(talk: Talk) -> None:
    """Tabs are closed without a word; what they followed must not be worked on for ever."""
    for number in range(MAX_FOLLOWED + 5):
        talk.ask("rows", view=f"v{number}")

    assert talk.session.followed_count == MAX_FOLLOWED


def test_commands_are_carried_out_and_answered(talk: Talk) -> None:
    """Also with why not."""
    assert talk.ask("abort", row=3) == {"kind": "done", "view": "v1", "id": 7, "ok": True, "message": "", "run": ""}
    assert talk.ask("rerun")["run"] == "rnew"
    assert (talk.ask("rerun", row=5)["ok"], talk.sent[-1]["message"]) == (False, "not this one")
    assert talk.orders.aborted == [3]


def test_an_answer_that_raises_is_told(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    """Else the view would wait for ever."""
    answer = talk.ask("detail", row=5_000)

    assert (answer["ok"], "IndexError" in answer["message"]) == (False, True)
    assert "could not be answered" in caplog.text


def test_the_tabs_questions_are_answered_and_followed(talk: Talk) -> None:
    """Histograms, timeline and rich output; what did not change is not sent again, whatever the clock says."""
    assert talk.ask("spread", columns=["in:x"], marked=-5)["columns"] == ["in:x"]
    assert talk.ask("timeline", pixels=100, start="soon")["lanes"] == []
    assert talk.ask("rich", row=1, form="png")["error"] == "png: none"
    talk.reader.version += 1
    assert talk.push() == []


@pytest.mark.parametrize(
    "content",
    [
        None,
        7,
        [],
        {},
        {"kind": "rows"},
        {"kind": "rows", "view": 3},
        {"kind": "__class__", "view": "v"},
        {"kind": [], "view": "v"},
        {"view": "v"},
    ],
)
def test_what_is_no_request_is_dropped(talk: Talk, content: object) -> None:
    """Without an answer, and without an exception."""
    talk.session.receive(content)

    assert talk.sent == []


def test_fields_of_the_wrong_type_become_defaults() -> None:
    """What reaches the reader has the types that it expects."""
    wild = {"follow": "yes", "query": {"looks": ["failed", "<b>", 3], "search": 5, "sort": [{"by": 1}, 7], "node": "n"}, "columns": "x"}

    assert checked({"kind": "rows", "view": "v", "id": -3, "offset": 1.5, "count": 10**9, **wild}) == {
        "kind": "rows",
        "view": "v",
        "id": 0,
        "follow": False,
        "query": {
            "table": "actions",
            "looks": ["failed"],
            "node": "n",
            "task": "",
            "cause": "",
            "search": "",
            "sort": [{"by": "", "down": False}],
            "hold": False,
            "causes": False,
        },
        "columns": [],
        "offset": 0,
        "count": MAX_PAGE,
    }
    assert checked({"kind": "groups", "view": "v", "sort": "'; drop"}) == {
        "kind": "groups",
        "view": "v",
        "id": 0,
        "follow": False,
        "open": [],
        "sort": "failures",
        "offset": 0,
        "count": 0,
    }


def test_a_detail_is_sent_again_when_it_says_something_else() -> None:
    """Not for a change of the run that does not concern it."""
    before = {"kind": "detail", "version": 1, "words": "running"}

    assert difference(before, {**before, "version": 2}) is None
    assert difference(before, {**before, "words": "succeeded"}) == {**before, "words": "succeeded"}
