"""Decides how a notebook's tasks are asked for as a module for a Flyte backend: `flyte.export`.

Must not know: how the module is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # IPython is needed when something is exported, not before
    from flyte_nb.notebook.export import Exported


def export(
    path: str | Path | None = None,
    *,
    tasks: Sequence[Any] | str | None = None,
    driver: Any = None,  # noqa: ANN401 - a task of any signature, or a name
    notebook: str | Path | None = None,
    strict: bool = False,
    force: bool = False,
) -> Exported:
    r"""Write the tasks of this notebook as a plain module with `import flyte`, which the real SDK runs; `%flyte_export` is the same.

    The module has the tasks, their environments, the driver, and the imports, helpers, classes and variables that they use, as the
    cells that ran define them now; nothing else of the notebook. In a script it is the script that is exported.

    Args:
        path: the file, such as "pipeline.py"; None makes the text without writing it.
        tasks: tasks or their names; by default all of the notebook.
        driver: what the module starts when it is run: a task (with the inputs that it was last run with), or the `--out` name of a
            `%%flyte_run` cell. By default what ran last, and none if `tasks` are named.
        notebook: a stored `.ipynb`, or a script, in place of what runs here. It is read from top to bottom and not run.
        strict: refuse to write what the real SDK cannot run.
        force: write over a file that was not exported, or was edited since.

    Returns:
        What was written: `path`, `text`, `tasks`, `driver`, `problems` (what the real SDK cannot run, by line) and `notes`. Displayed,
        it is a table of them.

    Raises:
        ValueError: nothing was written. The message says why: no such task, a magic in the body of one, a file that must not be
            written over, or (`strict`) problems.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import flyte_nb as flyte
        >>> folder = Path(tempfile.mkdtemp())
        >>> lines = ["import flyte_nb", "env = flyte_nb.TaskEnvironment('e')", "@env.task", "def double(x): return 2 * x"]
        >>> _ = (folder / "script.py").write_text("\n".join(lines))
        >>> made = flyte.export(folder / "pipeline.py", notebook=folder / "script.py")
        >>> made.tasks, [problem.what for problem in made.problems]
        (('double',), ['task `double` has no return annotation, and returns something'])
    """
    from flyte_nb.notebook import export as exporter  # noqa: PLC0415 - see above
    from flyte_nb.notebook.magics import read_line  # noqa: PLC0415 - see above

    return exporter.export(path, read=read_line, notebook=notebook, tasks=tasks, driver=driver, strict=strict, force=force)
