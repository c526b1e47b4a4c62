"""Decides everything that depends on the IPython shell and kernel around us: who looks, which cell runs, nested loops.

The one place that touches ipykernel's inner parts; each such touch is guarded, because they differ between 6.31 and
7.4. What cannot be found out is assumed to be an ordinary notebook with a front end.

Must not know: runs, or how they are shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from typing import Any

#: Whether outputs are static: "1" leaves widgets out, "0" keeps them; unset: found out.
STATIC_VARIABLE = "FLYTE_NB_STATIC"
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def current_shell() -> Any | None:
    """IPython's shell in this process, or None; loads IPython only if somebody else has."""
    import sys  # noqa: PLC0415 - used here only

    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def in_kernel(shell: object | None = None) -> bool:
    """Whether this process is a Jupyter kernel (and not a terminal or a script)."""
    return getattr(shell if shell is not None else current_shell(), "kernel", None) is not None


def flag(name: str, environ: Mapping[str, str] | None = None) -> bool | None:
    """A yes or no from the environment; None if it is not set or says neither."""
    return yes_or_no((os.environ if environ is None else environ).get(name, ""))


def yes_or_no(word: str) -> bool | None:
    """What a word says; None if neither."""
    word = word.strip().lower()
    return True if word in _YES else False if word in _NO else None


def has_front_end(shell: object | None = None) -> bool:
    """Whether a person's front end runs the current cell, rather than nbclient, papermill or nbconvert.

    A front end can answer `input()` and says so with every cell; the runners of notebooks say that they cannot.
    """
    shell = shell if shell is not None else current_shell()
    if not in_kernel(shell):
        return False
    content = _request(shell).get("content", {})
    return bool(content.get("allow_stdin", True))


def shows_widgets(shell: object | None = None) -> bool:
    """Whether outputs may be live widgets: where there is a front end, unless `FLYTE_NB_STATIC` says otherwise."""
    static = flag(STATIC_VARIABLE)
    return has_front_end(shell) if static is None else not static


def allow_widgets() -> None:
    """Ask Colab to show widgets that are not its own, which it does once it was asked; elsewhere nobody needs to be asked."""
    import importlib  # noqa: PLC0415 - used here only
    import sys  # noqa: PLC0415 - as above

    if "google.colab" in sys.modules:
        with contextlib.suppress(ImportError, AttributeError):  # another Colab: static pages are shown
            importlib.import_module("google.colab.output").enable_custom_widget_manager()


def cell_id(shell: object | None = None) -> str:
    """Identifies the execution of the current cell; empty outside of a kernel."""
    shell = shell if shell is not None else current_shell()
    return str(_request(shell).get("header", {}).get("msg_id", "")) if in_kernel(shell) else ""


def cell_label(shell: Any, file: str) -> str:
    """How IPython calls the cell that a file name stands for, such as `Cell In[3]`; the name itself for a real file."""
    try:
        kind, name = shell.compile.format_code_name(file) or ("", file)
    except (AttributeError, TypeError, ValueError):
        return file
    return f"{kind} {name}".strip()


def _request(shell: Any) -> Mapping[str, Any]:
    """The request that the current cell came with."""
    try:
        request = shell.kernel.get_parent("shell")
    except (AttributeError, LookupError, TypeError):  # a thread of its own on 7.0, or another kind of kernel
        return {}
    return request if isinstance(request, Mapping) else {}


# ------------------------------------------------------------------ nested event loops
def nest_is_on() -> bool:
    """Whether nested event loops are allowed in this process."""
    return bool(getattr(asyncio, "_nest_patched", False))


def apply_nest() -> None:
    """Allow a cell's own `asyncio.run` and `run_until_complete`; it cannot be taken back.

    Every loop of the process becomes about twice as slow, so it is done only when asked for.
    """
    import nest_asyncio2  # noqa: PLC0415 - patches nothing before it is asked to, but is rarely needed

    nest_asyncio2.apply()
