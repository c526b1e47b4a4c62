"""Decides what the `init` family does: size or choose the cluster; everything that only a Flyte backend needs is taken.

Must not know: how settings take effect.
"""

from __future__ import annotations

import asyncio
from typing import Any

from flyte_nb import workspace

#: What init() accepts and has no effect here (a Flyte backend uses it).
_INERT = (
    "org project domain root_dir log_level log_format reset_root_logger user_log_level endpoint headless insecure "
    "insecure_skip_verify ca_cert_file_path auth_type command proxy_command api_key client_id client_credentials_secret "
    "auth_client_config rpc_retries http_proxy_url storage batch_size image_builder images source_config_path sync_local_sys_paths "
    "load_plugin_type_transformers local_persistence mode config"
)
INERT = frozenset(_INERT.split())


#: What init() was told of organisation, project and domain: kept for code that asks for it.
_names: dict[str, str] = {}


class Init:
    """Choose settings, with `.aio` for async code; optional, and good at any time while no run is live."""

    def __call__(self, **options: Any) -> None:  # noqa: ANN401 - settings of any type
        """Choose settings; optional, and good at any time while no run is live.

        Args:
            options: `workers`, `threads_per_worker`, `memory_limit` (per worker) size the embedded cluster; `adaptive=(1, 8)` lets
                it follow the load; `cluster` is a scheduler's address, a Dask `Client` or a cluster object instead of it, and is
                connected to at once; `store` says where runs are kept; `max_actions` limits a run (default 1,000,000). The
                same as environment variables: `FLYTE_NB_WORKERS` and so on. Flyte's own options are accepted and have no
                effect here.

        Raises:
            TypeError: an unknown option.
            ValueError: a value is out of range.
            RuntimeError: the cluster's settings would change while runs are live.
            ClusterUnreachableError: the cluster that was named cannot be reached; the settings stay as they were.
            ClusterMismatchError: its workers cannot run what this kernel would send to them.

        Example:
            >>> flyte.init(max_actions=5_000_000)
            >>> flyte.init(wokers=4)
            Traceback (most recent call last):
            TypeError: ...
        """
        ours = {key: value for key, value in options.items() if key not in INERT}
        _names.update({key: str(options[key]) for key in ("org", "project", "domain") if options.get(key)})
        workspace.current().configure(**ours)

    async def aio(self, **options: Any) -> None:  # noqa: ANN401 - settings of any type
        """The same, without holding up the loop while a cluster is connected to."""
        await asyncio.to_thread(lambda: self(**options))


class InitFrom:
    """`init_from_config` and the like: what they read belongs to a Flyte backend, so they only accept it."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __call__(self, *_arguments: object, **_options: object) -> None:
        """Accept everything; never fail for a missing file."""
        workspace.current()

    async def aio(self, *_arguments: object, **_options: object) -> None:
        """The same."""
        self()


init = Init()
init_from_config = InitFrom("Accepted for Flyte; a configuration file is not needed here and may be missing.")
init_from_api_key = InitFrom("Accepted for Flyte; no key is needed here.")
init_in_cluster = InitFrom("Accepted for Flyte; has no effect here.")
init_passthrough = InitFrom("Accepted for Flyte; has no effect here.")


def current_project() -> str:
    """The project that `init` was given; empty if none was."""
    return _names.get("project", "")


def current_domain() -> str:
    """The domain that `init` was given; empty if none was."""
    return _names.get("domain", "")


def is_control_plane_available() -> bool:
    """Whether there is a Flyte backend: never, here."""
    return False
