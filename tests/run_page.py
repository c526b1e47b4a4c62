"""Runs the code of one page of the documentation, block after block, as cells of a notebook: `python -m tests.run_page docs/errors.md`.

Magics and `await` work.
"""

import sys

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tests.pages import blocks


def main(page: str) -> int:
    """Return 1 if a block fails."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    for number, block in enumerate(blocks(page), start=1):
        if block.language in {"python", "ipython"} and not block.not_run:
            result = shell.run_cell(block.text)  # IPython's
            if not result.success:
                print(f"{page}: block {number} fails: {result.error_in_exec or result.error_before_exec!r}\n{block.text}", file=sys.stderr)  # noqa: T201 - to a person
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
