"""Decides what can be set: cluster size, limits, output; from `init(...)`, the environment (`FLYTE_NB_*`) or defaults.

Must not know: what a setting does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

MAX_ACTIONS = 1_000_000
#: A change of these closes the cluster; the next run starts one that fits.
CLUSTER_SETTINGS = (
    "workers",
    "threads_per_worker",
    "memory_limit",
    "cluster",
    "grace_seconds",
    "system_retries",
    "kill_workers",
    "ship_package",
    "kernel_host",
    "security",
)
#: A change of these opens the store anew.
STORE_SETTINGS = ("store", "keep_days", "keep_bytes", "cache_bytes")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set.

    Attributes:
        workers: workers of the embedded cluster; None is as many as there are CPUs.
        threads_per_worker: sync actions that each worker runs at once.
        adaptive: (least, most) workers of a cluster that follows the load; None is a cluster of fixed size.
        memory_limit: per worker, as Dask takes it ("2GiB", bytes, 0 for none); None shares what the container has.
        cluster: a scheduler's address, a Dask `Client` or cluster object; None is the embedded cluster, "inline" is
            threads of this process.
        store: the folder that runs are kept in; None finds or makes one in the project, ":memory:" keeps them with this process.
        keep_days: how long a run is kept after its end; 0 is for ever.
        keep_bytes: how large all kept runs together may be ("10GiB", or bytes), the oldest go first; 0 is without limit.
        cache_bytes: how large all cached results together may be; those that were not used longest go first.
        max_actions: most actions of a run.
        grace_seconds: how long an action that was told to stop may go on before its worker is ended.
        block: without a front end, the end of a cell or script waits for its runs.
        stdout: prints of tasks are shown in the notebook.
        system_retries: how often an action may lose its worker before it fails.
        kill_workers: workers of an existing cluster may be ended too.
        ship_package: this package is sent to workers of an existing cluster that do not have it.
        kernel_host: where the workers of an existing cluster find this machine, if not where its scheduler sees it.
        security: TLS credentials (`distributed.Security`) for an existing cluster that asks for them.
    """

    workers: int | None = None
    threads_per_worker: int = 1
    memory_limit: str | int | None = None
    adaptive: tuple[int, int] | None = None
    cluster: Any = None
    store: str | None = None
    keep_days: float = 90.0
    keep_bytes: str | int = "10GiB"
    cache_bytes: str | int = "2GiB"
    max_actions: int = MAX_ACTIONS
    grace_seconds: float = 2.0
    block: bool = True
    stdout: bool = True
    system_retries: int = 10
    kill_workers: bool = False
    ship_package: bool = True
    kernel_host: str | None = None
    security: Any = None

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("threads_per_worker", 1), ("max_actions", 1), ("system_retries", 0)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise ValueError(f"{name} must be a whole number from {least}, got {value!r}.")
        if self.adaptive is not None and not _is_range(self.adaptive):
            raise ValueError(f"adaptive must be two whole numbers (least, most), 0 <= least <= most and 1 <= most, got {self.adaptive!r}.")
        if self.adaptive is not None and not _can_be_scaled(self.cluster):
            raise ValueError("adaptive needs a cluster whose size can be changed from here: the embedded one, or a Dask cluster object.")
        for name in ("grace_seconds", "keep_days"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or value < 0:
                raise ValueError(f"{name} must be a number from 0, got {value!r}.")
        for name in ("keep_bytes", "cache_bytes"):
            if bytes_of(getattr(self, name)) is None:
                raise ValueError(f'{name} must be a size such as "10GiB" or a number of bytes, got {getattr(self, name)!r}.')

    def with_values(self, **values: Any) -> Settings:  # noqa: ANN401 - any setting
        """Other values for some settings.

        Raises:
            ValueError: a value is out of range.
            TypeError: there is no such setting.
        """
        known = {each.name for each in fields(self)}
        for name in values:
            if name not in known:
                raise TypeError(f"There is no setting {name!r}. Settings are: {', '.join(sorted(known))}.")
        return replace(self, **values)


def _is_range(limits: object) -> bool:
    if not isinstance(limits, tuple | list) or len(limits) != 2:  # noqa: PLR2004 - least and most
        return False
    least, most = limits
    return type(least) is int and type(most) is int and 0 <= least <= most and most >= 1


def _can_be_scaled(cluster: object) -> bool:
    """Whether a cluster's size can be changed from here: one that is known by its address cannot."""
    return cluster in (None, "inline") or any(hasattr(each, "scale") for each in (cluster, getattr(cluster, "cluster", None)))


def _limits(text: str) -> tuple[int, int] | None:
    if text.lower() in {"none", "off"}:
        return None
    least, mark, most = text.partition("-" if "-" in text else ",")
    if not mark:
        raise ValueError("it takes LEAST-MOST, such as 1-8, or off")
    return int(least), int(most)


def _flag(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(f"{text!r} is neither on nor off (1/0, true/false, yes/no)")


def bytes_of(size: str | int) -> int | None:
    """A size in bytes: a number, or a text such as "10GiB" or "500 MB"; None if it is neither."""
    if isinstance(size, int):
        return size if size >= 0 and not isinstance(size, bool) else None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", size, re.IGNORECASE) if isinstance(size, str) else None
    if found is None:
        return None
    power = " kmgt".index(found[2].lower()) if found[2] else 0
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


def _size(text: str) -> str | int:
    return int(text) if text.isdigit() else text


#: How the text of a setting is read, from the environment and from `%flyte_config`.
READERS: dict[str, Callable[[str], Any]] = {
    "workers": int,
    "threads_per_worker": int,
    "memory_limit": _size,
    "adaptive": _limits,
    "cluster": str,
    "store": str,
    "keep_days": float,
    "keep_bytes": _size,
    "cache_bytes": _size,
    "max_actions": int,
    "grace_seconds": float,
    "block": _flag,
    "stdout": _flag,
    "system_retries": int,
    "kill_workers": _flag,
    "ship_package": _flag,
    "kernel_host": str,
}


def read_setting(name: str, text: str) -> Any:  # noqa: ANN401 - of the setting's type
    """A setting's value from text.

    Raises:
        ValueError: the text cannot be read, or there is no such setting.
    """
    reader = READERS.get(name)
    if reader is None:
        raise ValueError(f"There is no setting {name!r}. Settings are: {', '.join(sorted(READERS))}.")
    try:
        return reader(text)
    except ValueError as error:
        raise ValueError(f"Setting {name} cannot be {text!r}: {error}.") from None


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `FLYTE_NB_WORKERS`, `FLYTE_NB_MEMORY_LIMIT` and the like; defaults for the rest.

    Raises:
        ValueError: a variable cannot be read; the message names it.
    """
    values = {}
    for name in READERS:
        text = environment.get(f"FLYTE_NB_{name.upper()}")
        if text is not None and text != "":
            try:
                values[name] = read_setting(name, text)
            except ValueError as error:
                raise ValueError(f"Environment variable FLYTE_NB_{name.upper()}: {error}") from None
    return Settings().with_values(**values)
