"""The benchmark's pure parts: who is measured when, how figures pair up, how rows are judged and worded."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.bench.bodies import LONG_SECONDS, Order, bound, heavy_tail
from scripts.bench.cases import FAMILIES, cases
from scripts.bench.measure import scaled, turns
from scripts.bench.model import Case, Comparison, Contender, Figures, Found
from scripts.bench.peers import PEERS, chosen, with_peers
from scripts.bench.record import KEPT, PAGE, Machine, Round, read, redrawn, write
from scripts.bench.sizes import DEFAULT, FULL, QUICK, Sizes
from scripts.bench.table import Row, closing_line, markdown, paired, rows_of, significant

OURS, THEIRS = Contender(name="ours", system="flyte_nb"), Contender(name="theirs", system="dask")


def case(*comparisons: Comparison, contenders: tuple[Contender, ...] = (OURS, THEIRS)) -> Case:
    """Return a case."""
    return Case(key="B0", title="some work", contenders=contenders, comparisons=comparisons)


def found(ours: list[float | None], theirs: list[float | None], broken: str = "") -> Found:
    """Return what measurements found."""

    def samples(seconds: list[float | None]) -> list[Figures | None]:
        return [None if each is None else {"seconds": each, "threads": each * 10} for each in seconds]

    return Found(samples={"ours": samples(ours), "theirs": samples(theirs)}, broken={"theirs": broken} if broken else {})


def row(**values: object) -> Row:
    """Return the row of a ratio of 0.5 with a bar of 1."""
    (made,) = rows_of(case(Comparison(subject="ours", reference="theirs", most=1.0)), found([1.0], [2.0]))
    return replace(made, **values)  # type: ignore[arg-type]  # the tests name fields of Row


def test_the_order_moves_on_by_one_in_each_repeat_and_slow_ones_stop_early() -> None:
    """Who is first changes; a calculated time has no turn."""
    a, b = Contender(name="a", system="x"), Contender(name="b", system="y")
    once = Contender(name="c", system="z", most_repeats=1)
    ideal = Contender(name="ideal", calculated=1.0)

    assert turns((ideal, a, b, once), 3) == [[a, b, once], [b, a], [a, b]]


def test_seconds_of_a_few_stand_for_many() -> None:
    """Only the time is scaled."""
    contender = Contender(name="a", scale=10.0)

    assert scaled({"seconds": 2.0, "threads": 4.0}, contender) == {"seconds": 20.0, "threads": 4.0}


def test_figures_pair_up_within_a_repeat() -> None:
    """A repeat in which one of the two is missing says nothing."""
    ratio = Comparison(subject="ours", reference="theirs")
    excess = replace(ratio, measure="excess", subject_metric="threads", reference_metric="threads")
    value = Comparison(subject="ours", measure="value")
    samples = found([1.0, 2.0, None], [4.0, 4.0, 8.0])

    assert paired(ratio, samples) == [0.25, 0.5]
    assert paired(excess, samples) == [-30.0, -20.0]
    assert paired(value, samples) == [1.0, 2.0]


def test_a_row_is_the_median_of_ratios_and_not_the_ratio_of_medians() -> None:
    """A machine that is slow for one repeat slows both."""
    (made,) = rows_of(
        case(Comparison(subject="ours", reference="theirs", most=0.6, aim=0.2)),
        found([1.0, 10.0, 1.0], [2.0, 20.0, 4.0]),
    )

    assert made == row(figure=0.5, low=0.25, high=0.5, pairs=3, most=0.6, aim=0.2, who_seconds=1.0, other_seconds=4.0)


def test_what_was_not_measured_has_no_row_and_what_broke_has() -> None:
    """A peer that was left out is no failure."""
    comparison = Comparison(subject="ours", reference="theirs")

    assert rows_of(case(comparison), found([1.0], [None])) == []
    (broke,) = rows_of(case(comparison), found([1.0], [None], broken="it ended"))
    assert (broke.verdict, broke.broken, broke.figure) == ("broke", "it ended", None)


@pytest.mark.parametrize(
    "most,aim,verdict",
    [
        (None, None, ""),
        (0.5, None, "met"),
        (0.49, None, "missed"),
        (1.0, 0.4, "met"),
        (1.0, 0.5, "met, aim met"),
        (0.4, 0.3, "missed"),
        (None, 0.6, "aim met"),
        (None, 0.4, "aim missed"),
    ],
)
def test_a_row_is_judged_by_its_bar_and_aim(most: float | None, aim: float | None, verdict: str) -> None:
    """Its figure is 0.5."""
    assert row(most=most, aim=aim).verdict == verdict


def test_the_table_says_what_rows_share_once_and_small_ratios_the_other_way_round() -> None:
    """And marks what was missed."""
    rows = [
        row(figure=0.04, low=0.03, high=0.05, pairs=3, note="10 measured, × 10"),
        row(who="ours, again", figure=1.5, low=1.5, high=1.5, aim=0.5),
        row(key="B1", measure="excess", unit="ms", figure=0.0012, most=0.005),
    ]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown(rows).splitlines()]
    against, seconds = "theirs (10 measured, × 10)", ["1", "2"]

    assert lines[2:] == [
        ["B0", "some work", "ours", "0.04 (25 × faster)", "0.03 – 0.05", against, "≤ 1", "met", *seconds, "3"],
        ["", "", "ours, again", "1.5", "", "theirs", "≤ 1, aim ≤ 0.5", "**missed**", *seconds, "1"],
        ["B1", "some work", "ours", "+1.2 ms", "", "theirs", "≤ +5 ms", "met", *seconds, "1"],
    ]
    assert len({len(line) for line in markdown(rows).splitlines()}) == 1


def test_the_closing_line_counts_bars_and_aims() -> None:
    """And names what was missed."""
    rows = [row(aim=0.5), row(most=0.4, aim=0.3), row(most=None), row(broken="it ended")]

    assert closing_line(rows) == "1 of 2 bars met, 1 of 2 aims; missed: B0 (ours); 1 comparisons broke."


def test_numbers_keep_three_digits() -> None:
    """More would be noise."""
    assert [significant(number) for number in (0.012345, 1.0, 12.345, 123.45, 12345.6)] == ["0.0123", "1", "12.3", "123", "12,346"]


@pytest.mark.parametrize("sizes", [DEFAULT, FULL, QUICK], ids=lambda sizes: sizes.name)
def test_every_bar_has_cases_in_every_size(sizes: Sizes) -> None:
    """A case checks itself: its names are known and differ."""
    assert list(dict.fromkeys(each.key for each in cases(sizes))) == list(FAMILIES)
    assert {each.key for each in cases(sizes, ("B5", "B1a"))} == {"B1a", "B5"}


def test_bars_do_not_depend_on_the_size() -> None:
    """A quick round is judged like a full one."""

    def bars(sizes: Sizes) -> list[tuple[str, float | None, float | None]]:
        return [(each.key, comparison.most, comparison.aim) for each in cases(sizes) for comparison in each.comparisons]

    assert bars(QUICK) == bars(DEFAULT) == bars(FULL)


def test_an_unknown_bar_or_peer_is_named_with_those_there_are() -> None:
    """So that a typing mistake does not measure nothing."""
    with pytest.raises(ValueError, match=r"There is no B99; bars are: B1a, B1b"):
        cases(QUICK, ("B99",))
    with pytest.raises(ValueError, match="There is no peer spark; peers are: ray"):
        chosen(["spark"])


def test_a_case_refuses_a_comparison_with_nobody() -> None:
    """A wrong name would be a row that is silently missing."""
    with pytest.raises(ValueError, match="nobody is compared"):
        case(Comparison(subject="ours", reference="nobody"))


def test_peers_take_part_where_they_can() -> None:
    """Next to raw Dask, with the same to do; the real SDK's local mode is what nested calls aim at."""
    (only,) = with_peers([case(Comparison(subject="ours", reference="theirs"))], list(PEERS), DEFAULT)
    nested = next(iter(with_peers(cases(DEFAULT, ("B4",)), ["flyte"], DEFAULT)))
    flyte = nested.comparisons[-1]

    assert only.contenders == (OURS, THEIRS)
    assert nested.contenders[-1].workload == "nested"
    assert (flyte.reference, flyte.most, flyte.aim) == (PEERS["flyte"].label, None, 1.0)


@pytest.mark.parametrize("order,at", [("first", slice(0, 16)), ("last", slice(-16, None))])
def test_long_sleeps_are_where_they_were_asked_for(order: Order, at: slice) -> None:
    """Whatever the order, the same work and the same bound."""
    durations = heavy_tail(100, order)

    assert durations[at] == [LONG_SECONDS] * 16
    assert sorted(durations) == sorted(heavy_tail(100, "shuffled"))
    assert bound([1.0, 1.0, 1.0, 5.0], 2) == 5.0


def round_of(*rows: Row) -> Round:
    """Return a round."""
    machine = Machine(system="Linux", processor="some", cpus=2, memory_gib=8.0, python="3.11.0", versions={"dask": "1"})
    return Round(
        started_at="2030-01-02T03:04:05+00:00",
        ended_at="2030-01-02T03:14:05+00:00",
        sizes="quick",
        command="python -m scripts.bench --quick",
        machine=machine,
        rows=list(rows),
        cases=[{"samples": {"ours": [{"seconds": 1.0, "others_percent": 7.0}, None]}}],
    )


def test_a_round_reads_back_as_it_was_written(tmp_path: Path) -> None:
    """So that the page can be drawn again without measuring."""
    path = tmp_path / "round.json"
    write(round_of(row()), path)

    assert read(path) == round_of(row())


def test_the_page_in_the_documentation_shows_the_round_that_is_kept_beside_it() -> None:
    """Nobody edits the table by hand."""
    page = PAGE.read_text(encoding="utf8")

    assert redrawn(page, read(KEPT)) == page


def test_a_page_without_markers_is_refused() -> None:
    """Rather than left without a table."""
    with pytest.raises(ValueError, match="needs a line"):
        redrawn("# Performance", round_of(row()))
