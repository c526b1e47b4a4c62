"""Runs on disk: reopened equal, safe from others, closed when their kernel is gone, and in memory where there is no disk."""

from __future__ import annotations

import os
import pickle
import sqlite3
import time
from array import array
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from flyte_nb.core.events import AttemptsLost, AttemptsStarted, LogWritten, RunSettings
from flyte_nb.core.index import RunFilter
from flyte_nb.core.payloads import Blob, Item, StoredBlob, pack, unpack
from flyte_nb.core.phases import ActionPhase
from flyte_nb.store import codec, place, schema, values
from flyte_nb.store.codec import NOT_KEPT
from flyte_nb.store.database import Database
from flyte_nb.store.kernels import Kernel, this_kernel
from flyte_nb.store.keys import Seal
from flyte_nb.store.opening import Shelf, open_store
from flyte_nb.store.reading import KERNEL_GONE
from flyte_nb.store.refusals import StoredValueError, UnsafeStoreError
from flyte_nb.store.retention import EVERYTHING, Retention
from flyte_nb.store.sqlite_store import SqliteStore
from tests.fakes.stored_runs import BEGAN, KEY, StoredRun, facts_of, open_at, settle, whole_run

ALL = RunFilter()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the store is to lie."""
    return tmp_path / ".flyte_nb"


def leave(store: SqliteStore) -> None:
    """End a store as a kernel does that is killed: nobody says goodbye."""
    settle(store)
    store.database.close()
    store.values.close()


def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on processes that started runs count as gone."""
    monkeypatch.setattr(Kernel, "lives", lambda *_: False)


# ------------------------------------------------------------------ reopened
def test_a_reopened_run_equals_the_live_one(folder: Path) -> None:
    """Another store on the same file folds the same state, values included."""
    store = open_at(folder)
    run = StoredRun(store, inputs=(pack({"a": 1}),))
    rows = run.call([(pack([number]),) for number in range(3)], group="score")
    run.tell(AttemptsStarted("r1", rows, "w1", array("d", [BEGAN + 2] * 3)), LogWritten("r1", 1, 1, "hello\n"))
    run.tell(AttemptsLost("r1", [3], "the worker died", BEGAN + 3))
    run.succeed(rows[:1], [pack({"auc": 0.5})])
    run.fail(rows[1], "no such thing")
    run.succeed([rows[2]], ["text"])
    run.end(None)
    store.close()

    with closing(open_at(folder)) as later:
        state = later.get("r1")
        assert state is not None
        state.check()
        assert facts_of(state) == facts_of(run.state)
        assert [state.action_name(row) for row in range(4)] == [run.state.action_name(row) for row in range(4)]
        assert later.get("r1") is state


def test_values_of_every_size_are_read_back(folder: Path, tmp_path: Path) -> None:
    """Small ones lie in the log, middling ones in the file, large ones beside it; equal ones once."""
    path = tmp_path / "large"
    path.write_bytes(b"f" * values.IN_FILE_BYTES)
    outputs: list[Item] = [
        Blob(pickle.dumps("s")),
        Blob(pickle.dumps("m" * values.IN_LOG_BYTES)),
        Blob(pickle.dumps("l" * values.IN_FILE_BYTES)),
        Blob(pickle.dumps("l" * values.IN_FILE_BYTES)),
        StoredBlob(str(path), values.IN_FILE_BYTES, raw=True),
        "long text " * codec.LONG,
        b"long bytes" * codec.LONG,
    ]
    store = open_at(folder)
    run = StoredRun(store)
    run.succeed(run.call([(number,) for number in range(len(outputs))]), outputs)
    run.end()
    store.close()
    path.unlink()

    with closing(open_at(folder)) as later:
        state = later.get("r1")
        assert state is not None
        expected = ["s", "m" * values.IN_LOG_BYTES, *["l" * values.IN_FILE_BYTES] * 2, b"f" * values.IN_FILE_BYTES, *outputs[-2:]]
        assert [unpack(state.output(row)) for row in range(1, 8)] == expected
        travelled = pickle.loads(pickle.dumps(state.output(5)))
        assert unpack(travelled) == expected[4]
        assert len(later.values.files()) == 4


def test_a_later_run_takes_over_kept_values_without_reading_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recovering run refers to what the earlier one kept, and keeps it alive."""
    with closing(open_at(folder)) as store:
        run = StoredRun(store)
        run.succeed(run.call([(1,)]), [Blob(b"v" * values.IN_FILE_BYTES)])
        run.end()
    store = open_at(folder)
    kept = store.get("r1")
    assert kept is not None
    monkeypatch.setattr(values.Values, "load", lambda *_: 1 // 0)
    again = StoredRun(store, "r2", at=BEGAN + 100)
    again.succeed(again.call([(1,)]), [kept.output(1)])
    again.end()
    store.close()
    monkeypatch.undo()

    del kept
    with closing(open_at(folder)) as later:
        assert later.prune(Retention(runs=1)).runs == ("r1",)
        state = later.get("r2")
        assert state is not None
        assert state.output(1).data == b"v" * values.IN_FILE_BYTES  # type: ignore[union-attr]  # a kept value


def test_secrets_are_not_written(folder: Path) -> None:
    """Values of variables whose names say so; the others are kept."""
    variables = (("API_TOKEN", "hunter2hunter2"), ("db_password", "hunter3"), ("REGION", "north"))
    with closing(open_at(folder)) as store:
        whole_run(store, settings=RunSettings(env_vars=variables))
    with closing(open_at(folder)) as later:
        state = later.get("r1")
        assert state is not None
        assert dict(state.settings.env_vars) == {"API_TOKEN": NOT_KEPT, "db_password": NOT_KEPT, "REGION": "north"}
    assert not any(b"hunter" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------ several kernels
def test_two_kernels_see_each_others_runs(folder: Path) -> None:
    """Also while they go on: what was recorded since is applied when somebody asks."""
    with closing(open_at(folder)) as one, closing(open_at(folder)) as other:
        run = StoredRun(one, "r1")
        whole_run(other, "r2", at=BEGAN + 5)
        settle(one)
        settle(other)

        assert [(entry.name, entry.owner) for entry in other.entries(ALL)] == [("r1", "elsewhere"), ("r2", "here")]
        assert other.is_taken("r1")
        seen = other.get("r1")
        assert seen is not None
        assert seen.phase is ActionPhase.RUNNING
        run.succeed(run.call([(1,)]), [2])
        settle(one)
        assert other.refresh(seen)
        assert seen.count == 2
        run.end()
        settle(one)
        assert not other.refresh(seen)
        assert facts_of(seen) == facts_of(run.state)
        assert not other.is_taken("r1")


def test_two_kernels_write_at_a_time(folder: Path) -> None:
    """Neither loses anything to the other."""
    with closing(open_at(folder)) as one, closing(open_at(folder)) as other:
        runs = [StoredRun(store, f"r{number}") for number, store in enumerate((one, other))]
        for number in range(50):
            for run in runs:
                run.succeed(run.call([(number,)]), [number])
                settle(run.store)
        for run in runs:
            run.end()
    with closing(open_at(folder)) as later:
        for run in runs:
            state = later.get(run.state.name)
            assert state is not None
            assert facts_of(state) == facts_of(run.state)


# ------------------------------------------------------------------ interrupted
def test_a_run_whose_kernel_is_gone_is_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was open is aborted with the reason, what had ended stays; and it stays so."""
    store = open_at(folder)
    run = StoredRun(store)
    rows = run.call([(1,), (2,), (3,)])
    run.succeed(rows[:1], [10])
    run.tell(AttemptsStarted("r1", [2], "w1", array("d", [run.now])))
    leave(store)
    gone(monkeypatch)

    for _ in range(2):
        with closing(open_at(folder)) as later:
            assert [(entry.phase, entry.counts) for entry in later.entries(ALL)] == [
                (ActionPhase.ABORTED, {ActionPhase.SUCCEEDED: 1, ActionPhase.ABORTED: 2})
            ]
            state = later.get("r1")
            assert state is not None
            state.check()
            assert [str(state.phase_of(row)) for row in range(4)] == ["aborted", "succeeded", "aborted", "aborted"]
            assert state.abort_reason(0) == KERNEL_GONE
            assert state.output(1) == 10


def test_a_run_that_had_ended_is_not_aborted_when_its_kernel_dies_at_that_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says how it ended, whatever the list of runs says."""
    store = open_at(folder)
    run = StoredRun(store)
    run.succeed([0], [1])  # and the list is not told
    leave(store)
    gone(monkeypatch)

    with closing(open_at(folder)) as later:
        assert [entry.phase for entry in later.entries(ALL)] == [ActionPhase.SUCCEEDED]
        state = later.get("r1")
        assert state is not None
        assert facts_of(state) == facts_of(run.state)


def test_a_kernel_is_known_by_its_start_and_by_its_heartbeat() -> None:
    """A number that was given to another process is not mistaken; of another machine only the heartbeat tells."""
    here, now = this_kernel(), time.time()

    assert here.lives(0, now)
    assert not replace(here, born=here.born - 100).lives(now, now)
    assert not replace(here, pid=0).lives(now, now)
    assert not replace(here, pid=2**22 + 7).lives(now, now)
    elsewhere = replace(here, host="another")
    assert elsewhere.lives(now - 30, now)
    assert not elsewhere.lives(now - 90, now)


def test_a_live_kernel_says_that_it_lives(folder: Path) -> None:
    """While it has live runs, and not without."""
    with closing(open_at(folder)) as store:
        assert store._recorder.pulse() is None
        run = StoredRun(store)
        settle(store)
        job = store._recorder.pulse()
        assert job is not None
        store.database.transact(lambda connection: connection.execute("UPDATE kernels SET beat_at = 0"))
        store.database.post(job)
        store.database.flush()
        with store.database.reading() as connection:
            assert connection.execute("SELECT beat_at FROM kernels").fetchone()[0] > BEGAN
        run.end()
        settle(store)
        store.database.flush()
        assert store._recorder.pulse() is None


# ------------------------------------------------------------------ poisoned
def test_what_was_changed_or_comes_from_elsewhere_is_not_opened(folder: Path) -> None:
    """Rows that were changed, moved to another run, taken out, or written with another key. They can be listed."""
    with closing(open_at(folder)) as store:
        for name in ("r1", "r2", "r3", "r4"):
            whole_run(store, name)
            settle(store)
    with closing(open_at(folder, key=b"k" * 32)) as store:
        whole_run(store, "r5")
    with closing(sqlite3.connect(folder / place.DATABASE)) as planted, planted:
        body = codec.encode([LogWritten("r1", 1, 1, "planted")], lambda value: (value.data,))  # type: ignore[union-attr]  # none here
        planted.execute("UPDATE log SET body = ? WHERE run = 1 AND seq = (SELECT max(seq) FROM log WHERE run = 1)", (body,))
        planted.execute("UPDATE log SET (body, mark) = (SELECT body, mark FROM log WHERE run = 3 AND seq = 1) WHERE run = 2 AND seq = 1")
        planted.execute("DELETE FROM log WHERE run = 4 AND seq = 1")

    with closing(open_at(folder)) as later:
        for name in ("r1", "r2", "r4", "r5"):
            with pytest.raises(StoredValueError, match=f"Run {name} cannot be loaded"):
                later.get(name)
        assert later.get("r3") is not None
        assert len(later.entries(ALL)) == 5


def test_a_planted_value_is_not_unpickled(folder: Path, tmp_path: Path) -> None:
    """In the file or beside it, or a link to somewhere else."""
    sizes = (values.IN_LOG_BYTES + 1, values.IN_FILE_BYTES + 1, values.IN_FILE_BYTES + 2)
    with closing(open_at(folder)) as store:
        run = StoredRun(store)
        run.succeed(run.call([(1,), (2,), (3,)]), [Blob(bytes(size)) for size in sizes])
        run.end()
    touched = tmp_path / "touched"
    evil = pickle.dumps(_Touch(str(touched)))
    with closing(sqlite3.connect(folder / place.DATABASE)) as planted, planted:
        planted.execute("UPDATE blobs SET data = ? WHERE data IS NOT NULL", (evil,))
    first, second = sorted(path for path in (folder / place.VALUES).rglob("*") if path.is_file())
    first.write_bytes(evil)
    second.unlink()
    second.symlink_to(first)

    with closing(open_at(folder)) as later:
        state = later.get("r1")
        assert state is not None
        for row in (1, 2, 3):
            with pytest.raises(StoredValueError, match=r"changed it|cannot be read"):
                unpack(state.output(row))
    assert not touched.exists()


class _Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mknod, (self._path,)


# ------------------------------------------------------------------ no disk
def test_a_full_disk_is_said_once_and_nothing_is_lost(folder: Path) -> None:
    """The run goes on in memory and whoever waits is let go; a later run is kept again."""
    said: list[str] = []
    store = open_at(folder, say=said.append)
    whole_run(store, "r1")
    settle(store)
    fill(store, full=True)
    big = StoredRun(store, "r2")
    for number in range(20):
        big.succeed(big.call([(Blob(os.urandom(8_000)),)]), [number])
        settle(store)
    big.end("the result")
    settle(store)

    assert [("cannot be written" in line, "full" in line) for line in said] == [(True, True)]
    assert store.get("r2") is big.state
    assert big.state.output(0) == "the result"
    fill(store, full=False)
    whole_run(store, "r3", at=BEGAN + 100)
    store.close()
    with closing(open_at(folder)) as later:
        assert later.get("r1") is not None
        assert later.get("r3") is not None


def fill(store: SqliteStore, *, full: bool) -> None:
    """Have SQLite report a full disk for what makes its file larger: its own limit, set on each connection."""

    def limited() -> sqlite3.Connection:
        connection = Database._connect(store.database)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages if full else 2**30}")
        return connection

    store.database.close()
    store.database._connect = limited  # type: ignore[method-assign]  # that is the point


def test_a_store_that_can_only_be_read_is_read(folder: Path) -> None:
    """Its runs are listed and opened; new ones are in memory."""
    with closing(open_at(folder)) as store:
        whole_run(store, "r1")
    with closing(SqliteStore(folder, Seal(KEY), read_only=True)) as later:
        new = whole_run(later, "r2", at=BEGAN + 100)
        assert later.when_durable(lambda: None)
        assert [entry.name for entry in later.entries(ALL)] == ["r1", "r2"]
        assert later.get("r1") is not None
        assert later.get("r2") is new.state
    with closing(open_at(folder)) as again:
        assert [entry.name for entry in again.entries(ALL)] == ["r1"]


def test_where_no_folder_can_be_made_runs_are_in_memory(tmp_path: Path) -> None:
    """One line says so, with the reason and what to do."""
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    environment = {"FLYTE_NB_KEY_FILE": str(tmp_path / "key")}
    store = open_store(str(tmp_path / "file" / "store"), say=said.append, environment=environment)
    run = whole_run(store)

    assert store.get("r1") is run.state
    assert len(said) == 1
    assert "kept in memory only" in said[0]
    assert "FLYTE_NB_HOME" in said[0]


@pytest.mark.parametrize("content", [b"no database at all, and longer than a header of one: " * 9, None])
def test_a_file_that_is_no_store_is_left_alone(folder: Path, tmp_path: Path, content: bytes | None) -> None:
    """A damaged file, or one of a later version: it is said, and nothing is written to it."""
    with closing(open_at(folder)) as store:
        whole_run(store)
    if content is not None:
        (folder / place.DATABASE).write_bytes(content)
    else:
        with closing(sqlite3.connect(folder / place.DATABASE)) as connection:
            connection.execute(f"PRAGMA user_version = {len(schema.STEPS) + 1}")
    before = (folder / place.DATABASE).read_bytes()
    key = tmp_path / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    said: list[str] = []
    later = open_store(str(folder), say=said.append, environment={"FLYTE_NB_KEY_FILE": str(key)})
    whole_run(later, "r2")
    later.close()

    assert len(said) == 1
    assert "cannot be used" in said[0]
    assert (folder / place.DATABASE).read_bytes() == before


# ------------------------------------------------------------------ taking away
def test_old_runs_go_with_all_that_is_theirs(folder: Path) -> None:
    """Those that ended too long ago, or are too many; values that others have too stay."""
    shared, own = Blob(b"s" * values.IN_FILE_BYTES), Blob(b"o" * values.IN_FILE_BYTES)
    with closing(open_at(folder)) as store:
        for name, at, output in (("r1", BEGAN, own), ("r2", BEGAN + 1, shared), ("r3", time.time(), shared)):
            run = StoredRun(store, name, at=at)
            run.succeed(run.call([(1,)]), [output])
            run.end()
            (folder / place.FILES / name).mkdir()
        StoredRun(store, "r4", at=BEGAN)
        settle(store)
        (folder / place.VALUES / "ab").mkdir()
        (folder / place.VALUES / "ab" / "left behind").write_bytes(b"by a process that died while it wrote")
    with closing(open_at(folder)) as later:
        planned = later.prune(Retention(days=30), dry_run=True)
        assert planned.runs == ("r1", "r2")
        assert planned.size_bytes > 2 * values.IN_FILE_BYTES
        assert len(later.entries(ALL)) == 4
        assert later.prune(Retention(days=30)).runs == ("r1", "r2")
        assert {entry.name for entry in later.entries(ALL)} == {"r3", "r4"}  # the kernel of r4 was here a moment ago
        assert [path.name for path in (folder / place.FILES).iterdir()] == ["r3"]
        assert [path.name for path in later.values.files()] == [values.digest_of(shared.data).hex()]
        state = later.get("r3")
        assert state is not None
        assert state.output(1).data == shared.data  # type: ignore[union-attr]  # a kept value


def test_files_stay_while_another_run_or_the_cache_needs_them(folder: Path) -> None:
    """A recovered run has outputs of the one before, and of the one before that; a cached result is in the folder of its run."""
    entry = "INSERT INTO cache (key, task, run, at, used_at, hits, size, item, mark) VALUES ('k', 't', 'r3', 0, 0, 0, 1, x'00', x'00')"
    with closing(open_at(folder)) as store:
        for name, at, recovers in (("r0", BEGAN, ""), ("r1", BEGAN, "r0"), ("r2", time.time(), "r1"), ("r3", BEGAN, ""), ("r4", BEGAN, "")):
            StoredRun(store, name, at=at, recovers=recovers).end()
            (folder / place.FILES / name).mkdir()
        settle(store)
        store.database.transact(lambda connection: connection.execute(entry))
    kept = []
    with closing(open_at(folder)) as later:
        for keep in (Retention(days=30), Retention(days=30), Retention(days=EVERYTHING)):
            later.prune(keep)
            kept.append(sorted(path.name for path in (folder / place.FILES).iterdir()))
            later.database.transact(lambda connection: connection.execute("DELETE FROM cache"))

    assert kept == [["r0", "r1", "r2", "r3"], ["r0", "r1", "r2"], []]


def test_runs_in_hand_and_runs_that_go_on_stay(folder: Path) -> None:
    """Whatever their age."""
    with closing(open_at(folder)) as one, closing(open_at(folder)) as other:
        whole_run(one, "r1")
        StoredRun(other, "r2")
        whole_run(other, "r3")
        settle(one)
        settle(other)
        assert one.prune(Retention(days=1)).runs == ("r3",)
        assert {entry.name for entry in one.entries(ALL)} == {"r1", "r2"}


def test_the_largest_size_is_kept_to_by_the_oldest(folder: Path) -> None:
    """The latest runs stay as long as they fit together."""
    with closing(open_at(folder)) as store:
        for number in range(4):
            run = StoredRun(store, f"r{number}", at=BEGAN + number)
            run.succeed(run.call([(1,)]), [Blob(os.urandom(100_000))])
            run.end()
    with closing(open_at(folder)) as later:
        assert later.prune(Retention(size_bytes=250_000)).runs == ("r0", "r1")


def test_a_store_tidies_up_when_its_first_run_has_ended(folder: Path) -> None:
    """With the limits of the settings."""
    with closing(open_at(folder)) as store:
        whole_run(store, "r1")
    with closing(open_at(folder, keep=Retention(days=30))) as later:
        whole_run(later, "r2", at=time.time())
    with closing(open_at(folder)) as last:
        assert [entry.name for entry in last.entries(ALL)] == ["r2"]


# ------------------------------------------------------------------ the shelf, and what is written
def test_the_shelf_opens_the_store_on_first_use_and_again_after_it_was_closed(folder: Path) -> None:
    """So that settings may change it."""
    opened: list[int] = []

    def open_it() -> SqliteStore:
        opened.append(1)
        return open_at(folder)

    shelf = Shelf(open_it)
    assert opened == []
    assert shelf.folder(place.FILES) == folder / place.FILES
    whole_run(shelf.store, "r1")
    shelf.close()
    assert shelf.get("r1") is not None
    assert shelf.wait_elsewhere("r1", 1)
    shelf.close()
    assert len(opened) == 2


def test_many_events_are_few_rows(folder: Path) -> None:
    """Never a row an action."""
    with closing(open_at(folder)) as store:
        run = StoredRun(store)
        rows = run.call([(number,) for number in range(10_000)])
        for lo in range(0, 10_000, 100):
            run.succeed(rows[lo : lo + 100], list(range(100)))
        run.end()
        settle(store)
        with store.database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM log").fetchone()[0] < 30
            assert connection.execute("SELECT sum(length(body)) FROM log").fetchone()[0] < 40 * 10_000


def test_an_unsafe_store_is_refused_and_not_replaced_by_memory(folder: Path, tmp_path: Path) -> None:
    """A clear error, before anything is read."""
    open_at(folder).close()
    folder.chmod(0o777)
    with pytest.raises(UnsafeStoreError, match="other users may write to it"):
        open_store(str(folder), say=print, environment={"FLYTE_NB_KEY_FILE": str(tmp_path / "key")})
