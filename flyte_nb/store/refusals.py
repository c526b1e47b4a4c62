"""Decides how it reads when a store, or something in it, must not be used.

Must not know: how that is found out.
"""

from __future__ import annotations

from flyte_nb.errors import RuntimeUserError


class UnsafeStoreError(RuntimeUserError):
    """Somebody else could have written to the store of runs: it is not used."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            "UnsafeStoreError",
            f"The store of runs is not safe to use: {path}: {reason}. What is stored is unpickled, which runs code, so it must be yours "
            "alone. If you trust what is in it, take it over (chown it to you, chmod -R go= it); otherwise move it away. "
            'FLYTE_NB_HOME names another place, and flyte.init(store=":memory:") keeps nothing on disk.',
        )
        self.path = path


class StoredValueError(RuntimeUserError):
    """Something in the store of runs is missing, damaged or not authentic: it is not loaded."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__("StoredValueError", f"{what} cannot be loaded from the store of runs: {reason}.")
        self.what = what
