"""Settings: what is accepted, and how their text is read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flyte_nb.settings import Settings, from_environment, read_setting


@pytest.mark.parametrize("limits", [(1, 4), (0, 1), (3, 3)])
@pytest.mark.parametrize(
    "cluster", [None, "inline", SimpleNamespace(scale=print), SimpleNamespace(cluster=SimpleNamespace(scale=print))], ids=str
)
def test_a_cluster_whose_size_can_be_changed_may_follow_the_load(limits: tuple[int, int], cluster: object) -> None:
    """The embedded one, a cluster object, a client that knows one."""
    assert Settings(adaptive=limits, cluster=cluster).adaptive == limits


@pytest.mark.parametrize("limits", [4, (4,), (4, 1), (0, 0), (-1, 2), (True, 2), (1, 2.0), "1-4"])
def test_limits_that_make_no_sense_are_refused(limits: Any) -> None:
    """With what they should be."""
    with pytest.raises(ValueError, match="adaptive must be two whole numbers"):
        Settings(adaptive=limits)


@pytest.mark.parametrize("cluster", ["tcp://scheduler:8786", SimpleNamespace(cluster=None)], ids=str)
def test_a_cluster_that_is_known_by_its_address_cannot_follow_the_load(cluster: object) -> None:
    """Nobody here can change its size."""
    with pytest.raises(ValueError, match="size can be changed from here"):
        Settings().with_values(adaptive=(1, 4), cluster=cluster)


@pytest.mark.parametrize("text,limits", [("1-8", (1, 8)), ("0,2", (0, 2)), ("off", None), ("None", None)])
def test_limits_are_read_from_text(text: str, limits: tuple[int, int] | None) -> None:
    """From the environment, or `%flyte_config`."""
    assert from_environment({"FLYTE_NB_ADAPTIVE": text}).adaptive == limits


def test_a_text_that_holds_no_limits_is_said_so() -> None:
    """With an example."""
    with pytest.raises(ValueError, match="LEAST-MOST, such as 1-8"):
        read_setting("adaptive", "8")
