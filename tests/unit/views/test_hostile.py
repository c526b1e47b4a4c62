"""Everything that a user typed is text: the corpus of hostile texts through every field and every view."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flyte_nb.core.events import LogWritten, ReportWritten, TaskFacts
from flyte_nb.core.index import RunEntry
from flyte_nb.core.phases import ActionPhase
from flyte_nb.views.listing import Listing, runs_listing
from flyte_nb.views.live import bundle_of
from flyte_nb.views.livetable import LiveTable
from flyte_nb.views.query import RunQueries
from flyte_nb.views.text import progress_line
from tests.fakes.fake_run import FakeRun
from tests.fakes.hostile import HOSTILE, assert_plain, text_of


class Spoken:
    """A value whose repr is what it is told."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __repr__(self) -> str:
        return self.words


def hostile_run(text: str) -> FakeRun:
    """Return a run whose every text is this one: names, groups, values, errors, reasons, prints, workers, reports."""
    root = TaskFacts("root", text, text)
    leaf = TaskFacts("leaf", f"env.{text}", text, ("x", "y"))  # parameters are names in Python: they cannot hold such texts
    run = FakeRun(f"r-{text}"[:200], root=root)
    rows = run.call(leaf, [(text, Spoken(text)), ({text: text}, [text]), (text, 1), (text, 2)], group=text)
    run.start(rows, worker=text)
    run.succeed(rows[:1], [{text: text, "b": Spoken(text)}], worker=text)
    frame = f'  File "{text}", line 1, in {text}\n    {text}\n'
    run.fail(rows[1], text, text, traceback=f"Traceback (most recent call last):\n{frame}{text}: {text}")
    run.drop(rows[2:3], text)
    run.state.apply(LogWritten(run.name, rows[3], 1, f"{text}\n{text}"))
    run.state.apply(ReportWritten(run.name, rows[3], ((text, text),)))
    return run


def texts_in(message: Any) -> list[str]:
    """Return all texts of a message, keys too."""
    if isinstance(message, dict):
        return [text for key, value in message.items() for text in (str(key), *texts_in(value))]
    if isinstance(message, list | tuple):
        return [text for value in message for text in texts_in(value)]
    return [message] if isinstance(message, str) else []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_saved_notebook_is_inert(text: str) -> None:
    """Static HTML of runs, tables and listings: balanced, harmless tags only, for Python's parser and for a browser's."""
    run = hostile_run(text)
    bundles = [bundle_of(run), LiveTable(run, "actions").bundle(), LiveTable(run, "results").bundle()]
    run.succeed([4], [text])
    run.finish(text)
    bundles += [bundle_of(run), LiveTable(run, "results").bundle()]
    listing = Listing(text, (text, "n"), [(text, 1)], text)
    bundles.append({"text/html": listing._repr_html_(), "text/plain": repr(listing)})
    entry = RunEntry(text, text, ActionPhase.FAILED, {ActionPhase.FAILED: 1}, 1.0, None, text, ((text, text),))
    runs = runs_listing([entry], 2.0)
    bundles.append({"text/html": runs._repr_html_(), "text/plain": repr(runs)})
    for bundle in bundles:
        assert_plain(text_of(bundle["text/html"]))
        assert_plain(bundle["text/plain"])


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_live_view_is_sent_plain_text(text: str) -> None:
    """Every text of every answer is free of what steers terminals and eyes, and the message can be sent."""
    run = hostile_run(text)
    reader = RunQueries(run)
    about: dict[str, Any] = {"view": "v", "id": 1, "follow": False}
    page = {**about, "kind": "rows", "columns": [], "offset": 0, "count": 60}
    answers: list[Any] = [reader.rows({**page, "query": {"table": table}}) for table in ("actions", "results")]  # type: ignore[typeddict-item]  # built from parts
    answers.append(reader.rows({**page, "query": {"search": text}}))  # type: ignore[typeddict-item]  # as above
    answers.append(reader.groups({**about, "kind": "groups", "open": ["g0.1", text], "sort": "name", "offset": 0, "count": 60}))  # type: ignore[typeddict-item]  # as above
    answers += [reader.detail({**about, "kind": "detail", "row": row, "log_from": 0, "full": True}) for row in range(5)]  # type: ignore[typeddict-item]  # as above
    answers.append(reader.spread({**about, "kind": "spread", "query": {}, "columns": ["in:x", "in:y", "out:b"], "marked": 1}))  # type: ignore[typeddict-item]  # as above
    span = {"start": 0.0, "end": 0.0, "span": 0.0, "pixels": 100, "first": 0, "count": 9}
    answers.append(reader.timeline({**about, **span, "kind": "timeline"}))  # type: ignore[typeddict-item]  # as above
    for answer in answers:
        json.dumps(answer, ensure_ascii=False).encode("utf8")
        for each in texts_in({key: value for key, value in answer.items() if key != "columns"} | {"columns": []}):
            if not each.startswith(("in:", "out:")):  # keys go back as they came; they are never shown
                assert_plain(each)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_terminal_is_told_one_plain_line(text: str) -> None:
    """No order of a user's reaches the reader's terminal through the progress line."""
    line = progress_line(hostile_run(text).summary(), 100)

    assert_plain(line)
    assert len(line) <= 99
    assert "\n" not in line
