"""How the figures of a Binder session read, and which are wrong."""

import pytest

from scripts.binder import image, report
from scripts.binder.report import BEGIN, END, MIB, Tried

LOCK = """
https://conda.anaconda.org/conda-forge/linux-64/python-3.11.14-hfe2f287_1_cpython.conda#1
https://conda.anaconda.org/conda-forge/linux-64/libzlib-1.3.1-hb9d3cd8_2.conda#2
https://conda.anaconda.org/conda-forge/noarch/jupyterlab-4.4.9-pyhd8ed1ab_0.conda#3
https://conda.anaconda.org/conda-forge/linux-64/jupyterhub-base-5.4.0-pyhc90fa1f_0.conda#4
https://conda.anaconda.org/conda-forge/linux-64/psutil-7.1.0-py311h49ec1c0_0.conda#5
https://conda.anaconda.org/conda-forge/noarch/rfc3339-validator-0.1.4-pyh9f0ad1d_0.tar.bz2#6
"""


def test_frozen_versions_are_those_of_python_packages_by_their_names_on_the_index() -> None:
    """Libraries and the interpreter are none of them."""
    assert image.frozen(LOCK) == {"jupyterlab": "4.4.9", "jupyterhub": "5.4.0", "psutil": "7.1.0", "rfc3339-validator": "0.1.4"}


def test_what_binder_would_end_is_wrong_and_what_fits_is_not() -> None:
    """Memory and time each have their most; what went wrong in the notebook counts too."""
    assert report.judged(Tried("a", 119, 2047 * MIB)) == []
    assert len(report.judged(Tried("a", 121, 2049 * MIB, ["cell 3 failed"]))) == 3
    assert "right" in report.line(Tried("a", 1, MIB))
    assert "cell 3 failed" in report.line(Tried("a", 1, MIB, ["cell 3 failed"]))


def test_figures_stand_between_the_markers() -> None:
    """The rest of the page stays; a page without them is refused."""
    assert report.redrawn(f"a\n{BEGIN}\nold\n{END}\nb", "new") == f"a\n{BEGIN}\nnew\n{END}\nb"
    with pytest.raises(ValueError, match="end of figures"):
        report.redrawn("a", "new")
