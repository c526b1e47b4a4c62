"""Decides what `python -m flyte_nb` does in a terminal: list stored runs, show one, tell the story of an action, take runs away, export.

It only reads and prints; it starts no engine and no cluster. Exit codes: 0 is done, 1 is that there is no such run or action,
or that the store cannot be used, 2 is a mistake in the command line.

Must not know: how runs are stored, or how text is laid out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence

from flyte_nb import errors
from flyte_nb.core.index import RunEntry
from flyte_nb.core.state import RunState
from flyte_nb.core.summary import summarise
from flyte_nb.moving import export
from flyte_nb.remote.filters import wanted_runs
from flyte_nb.settings import bytes_of, from_environment
from flyte_nb.store.opening import open_store
from flyte_nb.store.place import folder_of
from flyte_nb.store.port import RunStore
from flyte_nb.store.retention import EVERYTHING, Retention
from flyte_nb.store.sqlite_store import SqliteStore
from flyte_nb.views.listing import Listing, runs_listing
from flyte_nb.views.text import text_page
from flyte_nb.views.wording import GLYPHS, clean, duration, one_line, phase_word, plural, size

_ACTIONS_SHOWN = 20


class _Refusal(Exception):  # noqa: N818 - what a user asked for cannot be done
    """Told to the user; the command ends with 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    parser = _parser()
    asked = parser.parse_args(argv)
    if not hasattr(asked, "command"):
        parser.print_help()
        return 2
    try:
        if asked.command is _export:
            _export(asked)
            return 0
        store = _open(asked.store or from_environment().store)
        try:
            asked.command(store, asked)
        finally:
            store.close()
    except (_Refusal, errors.RuntimeUserError) as error:
        _warn(str(error))
        return 1
    except ValueError as error:
        parser.error(str(error))
    except BrokenPipeError:  # whoever read along has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _open(setting: str | None) -> RunStore:
    folder = folder_of(setting)
    if folder is None or not folder.exists():
        raise _Refusal(f"no runs are kept here ({folder or 'the store is in memory'}); --store names another place.")
    return open_store(setting, say=_warn)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flyte_nb", description="Look at the runs of this project, and take old ones away.")
    parser.add_argument("--store", metavar="FOLDER", help="where runs are kept; by default FLYTE_NB_HOME, or the .flyte_nb here or above")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    runs = _command(commands, "runs", _runs, "list runs, the newest first")
    runs.add_argument("--phase", action="append", help="only runs in this phase; may be given several times")
    runs.add_argument("--task", metavar="NAME", help="only runs of this root task")
    runs.add_argument("--since", metavar="WHEN", help="only runs started since: how long ago (90m, 2h, 7d), or a date (2026-11-23)")
    runs.add_argument("--notebook", metavar="NAME", help="only runs that this notebook or script started")
    runs.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="only runs with this label")
    runs.add_argument("--limit", type=int, default=50, metavar="N", help="only the latest (default 50)")
    runs.add_argument("--json", action="store_true", help="one JSON object a line")

    show = _command(commands, "show", _show, "show a run: counts, failures, actions")
    show.add_argument("run", help="its name, or the beginning of it")
    show.add_argument("--actions", type=int, default=_ACTIONS_SHOWN, metavar="N", help=f"so many actions (default {_ACTIONS_SHOWN})")
    show.add_argument("--failed", action="store_true", help="only actions that failed")

    story = _command(commands, "story", _story, "tell what happened to an action, in order")
    story.add_argument("run", help="the run's name, or the beginning of it")
    story.add_argument("action", nargs="?", default="a0", help="the action's name, or the beginning of it; by default the root, a0")

    prune = _command(commands, "prune", _prune, "take old runs away, and what only they refer to")
    prune.add_argument("--older-than", type=_days, metavar="SPAN", help="runs that ended longer ago (30d, 12h); default keep_days")
    prune.add_argument("--max-size", metavar="SIZE", help="the oldest, until the rest is no larger (5GiB); default keep_bytes")
    prune.add_argument("--keep", type=int, default=0, metavar="N", help="all but the latest N")
    prune.add_argument("--all", action="store_true", help="all that have ended")
    prune.add_argument("--dry-run", action="store_true", help="only tell what would go")

    export = commands.add_parser("export", help="write a notebook's tasks as a module for the real Flyte SDK", description=_export.__doc__)
    export.set_defaults(command=_export)
    export.add_argument("notebook", help="the notebook, or a script; it is read and not run")
    export.add_argument("file", nargs="?", help="the module; without it the text is printed")
    export.add_argument("--tasks", metavar="NAMES", help="tasks, with commas between them (default all)")
    export.add_argument("--driver", metavar="NAME", help="what the module starts: a task, or the --out name of a %%%%flyte_run cell")
    export.add_argument("--strict", action="store_true", help="write nothing if the real SDK cannot run it")
    export.add_argument("--force", action="store_true", help="write over a file that was not exported, or was edited since")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    do: Callable[[RunStore, argparse.Namespace], None],
    doc: str,
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=doc, description=f"{doc[0].upper()}{doc[1:]}.")
    made.set_defaults(command=do)
    return made


def _days(text: str) -> float:
    units = {"s": 86_400, "m": 1_440, "h": 24, "d": 1, "w": 1 / 7}
    try:
        return float(text[:-1]) / units[text[-1:].lower()]
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time: write 30d, 12h or 90m") from None


# ------------------------------------------------------------------ commands
def _runs(store: RunStore, asked: argparse.Namespace) -> None:
    wanted = wanted_runs(
        tuple(asked.phase) if asked.phase else None,
        task=asked.task,
        since=asked.since,
        notebook=asked.notebook,
        labels=dict(each.partition("=")[::2] for each in asked.label),
        limit=asked.limit,
    )
    found = store.entries(wanted)[::-1]
    if asked.json:
        for entry in found:
            _print(json.dumps(_plain(entry)))
    else:
        _print(repr(runs_listing(found, time.time())))


def _plain(entry: RunEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "task": entry.task,
        "phase": entry.phase.value,
        "counts": {phase.value: count for phase, count in entry.counts.items()},
        "started_at": entry.started_at,
        "ended_at": entry.ended_at,
        "notebook": entry.notebook,
        "labels": dict(entry.labels),
        "kernel": entry.owner,
    }


def _show(store: RunStore, asked: argparse.Namespace) -> None:
    state = _state(store, asked.run)
    _print(clean(text_page(summarise(state, time.time()))))
    rows = sorted(state.failures) if asked.failed else list(range(state.count))
    shown = rows[: max(0, asked.actions)]
    listing = Listing("Actions", ("action", "task", "group", "phase", "attempts", "took", "why"), [_action(state, row) for row in shown])
    if shown:
        _print(f"\n{listing!r}")
    if len(rows) > len(shown):
        _print(f"and {plural(len(rows) - len(shown), 'more action')} (--actions {len(rows)} shows all)")


def _action(state: RunState, row: int) -> tuple[object, ...]:
    phase = state.phase_of(row)
    failure = state.failures.get(row)
    began, ended = state.started_ats[row], state.ended_ats[row] or time.time()
    return (
        state.action_name(row),
        state.task_of(row).short_name,
        state.group_of(row),
        f"{GLYPHS[phase]} {phase_word(phase)}",
        state.attempts[row],
        duration(max(0.0, ended - began)) if began else "",
        one_line(failure.headline() if failure is not None else state.abort_reason(row), 80),
    )


def _story(store: RunStore, asked: argparse.Namespace) -> None:
    state = _state(store, asked.run)
    row = _row(state, asked.action)
    _print(f"{state.action_name(row)} of run {state.name}: {clean(state.task_of(row).name)}")
    for line in state.story(row):
        _print(clean(line))
    failure = state.failures.get(row)
    if failure is not None and failure.traceback:
        _print(f"\n{clean(failure.traceback)}")
    if state.logs(row):
        _print(f"\nIt printed:\n{clean(state.logs(row))}")


def _prune(store: RunStore, asked: argparse.Namespace) -> None:
    if not isinstance(store, SqliteStore) or store.read_only:
        raise _Refusal("there is no store here that could be pruned.")
    settings = from_environment()
    limits = asked.older_than is not None or asked.max_size is not None or asked.keep or asked.all
    largest = bytes_of(asked.max_size) if asked.max_size is not None else 0 if limits else bytes_of(settings.keep_bytes)
    if largest is None:
        raise ValueError(f"--max-size cannot be {asked.max_size!r}: write a size such as 5GiB")
    days = asked.older_than if asked.older_than is not None else 0 if limits else settings.keep_days
    keep = Retention(EVERYTHING if asked.all else days, largest, asked.keep)
    pruned = store.prune(keep, dry_run=asked.dry_run)
    for name in pruned.runs:
        _print(name)
    done = "would be taken away" if asked.dry_run else "taken away"
    _warn(f"{plural(len(pruned.runs), 'run')} {done}, {size(pruned.size_bytes)}")


def _export(asked: argparse.Namespace) -> None:
    """Write the tasks of a stored notebook as a plain module with `import flyte`, and tell what the real SDK cannot run of it."""
    try:
        made = export(asked.file, notebook=asked.notebook, tasks=asked.tasks, driver=asked.driver, strict=asked.strict, force=asked.force)
    except ValueError as error:
        raise _Refusal(str(error)) from error
    if asked.file is None:
        sys.stdout.write(made.text)
        _warn(repr(made))
    else:
        _print(repr(made))


# ------------------------------------------------------------------ finding and telling
def _state(store: RunStore, name: str) -> RunState:
    known = [entry.name for entry in store.entries(wanted_runs())]
    found = [name] if name in known else [each for each in known if each.startswith(name)]
    if not found:
        raise _Refusal(f"there is no run {name!r} in this project; `python -m flyte_nb runs` lists them.")
    if len(found) > 1:
        raise _Refusal(f"{plural(len(found), 'run')} begin with {name!r}: {', '.join(found[:10])}")
    state = store.get(found[0])
    if state is None:
        raise _Refusal(f"run {found[0]} was taken away at this moment.")
    return state


def _row(state: RunState, name: str) -> int:
    row = state.row_of(name)
    if row is not None:
        return row
    found = [each for each in range(state.count) if state.action_name(each).startswith(name)]
    if len(found) != 1:
        what = f"there is no action {name!r}" if not found else f"{len(found)} actions begin with {name!r}"
        raise _Refusal(f"{what} in run {state.name}; `python -m flyte_nb show {state.name}` lists them.")
    return found[0]


def _print(text: str) -> None:
    print(text)  # noqa: T201 - that is what a terminal is for


def _warn(text: str) -> None:
    print(f"flyte_nb: {text}", file=sys.stderr)  # noqa: T201 - the same
