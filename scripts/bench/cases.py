"""Decides the list of bars: what is measured, against whom, and what must hold.

The same bars hold for every size of a round. Must not know: how a system does its work.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from scripts.bench.bodies import LONG_COUNT, Order, bound, heavy_tail
from scripts.bench.model import COLD_SECONDS, START_SECONDS, THREADS, Case, Comparison, Contender, Slots
from scripts.bench.sizes import Sizes

OURS, SYNC, NOTEBOOK = "flyte_nb", "flyte_nb, sync tasks", "flyte_nb in a notebook"
DASK, DASK_INF, JOBLIB, EXECUTOR = "Dask", "Dask, saturation inf", "joblib", "ProcessPoolExecutor"
#: Name in the table, and system; the one that bars are held against is the first.
PEERS = ((DASK_INF, "dask-inf"), (DASK, "dask"), (JOBLIB, "joblib"), (EXECUTOR, "executor"))
IDEAL = "ideal"
DASK_SLEEPS = 100
ONE, TWO = Slots(1, 1), Slots(2, 1)


def measured(
    name: str, system: str, workload: str, arguments: Mapping[str, object], *, most: int | None = None, slots: Slots = TWO
) -> Contender:
    """Return a contender that is measured."""
    return Contender(name=name, system=system, workload=workload, arguments=arguments, slots=slots, most_repeats=most)


def fresh(
    name: str, system: str, workload: str, arguments: Mapping[str, object], *, most: int | None = None, cold: bool = False
) -> Contender:
    """Return a contender that has a new process for each repeat."""
    return Contender(name=name, system=system, workload=workload, arguments=arguments, most_repeats=most, fresh=True, cold=cold)


def in_notebook(workload: str, arguments: Mapping[str, object], most: int = 1) -> Contender:
    """Return flyte_nb in a notebook."""
    return measured(NOTEBOOK, "notebook", workload, arguments, most=most)


def standing_for(count: int, few: int, name: str, system: str, *, most: int | None = None) -> Contender:
    """Return a contender that maps a few no-ops, which stand for all."""
    contender = measured(name, system, "map_noop", {"count": few}, most=most)
    return contender if few == count else replace(contender, scale=count / few, note=f"{few:,} measured, × {count // few}")


def ratio(subject: str, reference: str, most: float | None = None, aim: float | None = None) -> Comparison:
    """Return a comparison of seconds."""
    return Comparison(subject=subject, reference=reference, most=most, aim=aim)


def one_gather(sizes: Sizes) -> Iterator[Case]:
    """B1a."""
    floor, strict, count = "plain asyncio", "plain asyncio, collector off", {"count": sizes.noops}
    yield Case(
        key="B1a",
        title=f"{sizes.noops:,} no-ops in one gather",
        contenders=(
            measured(OURS, "flyte_nb", "gather_noop", {**count, "sync": False}),
            measured(SYNC, "flyte_nb", "gather_noop", {**count, "sync": True}),
            in_notebook("gather_noop", {**count, "sync": False}, sizes.long_repeats),
            measured(floor, "asyncio", "gather_noop", count),
            measured(strict, "asyncio", "gather_noop", {**count, "collector": False}),
        ),
        comparisons=(
            *(ratio(name, floor, 2.5, 1.5) for name in (OURS, SYNC, NOTEBOOK)),
            *(ratio(name, strict) for name in (OURS, SYNC)),
        ),
    )


def one_map(sizes: Sizes) -> Iterator[Case]:
    """B1b."""
    all_of_them, few = {"count": sizes.noops}, sizes.dask_noops
    yield Case(
        key="B1b",
        title=f"{sizes.noops:,} no-ops through map",
        contenders=(
            measured(OURS, "flyte_nb", "map_noop", all_of_them),
            in_notebook("map_noop", all_of_them, sizes.long_repeats),
            standing_for(sizes.noops, few, DASK_INF, "dask-inf", most=sizes.long_repeats),
            standing_for(sizes.noops, few, DASK, "dask", most=sizes.peer_repeats),
            measured(JOBLIB, "joblib", "map_noop", all_of_them),
            measured(EXECUTOR, "executor", "map_noop", all_of_them, most=sizes.long_repeats),
        ),
        comparisons=(
            ratio(OURS, DASK_INF, 1 / 25),
            ratio(NOTEBOOK, DASK_INF, 1 / 25),
            ratio(OURS, JOBLIB, aim=2.0),
            ratio(OURS, DASK),
            ratio(OURS, EXECUTOR),
        ),
    )


def even_work(sizes: Sizes) -> Iterator[Case]:
    """B2: what waits in its thread, and what computes there."""
    arguments = {"count": sizes.sleeps, "seconds": 0.01}
    ideal = Contender(name=IDEAL, calculated=sizes.sleeps * 0.01 / TWO.count)
    for workload, what, peers in (("map_sleep", "waiting", PEERS), ("map_spin", "computing", (*PEERS[:1], *PEERS[2:3]))):
        yield Case(
            key="B2",
            title=f"{sizes.sleeps:,} × 10 ms sync, {what}",
            contenders=(
                ideal,
                measured(OURS, "flyte_nb", workload, arguments, most=sizes.long_repeats),
                in_notebook(workload, arguments),
                *(measured(name, system, workload, arguments, most=sizes.peer_repeats) for name, system in peers),
            ),
            comparisons=(
                *(ratio(name, IDEAL, 1.05, 1.02) for name in (OURS, NOTEBOOK)),
                *(ratio(name, IDEAL) for name, _ in peers),
            ),
        )


def many_waiting(sizes: Sizes) -> Iterator[Case]:
    """B3."""
    arguments, floor = {"count": sizes.async_sleeps, "seconds": 0.1}, "plain asyncio"
    # A slot holds one coroutine of Dask's at a time, so its time grows with their number exactly.
    raw = measured(DASK_INF, "dask-inf", "gather_sleeps", {**arguments, "count": DASK_SLEEPS}, most=sizes.peer_repeats)
    scale = sizes.async_sleeps // DASK_SLEEPS
    yield Case(
        key="B3",
        title=f"{sizes.async_sleeps:,} × 0.1 s async, default settings",
        contenders=(
            measured(OURS, "flyte_nb", "gather_sleeps", arguments),
            in_notebook("gather_sleeps", arguments, sizes.long_repeats),
            measured(floor, "asyncio", "gather_sleeps", arguments),
            replace(raw, scale=scale, note=f"{DASK_SLEEPS} measured, × {scale}"),
        ),
        comparisons=(ratio(OURS, floor, 6, 2), ratio(NOTEBOOK, floor, 6, 2), ratio(OURS, DASK_INF)),
    )


def nested_calls(sizes: Sizes) -> Iterator[Case]:
    """B4: on all slots also in a notebook and beside Dask as it comes; on one slot that nothing deadlocks."""
    for slots in (TWO, ONE):
        for shape in sizes.shapes:
            here = {"shape": list(shape)}
            more = (
                in_notebook("nested", {**here, "sync": False}, sizes.long_repeats),
                measured(DASK, "dask", "nested", here, most=sizes.peer_repeats),
            )
            yield Case(
                key="B4",
                title=f"nested {'×'.join(map(str, shape))} on {slots.workers} × {slots.threads}",
                contenders=(
                    measured(OURS, "flyte_nb", "nested", {**here, "sync": False}, slots=slots),
                    measured(SYNC, "flyte_nb", "nested", {**here, "sync": True}, slots=slots),
                    measured(DASK_INF, "dask-inf", "nested", here, slots=slots, most=sizes.long_repeats),
                    *(more if slots == TWO else ()),
                ),
                comparisons=(
                    *(ratio(name, DASK_INF, 1 / 4) for name in (OURS, SYNC)),
                    *((ratio(NOTEBOOK, DASK_INF, 1 / 4), ratio(OURS, DASK)) if slots == TWO else ()),
                ),
            )


def uneven_work(sizes: Sizes) -> Iterator[Case]:
    """B5: peers and the notebook with the order that says most."""
    orders: tuple[Order, ...] = ("shuffled", "first", "last")
    for order in orders:
        arguments = {"count": sizes.tail, "order": order}
        peers = PEERS if order == "shuffled" else ()
        ours = (OURS, NOTEBOOK) if order == "shuffled" else (OURS,)
        yield Case(
            key="B5",
            title=f"{sizes.tail:,} of 1 ms, {LONG_COUNT} of them 500 ms, long ones {order}",
            contenders=(
                Contender(name=IDEAL, calculated=bound(heavy_tail(sizes.tail, order), TWO.count)),
                measured(OURS, "flyte_nb", "map_tail", arguments, most=sizes.long_repeats),
                *(in_notebook("map_tail", arguments) for _ in ours[1:]),
                *(measured(name, system, "map_tail", arguments, most=sizes.peer_repeats) for name, system in peers),
            ),
            comparisons=(*(ratio(name, IDEAL, 1.08, 1.04) for name in ours), *(ratio(name, IDEAL) for name, _ in peers)),
        )


def large_results(sizes: Sizes) -> Iterator[Case]:
    """B6: each in a new process, since what earlier runs of a session wrote is still on its way to the disk; and in one session."""
    count, session = {"count": sizes.megabytes}, f"{OURS}, run after run in one session"
    yield Case(
        key="B6",
        title=f"{sizes.megabytes:,} results of 1 MB",
        contenders=(
            fresh(OURS, "flyte_nb", "map_megabytes", count),
            fresh(NOTEBOOK, "notebook", "map_megabytes", count, most=sizes.long_repeats),
            measured(session, "flyte_nb", "map_megabytes", count),
            fresh(JOBLIB, "joblib", "map_megabytes", count),
            fresh(DASK_INF, "dask-inf", "map_megabytes", count, most=sizes.peer_repeats),
            fresh(EXECUTOR, "executor", "map_megabytes", count, most=sizes.peer_repeats),
        ),
        comparisons=(
            *(ratio(name, JOBLIB, 1.0) for name in (OURS, NOTEBOOK)),
            ratio(session, JOBLIB),
            *(ratio(OURS, name) for name in (DASK_INF, EXECUTOR)),
        ),
    )


def single_actions(sizes: Sizes) -> Iterator[Case]:
    """B7."""
    raw = f"{DASK}: LocalCluster's start"
    yield Case(
        key="B7",
        title="first result from cold, imports included",
        contenders=(fresh(OURS, "flyte_nb", "one", {}, cold=True), fresh(raw, "dask", "one", {}, cold=True)),
        comparisons=(Comparison(subject=OURS, reference=raw, subject_metric=COLD_SECONDS, reference_metric=START_SECONDS, most=1.3),),
    )
    times = {"times": sizes.warm}
    yield Case(
        key="B7",
        title="one warm action",
        contenders=(
            measured(OURS, "flyte_nb", "one", times),
            in_notebook("one", times, sizes.long_repeats),
            measured(DASK, "dask", "one", times),
        ),
        comparisons=tuple(Comparison(subject=name, reference=DASK, measure="excess", most=0.005, unit="ms") for name in (OURS, NOTEBOOK)),
    )


def millions(sizes: Sizes) -> Iterator[Case]:
    """B8."""
    tenth, count = f"{OURS}, {sizes.million // 10:,}", {"count": sizes.million}
    yield Case(
        key="B8",
        title=f"{sizes.million:,} no-ops through map",
        contenders=(
            fresh(tenth, "flyte_nb", "map_noop", {"count": sizes.million // 10}, most=sizes.long_repeats),
            fresh(OURS, "flyte_nb", "map_noop", count, most=sizes.long_repeats),
            fresh(NOTEBOOK, "notebook", "map_noop", count, most=1),
        ),
        comparisons=(
            *(ratio(name, tenth, 12, 10) for name in (OURS, NOTEBOOK)),
            *(
                Comparison(subject=name, measure="value", subject_metric="bytes_per_action", most=1024, aim=500, unit="B an action")
                for name in (OURS, NOTEBOOK)
            ),
        ),
    )


def computing_coroutines(sizes: Sizes) -> Iterator[Case]:
    """B9."""
    arguments = {"count": sizes.computing, "seconds": 0.1}
    yield Case(
        key="B9",
        title=f"{sizes.computing} compute-bound async def of 100 ms",
        contenders=(
            measured(OURS, "flyte_nb", "map_burn", {**arguments, "sync": False}, most=sizes.long_repeats),
            measured(SYNC, "flyte_nb", "map_burn", {**arguments, "sync": True}, most=sizes.long_repeats),
            in_notebook("map_burn", {**arguments, "sync": False}, sizes.long_repeats),
        ),
        comparisons=(ratio(OURS, SYNC, 1.1), ratio(NOTEBOOK, SYNC, 1.1)),
    )


def waiting_drivers(sizes: Sizes) -> Iterator[Case]:
    """B10."""
    waiting, calling, raw = f"{OURS}, {sizes.drivers} async drivers", f"{OURS}, 60 sync drivers", "Dask's own threads"
    many = {"drivers": sizes.drivers, "children": 8, "seconds": 0.1}
    yield Case(
        key="B10",
        title=f"{sizes.drivers} waiting async drivers × 8 children, 60 sync ones × 4, on 1 × 1",
        contenders=(
            measured(waiting, "flyte_nb", "waiting_drivers", many, most=sizes.long_repeats, slots=ONE),
            measured(calling, "flyte_nb", "calling_drivers", {"drivers": 60, "children": 4}, most=sizes.long_repeats, slots=ONE),
            measured(raw, "dask", "idle_threads", {}, slots=ONE),
        ),
        comparisons=(
            Comparison(
                subject=waiting, reference=raw, measure="excess", subject_metric=THREADS, reference_metric=THREADS, most=20, unit="threads"
            ),
            *(Comparison(subject=name, measure="value", most=60, unit="s to finish") for name in (waiting, calling)),
        ),
    )


def open_view(sizes: Sizes) -> Iterator[Case]:
    """B11."""
    shown, unseen, arguments = f"{NOTEBOOK}, view open", f"{NOTEBOOK}, view closed", {"count": sizes.noops, "sync": False}
    yield Case(
        key="B11",
        title=f"{sizes.noops:,} no-ops in one gather, in a notebook",
        contenders=(
            measured(shown, "notebook", "gather_noop", arguments),
            measured(unseen, "notebook", "gather_noop", {**arguments, "unseen": True}),
        ),
        comparisons=(ratio(shown, unseen, 1.15, 1.05),),
    )


FAMILIES = {
    "B1a": one_gather,
    "B1b": one_map,
    "B2": even_work,
    "B3": many_waiting,
    "B4": nested_calls,
    "B5": uneven_work,
    "B6": large_results,
    "B7": single_actions,
    "B8": millions,
    "B9": computing_coroutines,
    "B10": waiting_drivers,
    "B11": open_view,
}


def cases(sizes: Sizes, only: tuple[str, ...] = ()) -> list[Case]:
    """Return the cases, in the order of the bars.

    Raises:
        ValueError: there is no such bar.
    """
    unknown = set(only) - FAMILIES.keys()
    if unknown:
        raise ValueError(f"There is no {', '.join(sorted(unknown))}; bars are: {', '.join(FAMILIES)}.")
    return [case for key, family in FAMILIES.items() if key in (only or FAMILIES) for case in family(sizes)]
