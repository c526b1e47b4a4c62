"""`%flyte_top`: what goes on, what ended last, and who works."""

from __future__ import annotations

from flyte_nb.views.top import MAX_RUNS, Top
from tests.fakes.fake_run import FakeRun, task
from tests.fakes.hostile import text_of
from tests.unit.views.conftest import FakePainter, FakePublisher


class Worker:
    """What a cluster says of a worker."""

    def __init__(self, name: str, busy: int) -> None:
        self.name, self.pid, self.slots, self.slots_in_use = name, 77, 2, busy
        self.coroutines, self.rss_bytes, self.memory_bytes = 3, 100 * 2**20, 400 * 2**20


class Cluster:
    """What a cluster says of itself."""

    workers = 2
    members = (Worker("idle", 0), Worker("<b>busy", 2))


class Other:
    """Another view, painted once."""

    def paint(self) -> bool:
        """Nothing more to come."""
        return True


def ended(name: str) -> FakeRun:
    """Return a run that is over."""
    run = FakeRun(name)
    run.finish()
    return run


def test_what_goes_on_stands_first(publisher: FakePublisher, painter: FakePainter) -> None:
    """Live runs, then the latest that ended; the busiest worker first; names are text."""
    live = FakeRun("rlive")
    live.call(task("t"), [()])
    top = Top(lambda: [live, ended("rold"), ended("rnew")], lambda: Cluster, publisher=publisher, painter=painter)  # type: ignore[arg-type]  # a fake painter
    top.show()
    (bundle,) = publisher.outputs.values()
    text = text_of(bundle["text/html"])

    assert text.index("rlive") < text.index("rnew") < text.index("rold")
    assert text.index("<b>busy") < text.index("idle")
    assert "2 of 2" in text
    assert "100 MiB" in text


def test_it_stays_up_to_date_while_a_run_goes_on(publisher: FakePublisher, painter: FakePainter) -> None:
    """Nothing is sent without a change, and at the end the painter is left."""
    live = FakeRun("rlive")
    rows = live.call(task("t"), [()])
    Top(lambda: [live], lambda: None, publisher=publisher, painter=painter).show()  # type: ignore[arg-type]  # a fake painter
    painter.paint()
    assert [kind for kind, _ in publisher.messages] == ["show"]

    live.succeed(rows, [1])
    live.finish()
    painter.paint()
    (bundle,) = publisher.outputs.values()
    assert painter.views == []
    assert "1 of 1" in bundle["text/plain"]
    assert "No cluster runs" in bundle["text/plain"]


def test_many_runs_are_counted(publisher: FakePublisher, painter: FakePainter) -> None:
    """The table stays small, and without a live run nothing is painted."""
    runs = [ended(f"r{number}") for number in range(MAX_RUNS + 30)]
    Top(lambda: runs, lambda: None, publisher=publisher, painter=painter).show()  # type: ignore[arg-type]  # a fake painter
    (bundle,) = publisher.outputs.values()

    assert "and 30 more" in bundle["text/plain"]
    assert painter.views == []


def test_a_kernel_without_runs_says_so(publisher: FakePublisher, painter: FakePainter) -> None:
    """In words."""
    Top(list, lambda: None, publisher=publisher, painter=painter).show()  # type: ignore[arg-type]  # a fake painter
    (bundle,) = publisher.outputs.values()

    assert "No run was started in this kernel." in bundle["text/plain"]


def test_it_goes_on_with_a_run_that_starts_later(publisher: FakePublisher, painter: FakePainter) -> None:
    """A table that is put above all runs tells of them too, and that actions failed although a run succeeded."""
    runs: list[FakeRun] = []
    top = Top(lambda: runs, lambda: None, publisher=publisher, painter=painter)  # type: ignore[arg-type]  # a fake painter
    top.show()
    later = FakeRun("rlater")
    rows = later.call(task("t", "x"), [(1,), (2,)])
    runs.append(later)
    painter.add(Other())  # the run's own view
    later.succeed(rows[:1], [1])
    later.fail(rows[1], "E", "bad")
    later.finish()
    painter.paint()

    assert "✓ succeeded, 1 failed" in publisher.outputs[top._display_id]["text/plain"]
    assert painter.views == []


def test_a_process_is_told_as_the_system_tells_it(publisher: FakePublisher, painter: FakePainter) -> None:
    """Without commas."""
    worker = Worker("0", 1)
    worker.pid = 1234567
    facts = Cluster()
    facts.members = (worker, worker)
    Top(list, lambda: facts, publisher=publisher, painter=painter).show()  # type: ignore[arg-type]  # a fake painter
    (bundle,) = publisher.outputs.values()

    assert "1234567" in bundle["text/plain"]
