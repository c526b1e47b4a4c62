"""Decides when the values of secrets join the work that asked for them: as a chunk leaves the kernel, and no sooner.

Events, stores and pickled tasks know the names of variables only; the values travel to workers, over TLS, and are kept nowhere.

Pure. Must not know: where secrets come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flyte_nb.engine.commands import SendChunk


def with_secrets(command: SendChunk, environ: Mapping[str, str]) -> SendChunk:
    """The chunk with the values of the secrets that its task asked for; the variables of the run go before.

    Args:
        command: what is about to be sent; its own settings stay as they are.
        environ: the kernel's environment. What it does not have is left to the worker's own.
    """
    given = command.settings.env_vars
    known = {name for name, _value in given}
    values = tuple((name, environ[name]) for name in command.secrets if name in environ and name not in known)
    return replace(command, secrets=(), settings=replace(command.settings, env_vars=(*values, *given)))
