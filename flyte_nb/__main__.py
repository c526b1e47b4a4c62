"""Decides nothing: `python -m flyte_nb` is `cli.main`."""

from __future__ import annotations

import sys

from flyte_nb.cli import main

if __name__ == "__main__":
    sys.exit(main())
