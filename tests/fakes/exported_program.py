"""Runs exported modules one after the other, as programs, with the package that is named; what each printed last is a line of JSON."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import runpy
import sys
import traceback
from pathlib import Path

SUBMODULES = ("durable", "errors", "io", "models", "remote", "report")


def main() -> None:
    """`python exported_program.py PACKAGE MODULE...`: PACKAGE is what `import flyte` stands for."""
    package, *modules = sys.argv[1:]
    sys.modules["flyte"] = importlib.import_module(package)
    for name in SUBMODULES:
        sys.modules[f"flyte.{name}"] = importlib.import_module(f"{package}.{name}")
    for module in modules:
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                runpy.run_path(module, run_name="__main__")
            found: object = said.getvalue().rstrip("\n").rpartition("\n")[2]
        except BaseException:  # noqa: BLE001 - it is told
            found = traceback.format_exc()
        sys.__stdout__.write(json.dumps({"module": Path(module).stem, "said": found}) + "\n")  # type: ignore[union-attr]  # it is there


if __name__ == "__main__":
    main()
