"""What the embedded cluster says of itself is kept from the user, and nothing else."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections.abc import Iterator

import pytest
from distributed.utils import silence_logging_cmgr

from flyte_nb.engine import hush


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """What reaches the user, through one more handler of Dask's."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield text
    logger.removeHandler(handler)
    logger.setLevel(level)


def on_a_thread(name: str, *steps: object) -> None:
    """Call something on a thread of this name."""
    thread = threading.Thread(target=lambda: [step() for step in steps if callable(step)], name=name)
    thread.start()
    thread.join()


def test_only_what_dask_says_on_the_engines_thread_is_kept(told: io.StringIO) -> None:
    """A Dask of the user's own, and what is critical, are still heard; asking twice changes nothing."""
    for _ in range(2):
        on_a_thread("ours", hush.hush_thread, lambda: logging.getLogger("distributed.scheduler").info("closed"))
    on_a_thread("ours", lambda: logging.getLogger("distributed.core").critical("lost"))
    on_a_thread("theirs", lambda: logging.getLogger("distributed.scheduler").info("started"))

    assert told.getvalue() == "lost\nstarted\n"
    assert [len(handler.filters) for handler in logging.getLogger("distributed").handlers][-1] == 1


def test_a_worker_process_is_silent(told: io.StringIO) -> None:
    """Nothing but a worker runs there."""
    hush.hush_process()
    logging.getLogger("distributed.batched").info("Batched Comm Closed")

    assert told.getvalue() == ""


def test_a_cluster_of_the_users_stays_as_quiet_as_it_is_when_the_embedded_one_ends(told: io.StringIO) -> None:
    """Dask gives back the level that it found, also when somebody else has set another one since."""
    silence = contextlib.ExitStack()
    with hush.own_level() as level:
        silence.enter_context(silence_logging_cmgr(level))
    with silence_logging_cmgr(logging.WARNING):  # the user's, which outlives ours
        silence.close()
        logging.getLogger("distributed.scheduler").info("Closing scheduler")
        logging.getLogger("distributed.scheduler").warning("Lost a worker")

    assert told.getvalue() == "Lost a worker\n"
