"""Makes the pages that tell of public names: docs/reference/, docs/errors.md and docs/magics.md, from the code's own docstrings.

`make docs` calls `python -m scripts.reference`; with `--check` it only tells whether the pages are true, with `--run` it executes the
examples.
"""
