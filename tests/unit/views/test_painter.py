"""One thread keeps all views up to date, and is gone when there is nothing to do."""

import contextvars
import threading
from collections.abc import Callable

import pytest

from flyte_nb.views.painter import Painter

CELL = contextvars.ContextVar("cell", default="none")


class View:
    """Paints a number of times; opens a gate each time."""

    def __init__(self, times: int, fault: Callable[[], None] | None = None) -> None:
        self.left = times
        self.cells: list[str] = []
        self.threads: set[int] = set()
        self.painted = threading.Event()
        self._fault = fault

    def paint(self) -> bool:
        """Count, and note where it happens."""
        self.left -= 1
        self.cells.append(CELL.get())
        self.threads.add(threading.get_ident())
        self.painted.set()
        if self._fault is not None:
            self._fault()
        return self.left <= 0


def shown_in(cell: str, painter: Painter, view: View) -> None:
    """Add a view as a cell would."""

    def run_cell() -> None:
        CELL.set(cell)
        painter.add(view)

    contextvars.copy_context().run(run_cell)


def test_views_are_painted_in_one_thread_each_in_its_cell_s_context() -> None:
    """That is where ipykernel finds an output's cell in a context variable."""
    painter = Painter(interval=0.0, idle=0.001)
    first, second = View(3), View(5)
    shown_in("In[1]", painter, first)
    shown_in("In[2]", painter, second)
    painter.join(10)

    assert set(first.cells) == {"In[1]"}
    assert set(second.cells) == {"In[2]"}
    assert len(first.threads | second.threads) == 1
    assert threading.get_ident() not in first.threads


def test_the_thread_ends_with_the_last_view_and_comes_back_with_the_next() -> None:
    """No thread is left behind by a run."""
    painter = Painter(interval=0.0, idle=0.001)
    for _ in range(2):
        view = View(1)
        painter.add(view)
        thread = painter._thread
        painter.join(10)
        assert view.left == 0
        assert painter.live_count == 0
        assert thread is None or not thread.is_alive()


def test_a_change_wakes_the_painter_before_its_idle_time() -> None:
    """With an idle time of an hour, only the notice can have done it."""
    painter = Painter(interval=0.0, idle=3600.0)
    view = View(1)
    painter.add(view)
    painter.notify()

    assert view.painted.wait(10)
    painter.join(10)


def test_a_broken_view_leaves_the_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and no longer painted."""
    painter = Painter(interval=0.0, idle=0.001)

    def fault() -> None:
        raise ValueError("broken view")

    broken, good = View(9, fault), View(3)
    painter.add(broken)
    painter.add(good)
    painter.notify()
    painter.join(10)

    assert good.left == 0
    assert broken.left == 8
    assert "could not be painted" in caplog.text


def test_everything_can_be_painted_now_in_the_caller_s_thread() -> None:
    """The end of a cell without a front end waits for nothing."""
    painter = Painter(interval=0.0, idle=3600.0)
    view = View(1)
    painter.add(view)
    painter.paint_all()

    assert view.left == 0
    assert painter.live_count == 0
    painter.notify()
    painter.join(10)


def test_a_resting_view_is_painted_again_with_the_next_one() -> None:
    """It tells of more than one run; of several the newest goes on, each paint in the context of its cell."""
    painter = Painter(interval=0.0, idle=0.001)
    older, newer = View(1), View(1)
    for cell, view in (("In[1]", older), ("In[2]", newer)):
        context = contextvars.copy_context()
        context.run(CELL.set, cell)
        context.run(painter.rest, view)
    painter.join(10)
    assert (older.cells, newer.cells) == ([], [])

    for _ in range(2):
        shown_in("In[3]", painter, View(1))
        painter.join(10)
    assert (older.cells, newer.cells) == ([], ["In[2]", "In[2]"])
