"""Decides what is kept of a round: a JSON file with every sample, and the table in docs/performance.md, drawn from that file.

Must not know: how figures are measured or judged.
"""

import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from scripts.bench.model import Case, Found
from scripts.bench.table import Row, closing_line, markdown

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
KEPT = ROOT / "docs" / "performance.json"
PICTURE = ROOT / "docs" / "performance.svg"
BEGIN = "<!-- table: drawn by `make bench ARGS=--write-docs` from performance.json -->"
END = "<!-- end of table -->"
PACKAGES = (
    "flyte_nb",
    "dask",
    "distributed",
    "joblib",
    "ipykernel",
    "anywidget",
    "ipywidgets",
    "ray",
    "ipyparallel",
    "parsl",
    "flyte",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was measured on."""

    system: str
    processor: str
    cpus: int
    memory_gib: float
    python: str
    versions: dict[str, str]

    def words(self) -> str:
        """Return it in a sentence."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{self.cpus} CPUs ({self.processor}), {self.memory_gib:.0f} GiB, {self.system}, Python {self.python}; {versions}"


def this_machine() -> Machine:
    """Return what this is."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Machine(
        system=platform.system(),
        processor=_processor(),
        cpus=len(psutil.Process().cpu_affinity() or ()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1,
        memory_gib=psutil.virtual_memory().total / 2**30,
        python=platform.python_version(),
        versions=versions,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """All that was measured at one go."""

    started_at: str
    ended_at: str
    sizes: str
    command: str
    machine: Machine
    rows: list[Row]
    cases: list[dict[str, Any]]

    @property
    def others_percent(self) -> tuple[float, float]:
        """How busy others kept the CPUs right before measurements: median and highest."""
        samples = [sample for case in self.cases for samples in case["samples"].values() for sample in samples]
        busy = [sample["others_percent"] for sample in samples if sample is not None and "others_percent" in sample]
        return (statistics.median(busy), max(busy)) if busy else (0.0, 0.0)


def case_record(case: Case, found: Found) -> dict[str, Any]:
    """Return what is kept of a case: every sample."""
    contenders = {each.name: {"system": each.system, "workload": each.workload, "arguments": each.arguments} for each in case.contenders}
    return {"key": case.key, "title": case.title, "contenders": contenders, **asdict(found)}


def write(kept: Round, path: Path) -> None:
    """Write a round's JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(kept), indent=1, ensure_ascii=False) + "\n", encoding="utf8")


def read(path: Path) -> Round:
    """Read a round back."""
    loaded = json.loads(path.read_text(encoding="utf8"))
    machine = Machine(**loaded.pop("machine"))
    rows = [Row(**row) for row in loaded.pop("rows")]
    return Round(machine=machine, rows=rows, **loaded)


def section(kept: Round) -> str:
    """Return what stands between the page's markers."""
    middle, most = kept.others_percent
    began, ended = (datetime.fromisoformat(at) for at in (kept.started_at, kept.ended_at))
    lines = [
        f"Measured on {began:%Y-%m-%d}, {began:%H:%M} to {ended:%H:%M} UTC, with `{kept.command}` on {kept.machine.words()}.",
        f"Right before measurements others kept the CPUs {middle:.0f} % busy in the median, {most:.0f} % at most.",
        closing_line(kept.rows),
    ]
    return "\n".join([*lines, "", markdown(kept.rows)])


def redrawn(page: str, kept: Round) -> str:
    """Return a page with the table between its markers drawn anew.

    Raises:
        ValueError: The page does not have the markers, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page needs a line {BEGIN!r} and, below it, {END!r}.")
    return f"{before}{BEGIN}\n{section(kept)}\n{END}{after}"


def write_page(kept: Round) -> Sequence[Path]:
    """Redraw the page from a round, and keep the round beside it; return what was written."""
    PAGE.write_text(redrawn(PAGE.read_text(encoding="utf8"), kept), encoding="utf8")
    write(kept, KEPT)
    return PAGE, KEPT
