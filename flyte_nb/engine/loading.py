"""Decides which tasks a worker keeps loaded, and what becomes of actions whose task cannot be loaded.

Must not know: chunks, or how bodies run.
"""

from __future__ import annotations

import threading

from flyte_nb.core.current import RunnableTask
from flyte_nb.core.failure import Failure, of_ours
from flyte_nb.core.payloads import Blob, unpack
from flyte_nb.engine import bodies
from flyte_nb.engine.commands import SendTask
from flyte_nb.errors import WorkerImportError

#: Loaded tasks that are kept, so that a task's module state (a model, say) outlives a run.
KEEP_TASKS = 256


class LoadedTasks:
    """The tasks that a worker was sent, unpickled when they are first needed. Thread-safe.

    Args:
        agent: the worker's id, for what is told of a failure.
    """

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._sent: dict[str, SendTask] = {}
        self._tasks: dict[str, RunnableTask] = {}
        self._loading = threading.Lock()

    def add(self, sent: SendTask) -> None:
        """Take a pickled task."""
        self._sent[sent.digest] = sent

    def put(self, digest: str, task: RunnableTask) -> None:
        """Take a task that is loaded already."""
        self._tasks[digest] = task

    def digests(self) -> list[str]:
        """Those that are loaded, the last used last."""
        return list(self._tasks)

    def get(self, digest: str) -> RunnableTask | Failure:
        """A task, or why it cannot be loaded."""
        with self._loading:
            task = self._tasks.pop(digest, None) or self._unpickled(self._sent.get(digest))
            if not isinstance(task, Failure):
                self._tasks[digest] = task  # the last one used is the last one to go
                while len(self._tasks) > KEEP_TASKS:
                    self._tasks.pop(next(iter(self._tasks)))
            return task

    def _unpickled(self, sent: SendTask | None) -> RunnableTask | Failure:
        if sent is None:
            return Failure("system", "TaskMissingError", "the worker was not sent the task", worker=self._agent)
        try:
            return unpack(Blob(sent.blob))  # type: ignore[return-value]  # the kernel pickled a task
        except ImportError as error:
            return of_ours(WorkerImportError(error.name or str(error), sent.task, worker=self._agent, reason=str(error)))
        except BaseException as error:  # noqa: BLE001 - loading runs user code
            return bodies.failure_of(error, self._agent)
