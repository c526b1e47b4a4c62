"""Decides what must be true of a cluster that somebody else started, before anything runs on it.

Its workers must run the same Python and have this package. Where it is missing it is sent along, inside of the plugin
that each worker gets, those that come later included; a worker that has another version of it is named and refused.

What runs on workers here is pickled by value (it is nested in functions): they may not have this package yet.

Must not know: actions, or the embedded cluster.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import platform
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from distributed import Client, WorkerPlugin

from flyte_nb.engine.hello import LinkAddress
from flyte_nb.errors import ClusterMismatchError

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be said of a cluster.

    Attributes:
        remarks: what the user should know, in words.
        lacking: addresses of workers without this package.
        dashboard: whether its scheduler shows one.
    """

    remarks: tuple[str, ...]
    lacking: tuple[str, ...]
    dashboard: bool = False


def versions() -> dict[str, str]:
    """What this kernel has."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in ("distributed", "cloudpickle")}}


@cache
def package_digest() -> str:
    """Names this very version of the package's code."""
    hashed = hashlib.blake2b(digest_size=8)
    for file in _sources():
        hashed.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes() + b"\0")
    return hashed.hexdigest()


def _sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def package_zip() -> bytes:
    """The package's code as a zip file that Python can import from."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in _sources():
            archive.writestr(f"{PACKAGE.name}/{file.relative_to(PACKAGE)}", file.read_bytes())
    return buffer.getvalue()


def make_probe() -> Callable[[], dict[str, str]]:
    """A function that tells what a worker has."""

    def probe() -> dict[str, str]:
        import hashlib  # noqa: PLC0415 - it runs elsewhere
        import importlib.util  # noqa: PLC0415 - the same
        import platform  # noqa: PLC0415 - the same
        from importlib import metadata  # noqa: PLC0415 - the same
        from pathlib import Path  # noqa: PLC0415 - the same

        told = {"python": platform.python_version(), **{name: metadata.version(name) for name in ("distributed", "cloudpickle")}}
        spec = importlib.util.find_spec("flyte_nb")
        if spec is None or spec.origin is None:
            return told
        folder = Path(spec.origin).parent
        if not folder.is_dir():  # sent there by a kernel: the name of the zip file has the digest
            return {**told, "package": folder.parent.stem.rpartition("-")[2]}
        hashed = hashlib.blake2b(digest_size=8)
        for file in sorted(folder.rglob("*.py")):
            hashed.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes() + b"\0")
        return {**told, "package": hashed.hexdigest()}

    return probe


def judge(workers: Mapping[str, Mapping[str, str]], *, ship: bool) -> Found:
    """Say what follows from what workers have.

    Args:
        workers: what each told, by address.
        ship: whether the package may be sent to those that lack it.

    Raises:
        ClusterMismatchError: nothing can run there.
    """
    here = versions()
    minor = ".".join(here["python"].split(".")[:2])
    other = [name for name, has in workers.items() if ".".join(has["python"].split(".")[:2]) != minor]
    if other:
        raise ClusterMismatchError(
            f"Workers {_names(other)} run Python {workers[other[0]]['python']}, this kernel runs {here['python']}. Code cannot travel "
            f"between minor versions: start the kernel, or the workers, with the other one's."
        )
    strange = [name for name, has in workers.items() if has.get("package", package_digest()) != package_digest()]
    if strange:
        raise ClusterMismatchError(
            f"Workers {_names(strange)} have another version of flyte_nb than this kernel. If it is installed there, install this "
            "kernel's, or remove it (it is then sent along); if another kernel has sent it, restarting these workers is enough "
            "(Client.restart())."
        )
    lacking = [name for name, has in workers.items() if "package" not in has]
    if lacking and not ship:
        raise ClusterMismatchError(
            f"Workers {_names(lacking)} do not have flyte_nb. Install it there, or let it be sent: "
            "flyte.init(cluster=..., ship_package=True)."
        )
    remarks = [f"flyte_nb was sent to {_names(lacking)}"] if lacking else []
    return Found((*remarks, *differences("workers have", workers.values())), tuple(lacking))


def differences(who: str, all_have: Iterable[Mapping[str, str]]) -> list[str]:
    """What differs from this kernel, and may be the cause of trouble, in words."""
    here, there = versions(), list(all_have)
    others = {name: sorted({has[name] for has in there if name in has} - {here[name]}) for name in here}
    return [f"{who} {name} {', '.join(found)}, this kernel {here[name]}" for name, found in others.items() if found]


def _names(workers: list[str]) -> str:
    shown = ", ".join(workers[:5])
    return shown + (f" and {len(workers) - 5} more" if len(workers) > 5 else "")  # noqa: PLR2004 - enough to find them


def make_scheduler_probe() -> Callable[..., tuple[dict[str, str], bool]]:
    """A function that tells what a scheduler has, and whether it shows a dashboard (with bokeh it does)."""

    def probe(dask_scheduler: Any) -> tuple[dict[str, str], bool]:  # noqa: ANN401 - a Scheduler
        import platform  # noqa: PLC0415 - it runs elsewhere
        from importlib import metadata  # noqa: PLC0415 - the same

        told = {"python": platform.python_version(), **{name: metadata.version(name) for name in ("distributed", "cloudpickle")}}
        return told, bool(getattr(dask_scheduler.http_application, "applications", ()))

    return probe


async def inspect(client: Client, *, ship: bool) -> Found:
    """Ask the scheduler and all workers what they have; see `judge`.

    Raises:
        ClusterMismatchError: nothing can run there.
    """
    try:
        scheduler, dashboard = await client.run_on_scheduler(make_scheduler_probe())
    except Exception:  # noqa: BLE001 - some let nobody look, some run another Python; the workers decide
        scheduler, dashboard = {}, False
    told: dict[str, Any] = await client.run(make_probe(), on_error="return")
    broken = {name: has for name, has in told.items() if isinstance(has, BaseException)}
    if broken:
        name, error = next(iter(broken.items()))
        raise ClusterMismatchError(
            f"Workers {_names(list(broken))} cannot run a function of this kernel ({type(error).__name__} on {name}: {error}). "
            f"Their Python, distributed and cloudpickle must fit: here {', '.join(versions().values())}."
        )
    found = judge(told, ship=ship)
    return replace(
        found, remarks=(*differences("the scheduler has", [scheduler] if scheduler else []), *found.remarks), dashboard=dashboard
    )


def make_bootstrap(address: LinkAddress, *, ship: bool) -> WorkerPlugin:
    """The plugin for workers that may not have this package: brings it, and puts an agent into the worker."""
    archive, name = (package_zip() if ship else b""), f"flyte_nb-{package_digest()}.zip"
    wanted = pickle.dumps(address)
    look, here, topic = make_probe(), {**versions(), "package": package_digest()}, address.topic

    class Bootstrap(WorkerPlugin):
        def __init__(self) -> None:
            self.archive, self.file, self.address = archive, name, wanted
            self.look, self.here, self.topic = look, here, topic

        def problem(self) -> str:
            """Why this worker cannot be used; workers that were there from the start were judged before."""
            has = self.look()
            if has["python"].split(".")[:2] != self.here["python"].split(".")[:2]:
                return f"it runs Python {has['python']}, this kernel {self.here['python']}"
            if has.get("package", self.here["package"]) != self.here["package"]:
                return "it has another version of flyte_nb than this kernel"
            return "" if self.archive or "package" in has else "it does not have flyte_nb"

        async def setup(self, worker: Any) -> None:  # noqa: ANN401 - a Worker, whose module it must not need to be unpickled
            import importlib  # noqa: PLC0415 - it runs elsewhere
            import importlib.util  # noqa: PLC0415 - the same
            import os  # noqa: PLC0415 - the same
            import pickle  # noqa: PLC0415 - the same
            import sys  # noqa: PLC0415 - the same

            problem = self.problem()
            if problem:  # it joined later, and may be of use to others: it must start all the same
                worker.log_event(self.topic, {"name": str(worker.name), "problem": problem})
                return
            if importlib.util.find_spec("flyte_nb") is None:
                path = os.path.join(worker.local_directory, self.file)  # noqa: PTH118 - pickled by value: few names
                with open(path, "wb") as file:  # noqa: ASYNC230, PTH123 - small, and once
                    file.write(self.archive)
                sys.path.append(path)
                importlib.invalidate_caches()
            main = importlib.import_module("flyte_nb.worker_main")
            self.inner = main.AgentPlugin(pickle.loads(self.address))  # noqa: S301 - made by the kernel that registered this
            await self.inner.setup(worker)

        async def teardown(self, worker: Any) -> None:  # noqa: ANN401 - as above
            inner = self.__dict__.get("inner")
            if inner is not None:
                await inner.teardown(worker)

    return Bootstrap()
