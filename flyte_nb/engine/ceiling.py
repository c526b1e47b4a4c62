"""Decides how many more actions of a run may start, where the run has a limit (`max_action_concurrency`).

Flyte's rule: an action counts from its start to its end, also while it waits for those that it called. Beyond Flyte, a
run never stands still for it: when all that count wait for others, one more may start.

Pure. Must not know: workers.
"""

from __future__ import annotations

from collections.abc import Iterable

from flyte_nb.engine.records import Chunk, RunRecord


def room(run: RunRecord, chunks: Iterable[Chunk]) -> int:
    """How many more actions may be handed out; only asked for runs that have a limit.

    Args:
        run: the run.
        chunks: all chunks that are under way, of whatever run.
    """
    name = run.state.name
    held = [row for chunk in chunks if chunk.run == name for row in chunk.rows if run.tokens[row] == chunk.id]
    left = run.state.settings.max_action_concurrency - len(held)
    return left if left > 0 else int(all(row in run.open_children for row in held))
