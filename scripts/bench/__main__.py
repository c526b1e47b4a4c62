"""The command: measures, prints the table, writes JSON and a picture. Status 1 if something broke; a missed bar is a result like others."""

import argparse
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from scripts.bench.cases import FAMILIES, cases
from scripts.bench.measure import Measuring, Patience
from scripts.bench.model import Case
from scripts.bench.peers import PEERS, chosen, with_peers
from scripts.bench.plot import draw
from scripts.bench.record import PICTURE, ROOT, Round, case_record, read, this_machine, write, write_page
from scripts.bench.sizes import DEFAULT, FULL, QUICK, Sizes
from scripts.bench.table import closing_line, markdown, rows_of


def options() -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description="Measure flyte_nb beside its peers, on the same slots.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="sizes", action="store_const", const=QUICK, help="smaller and less often: under three minutes")
    size.add_argument("--full", dest="sizes", action="store_const", const=FULL, help="nothing scaled, peers as often as flyte_nb: an hour")
    parser.add_argument("--only", type=_names, default=(), metavar="B1a,B5", help=f"some of {', '.join(FAMILIES)}")
    parser.add_argument("--peers", type=_names, default=(), metavar="ray,flyte", help=f"also measure some of {', '.join(PEERS)}")
    parser.add_argument("--repeats", type=int, metavar="N", help="repeats of the quick workloads")
    parser.add_argument(
        "--patience", type=float, default=0.0, metavar="SECONDS", help="wait up to so long, in all, for others on this machine to be quiet"
    )
    parser.add_argument("--to", dest="path", type=Path, metavar="JSON", help="where the figures go; build/bench/<date>.json by default")
    parser.add_argument("--from", dest="known", type=Path, metavar="JSON", help="measure nothing: show what an earlier round found")
    parser.add_argument("--write-docs", action="store_true", help="also redraw docs/performance.md")
    parser.set_defaults(sizes=DEFAULT)
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def measured(asked: list[Case], sizes: Sizes, repeats: int, log: Path, patience: Patience) -> Round:
    """Measure; tell whoever waits how it goes."""
    started, began = datetime.now(UTC), time.monotonic()
    rows, kept = [], []
    for number, case in enumerate(asked, start=1):
        print(f"[{number}/{len(asked)}, {time.monotonic() - began:.0f} s] {case.key} {case.title}", flush=True)
        found = Measuring(case, log, lambda line: print(line, flush=True), patience).found(repeats)
        rows += rows_of(case, found)
        kept.append(case_record(case, found))
    return Round(
        started_at=started.isoformat(timespec="seconds"),
        ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sizes=sizes.name,
        command=shlex.join(["python", "-m", "scripts.bench", *sys.argv[1:]]),
        machine=this_machine(),
        rows=rows,
        cases=kept,
    )


def main() -> int:
    """Measure, or show."""
    asked = options()
    path = asked.known or asked.path or ROOT / "build" / "bench" / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}.json"
    if asked.known:
        kept = read(asked.known)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            chosen_cases = list(with_peers(cases(asked.sizes, asked.only), chosen(asked.peers), asked.sizes))
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        repeats = asked.repeats or asked.sizes.repeats
        kept = measured(chosen_cases, asked.sizes, repeats, path.with_suffix(".log"), Patience(asked.patience))
        write(kept, path)
    print(f"\n{markdown(kept.rows)}\n\n{closing_line(kept.rows)}")
    picture = path.with_suffix(".png")
    draw(kept.rows, picture)
    print(f"Every sample: {path}\nPicture: {picture}")
    if asked.write_docs:
        draw(kept.rows, PICTURE)
        print("Written:", *write_page(kept), PICTURE)
    return int(any(row.broken for row in kept.rows))


if __name__ == "__main__":
    sys.exit(main())
