"""Decides the tables of the store's file, and how files of earlier versions become current ones.

Step n brings a file from version n to version n + 1, in one transaction. A step that was released is never edited: a
change is another step, with a file of the version before it in the migration test.

Must not know: what is asked of the tables.
"""

from __future__ import annotations

import sqlite3

#: Says in the file's header whose it is ("FNB1").
APPLICATION_ID = 0x464E4231

_RUNS = """
CREATE TABLE kernels (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,            -- machine and process namespace: pids of another one say nothing here
    pid INTEGER NOT NULL,
    born REAL NOT NULL,            -- when the process was started, by its own machine's clock
    beat_at REAL NOT NULL,         -- when it last said that it lives
    notebook TEXT NOT NULL
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,        -- in order of start
    name TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    phase TEXT NOT NULL,
    counts TEXT NOT NULL,          -- JSON: actions by phase, the root left out
    started_at REAL NOT NULL,
    ended_at REAL,
    changed_at REAL NOT NULL,
    notebook TEXT NOT NULL,
    labels TEXT NOT NULL,          -- JSON: pairs
    kernel INTEGER NOT NULL REFERENCES kernels (id),
    bytes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_open ON runs (kernel) WHERE ended_at IS NULL;
CREATE TABLE log (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,          -- from 1, without gaps
    format INTEGER NOT NULL,
    body BLOB NOT NULL,            -- events, many of them
    mark BLOB NOT NULL,            -- authenticates run, seq, format and body
    UNIQUE (run, seq)
);
CREATE TABLE blobs (
    digest BLOB PRIMARY KEY,       -- BLAKE2b of the value's bytes
    size INTEGER NOT NULL,
    data BLOB                      -- NULL: in a file of that name
);
CREATE TABLE refs (
    kind TEXT NOT NULL,            -- what refers: "run", ...
    owner INTEGER NOT NULL,        -- its id
    digest BLOB NOT NULL REFERENCES blobs (digest),
    PRIMARY KEY (kind, owner, digest)
) WITHOUT ROWID;
CREATE INDEX refs_digest ON refs (digest);
"""

_CACHE = """
CREATE TABLE cache (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,      -- task, version of its code, and inputs
    task TEXT NOT NULL,
    run TEXT NOT NULL,             -- that made it
    at REAL NOT NULL,
    used_at REAL NOT NULL,
    hits INTEGER NOT NULL,
    size INTEGER NOT NULL,
    item BLOB NOT NULL,
    mark BLOB NOT NULL             -- authenticates key, task, run, at and item
);
CREATE INDEX cache_used ON cache (used_at);
CREATE TABLE leases (
    key TEXT PRIMARY KEY,          -- of a result that somebody computes
    holder TEXT NOT NULL,
    until REAL NOT NULL,
    host TEXT NOT NULL,            -- the holder's process, as in kernels
    pid INTEGER NOT NULL,
    born REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE versions (
    id INTEGER PRIMARY KEY,        -- in order of use
    task TEXT NOT NULL,
    version TEXT NOT NULL,
    at REAL NOT NULL,
    parts BLOB NOT NULL            -- what it depends on: JSON, compressed
);
CREATE INDEX versions_task ON versions (task);
"""

_FILES = """
CREATE TABLE sources (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,            -- of a run that it took results from; that one may be gone
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE INDEX sources_name ON sources (name);
CREATE TABLE left_files (
    name TEXT PRIMARY KEY          -- a run that is gone, while somebody may need its files
) WITHOUT ROWID;
"""

STEPS: tuple[str, ...] = (_RUNS, _CACHE, _FILES)


class TooNewError(Exception):
    """The file was written by a later version of this package."""


def migrate(connection: sqlite3.Connection, steps: tuple[str, ...] = STEPS) -> bool:
    """Bring a file up to date; true if something was to do. Safe with several processes at once.

    Args:
        connection: in autocommit mode.
        steps: what there is to do from an empty file on.

    Raises:
        TooNewError: the file is of a later version, or of another program.
        sqlite3.Error: it cannot be written.
    """
    if _version(connection, len(steps)) == len(steps):
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[_version(connection, len(steps)) :]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return True


def _version(connection: sqlite3.Connection, newest: int) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if version and owner != APPLICATION_ID:
        raise TooNewError("it is another program's")
    if version > newest:
        raise TooNewError(f"it was written by a later version of flyte_nb (its format is {version}, and this one knows {newest})")
    return version


def _statements(script: str) -> list[str]:
    """The statements of a script, one by one: `executescript` would end the transaction."""
    found, start = [], 0
    for end in (position for position, letter in enumerate(script) if letter == ";"):
        if sqlite3.complete_statement(script[start : end + 1]):
            found.append(script[start : end + 1])
            start = end + 1
    return found
