"""`%flyte_cache`, `%flyte_cluster`, `%flyte_config`, `%flyte_runs` and `%flyte_view`, and what Tab offers for all magics."""

from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

from flyte_nb.core.caching import CacheLine
from flyte_nb.engine.backend import ClusterFacts
from flyte_nb.notebook import magics
from scripts.reference.magics import all_magics
from tests.fakes.hostile import text_of
from tests.unit.notebook.conftest import Cells

FACTS = ClusterFacts("embedded", "tls://127.0.0.1:1", "", 2, 2, 3 * 2**30)


def offered(nb: Cells, text: str) -> list[str]:
    """What the kernel answers when Tab is pressed at the end of a text."""
    with provisionalcompleter():
        return [completion.text for completion in nb.shell.Completer.completions(text, len(text))]


def test_settings_are_listed(nb: Cells) -> None:
    """With their values, nest among them."""
    listing = nb.run("%flyte_config")

    assert ("max_actions", "1000000") in listing.rows
    assert ("nest", "off") in listing.rows
    assert ("block", "on") in listing.rows
    assert "max_actions" in text_of(listing._repr_html_())
    assert repr(listing).startswith("Settings\nsetting")


def test_settings_are_changed(nb: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """And shown."""
    nb.run("%flyte_config max_actions 5000")
    nb.run("%flyte_config block off")
    nb.run("%flyte_config stdout")

    assert nb.workspace.settings.max_actions == 5000
    assert nb.workspace.settings.block is False
    assert capsys.readouterr().out == "max_actions = 5000\nblock = off\nstdout = on\n"


@pytest.mark.parametrize(
    "line, message",
    [
        ("%flyte_config max_action 5", "unknown setting 'max_action'. Did you mean max_actions?"),
        ("%flyte_config max_actions few", "few"),
        ("%flyte_config max_actions 0", "max_actions must be a whole number from 1"),
        ("%flyte_config block maybe", "maybe"),
        ("%flyte_config nest maybe", "nest is on or off"),
        ("%flyte_config a b c", "'c' is one word too many"),
        ("%flyte_cluster scale", "write `%flyte_cluster scale 4`"),
        ("%flyte_cluster close 3", "write `%flyte_cluster scale 4`"),
        ("%flyte_cluster scale many", "invalid int value: 'many'"),
        ("%flyte_cluster stop", "invalid choice: 'stop'"),
        ("%flyte_runs --all", "unknown option --all."),
        ("%flyte_view nothing", "there is no run 'nothing'"),
        ("%flyte_view", "the following arguments are required: run"),
    ],
)
def test_mistakes_get_a_clear_usage_error(nb: Cells, line: str, message: str) -> None:
    """Each names what is wrong, and the nearest right word."""
    assert message in nb.fails(line, UsageError)


def test_nest_is_applied_only_when_asked_for(nb: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """It slows every loop down, and cannot be taken back."""
    applied: list[int] = []
    monkeypatch.setattr(magics, "apply_nest", lambda: applied.append(1))
    nb.run("%flyte_config nest off")
    assert applied == []

    nb.run("%flyte_config nest on")
    assert applied == [1]
    monkeypatch.setattr(magics, "nest_is_on", lambda: True)
    assert "restart the kernel" in nb.fails("%flyte_config nest off", UsageError)


def test_nest_is_applied_by_the_environment_variable(nb: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """At loading."""
    applied: list[int] = []
    monkeypatch.setattr(magics, "apply_nest", lambda: applied.append(1))
    monkeypatch.setenv("FLYTE_NB_NEST", "1")
    magics.register(nb.shell, nb.workspace, nb.workspace.map_frame)

    assert applied == [1]


def test_the_cluster_is_shown(nb: Cells) -> None:
    """Or that there is none yet."""
    assert "No cluster runs" in repr(nb.run("%flyte_cluster"))

    nb.workspace.facts = FACTS
    listing = nb.run("%flyte_cluster")
    assert "3.0 GiB" in repr(listing)
    assert "tls://127.0.0.1:1" in text_of(listing._repr_html_())


def test_the_cluster_is_scaled_restarted_and_closed(nb: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """By the workspace."""
    nb.workspace.facts = FACTS
    nb.run("%flyte_cluster scale 4")
    nb.run("%flyte_cluster adapt 1 8")
    nb.run("%flyte_cluster restart")
    nb.run("%flyte_cluster close")

    assert nb.workspace.calls == [("front",), ("scale", 4), ("close",), ("start",), ("close",)]
    assert nb.workspace.settings.adaptive == (1, 8)
    assert "0 <= least <= most" in nb.fails("%flyte_cluster adapt 8 1", UsageError)
    assert "adapt 1 8" in nb.fails("%flyte_cluster adapt 8", UsageError)
    assert "The cluster is closed" in capsys.readouterr().out


def test_runs_are_listed_newest_first(nb: Cells) -> None:
    """As a table, with the phase of each; conditions are handed on."""
    nb.run("%%flyte_run -b\n1")
    nb.run("%%flyte_run\n2")
    listing = nb.run("%flyte_runs --phase failed --phase succeeded --since 2h --label team=a --limit 5")

    assert list(listing.index) == ["r1", "r0"]
    assert listing.phase["r0"] == "succeeded"
    conditions = {"phase": ("failed", "succeeded"), "labels": {"team": "a"}, "since": "2h", "limit": 5}
    assert nb.workspace.calls[-1] == ("runs", conditions)


def test_a_run_is_viewed_by_variable_or_name(nb: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """The view is the run's own display."""
    shown: list[Any] = []
    monkeypatch.setattr(magics, "display", shown.append)
    nb.run("%%flyte_run --out sweep\n1")
    nb.run("%flyte_view sweep")
    nb.run("%flyte_view r0")

    assert shown == [nb["sweep"], nb["sweep"]]


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("%%flyte_task --re", ["--retries"]),
        ("%%flyte_task --retries 2 --", ["--env", "--timeout", "--cache", "--cpu", "--memory", "--short-name", "--out"]),
        ("%%flyte_task --cache ", ["auto", "override", "disable"]),
        ("%%flyte_task --cache au", ["auto"]),
        ("%%flyte_task --env ", ["etl"]),
        ("%%flyte_run --", ["--block", "--noblock", "--out", "--group", "--recover"]),
        ("%flyte_config max", ["max_actions"]),
        ("%%flyte_task -o", ["-o"]),
        ("%flyte_config ne", ["nest"]),
        ("%flyte_config nest ", ["on"]),
        ("%flyte_cluster ", ["show", "scale", "adapt", "restart", "close"]),
        ("%flyte_cluster sc", ["scale"]),
        ("%flyte_view ", ["r0"]),
        ("%flyte_map tr", ["train"]),
        ("%flyte_map train items --c", ["--concurrency"]),
    ],
)
def test_tab_offers_options_and_values(nb: Cells, text: str, wanted: list[str]) -> None:
    """Through IPython's own completer, as the kernel asks it."""
    nb.run("from flyte_nb import TaskEnvironment\netl = TaskEnvironment('etl')\n@etl.task\ndef train(x: int) -> int: return x\n")
    nb.run("%%flyte_run\n1")

    found = offered(nb, text)

    assert sorted(found) == sorted(wanted)


def test_an_option_is_not_offered_twice(nb: Cells) -> None:
    """What is there already is not needed."""
    assert "--retries" not in offered(nb, "%%flyte_task --retries 2 --")


def test_the_body_completes_as_python(nb: Cells) -> None:
    """Names of the notebook, not options."""
    nb.run("my_long_name = 1")
    found = offered(nb, "%%flyte_task --retries 2\nmy_lo")

    assert "my_long_name" in found
    assert not any(name.startswith("--") for name in found)


def test_magic_names_complete(nb: Cells) -> None:
    """As those of IPython do."""
    assert {"%%flyte_task", "%%flyte_run"} <= set(offered(nb, "%%flyte"))
    assert {"%flyte_cluster", "%flyte_config"} <= set(offered(nb, "%flyte_c"))


def test_help_is_printed_for_every_magic(nb: Cells) -> None:
    """Each has a text, and each option has one."""
    for name in ("flyte_task", "flyte_run", "flyte_cluster", "flyte_config", "flyte_runs", "flyte_view"):
        method = nb.shell.find_magic(name, "cell") or nb.shell.find_magic(name, "line")
        assert method.__doc__
        assert all(action.help for action in method.parser._actions)


LINES = [CacheLine("etl.fetch", 1_200, 3_000_000, 40, 1.0, 1_700_000_000.0, 0.0), CacheLine("etl.score", 2, 600, 0, 1.0, 2.0, 3.0)]


def test_the_cache_is_listed_by_task(nb: Cells) -> None:
    """How many results, how large, how often taken; an empty one says how to use it."""
    empty = nb.run("%flyte_cache")
    nb.workspace.cache.kept = LINES

    text = repr(nb.run("%flyte_cache"))

    assert 'cache="auto"' in repr(empty)
    assert all(word in text for word in ("etl.fetch", "1,200", "40", "2023-11-1", "etl.score", "1,202 results", "%flyte_cache clear"))


def test_the_cache_is_cleared_as_a_whole_or_for_a_task(nb: Cells, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not there is a mistake, with a proposal."""
    nb.workspace.cache.kept = LINES
    nb.run("%flyte_cache clear")
    nb.run("%flyte_cache clear etl.score")

    assert nb.workspace.cache.cleared == ["", "etl.score"]
    assert capsys.readouterr().out.splitlines() == ["2 results dropped."] * 2
    with pytest.raises(UsageError, match=r"nothing is kept of a task 'etl.fetsh'.*etl.fetch"):
        nb.run("%flyte_cache clear etl.fetsh")
    assert offered(nb, "%flyte_cache clear etl.") == ["etl.fetch", "etl.score"]


def test_the_page_of_magics_has_those_that_are_loaded(nb: Cells) -> None:
    """All of them, and no others."""
    loaded = {
        sign + name
        for kind, sign in (("line", "%"), ("cell", "%%"))
        for name in nb.shell.magics_manager.magics[kind]
        if name.startswith("flyte_")
    }

    assert {magic.name for magic in all_magics()} == loaded


@pytest.mark.parametrize("magic", all_magics(), ids=lambda magic: magic.name)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_a_magic_shows_its_help(nb: Cells, magic: Any, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for it, it does nothing else: the text and every option."""
    nb.run(f"{magic.name} {option}\nno Python at all" if magic.name.startswith("%%") else f"{magic.name} {option}")
    said = capsys.readouterr().out

    assert said.splitlines()[0].strip().startswith(magic.name.replace("%%", "%"))
    assert all(word in said for action in magic.parser._actions for word in action.option_strings)


def test_a_time_that_is_no_number_is_answered_with_an_example(nb: Cells) -> None:
    """Not in argparse's own words."""
    result = nb.attempt("%%flyte_task --timeout 1m\ndef f(x: int) -> int:\n    return x")

    assert "it takes seconds, such as 90 or 0.5, not '1m'" in str(result.error_in_exec)
