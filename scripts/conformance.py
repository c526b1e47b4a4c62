"""Runs a conformance suite against flyte_nb, and compares its recorded action trees with ours: `make conformance SUITE=<folder>`.

Decides: when two trees are the same. Rows are [task, parent, group, phase, attempts, cached]. Where the real SDK shows a
group as a folder between parent and child, we show a label on the child: folders are taken out before the comparison.
Must not know: what the suite's cases hold; whether a case passes is its own `run.py`'s word.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

Row = Sequence[Any]
Node = tuple[str, str, str, str, int]


def unfolded(rows: Sequence[Row], unclear: Collection[str] = ()) -> Counter[Node]:
    """The tree without its folders, in no order: (task, parent, group, phase, attempts), "" and 0 for what is not there.

    Args:
        rows: The tree.
        unclear: Folders whose children cannot be given a parent, as there are several of that name.
    """
    labels = {_label(row[2]) for row in rows if row[2]}
    folders = {row[0]: row[1] for row in rows if _is_folder(row, labels)}
    tree: Counter[Node] = Counter()
    for row in rows:
        if _is_folder(row, labels):
            continue
        task, parent, group, phase, attempts = row[:5]
        if group and _label(group) in unclear:
            parent = ""
        elif group and parent == _label(group):
            parent = folders.get(parent, parent)
        tree[task, parent or "", group or "", phase, attempts or 0] += 1
    return tree


def _label(group: str) -> str:
    return group.rpartition(".")[2]


def _unclear(rows: Sequence[Row]) -> set[str]:
    labels = {_label(row[2]) for row in rows if row[2]}
    places = {(row[0], row[1]) for row in rows if _is_folder(row, labels)}
    return {name for name, count in Counter(name for name, _parent in places).items() if count > 1}


def _is_folder(row: Row, labels: set[str]) -> bool:
    """A folder has the last part of a group's name, no group of its own, and was never attempted."""
    return row[0] in labels and not row[2] and row[4] is None


def same(recorded: Sequence[Row], ours: Sequence[Row]) -> bool:
    """Whether the trees are the same; attempts count where both sides tell them (the SDK tells none of traced steps)."""
    unclear = _unclear(recorded)
    wanted, got = unfolded(recorded, unclear), unfolded(ours, unclear)
    silent = {key[:4] for key in wanted if key[4] == 0}
    return _blinded(wanted, silent) == _blinded(got, silent)


def _blinded(tree: Counter[Node], silent: set[tuple[str, str, str, str]]) -> Counter[Node]:
    found: Counter[Node] = Counter()
    for key, count in tree.items():
        found[*key[:4], 0 if key[:4] in silent else key[4]] += count
    return found


def compare(results: dict[str, Any], golden: Path) -> tuple[int, list[str]]:
    """How many trees are the same, and the names of the cases whose trees differ."""
    equal, different = 0, []
    for name, result in results.items():
        recorded = json.loads((golden / f"{name.replace(':', '_')}.json").read_text())
        if not recorded.get("tree") or not result.get("tree") or recorded.get("TREE") is False:
            continue
        if same(recorded["tree"], result["tree"]):
            equal += 1
        elif recorded["status"] == result["status"] and not recorded.get("ALSO_OK"):
            different.append(name)
    return equal, different


def main() -> int:
    """Run the suite, pass on its output and its word, and tell of the trees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", type=Path, help="the folder with run.py, cases and golden")
    args, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "results.json"
        command = [sys.executable, str(args.suite / "run.py"), "--impl", "flyte_nb", "--json", str(told), *rest]
        code = subprocess.run(command, check=False).returncode
        equal, different = compare(json.loads(told.read_text()), args.suite / "golden") if told.exists() else (0, [])
    print(f"action trees: {equal} as recorded (groups as labels), {len(different)} not{': ' * bool(different)}{', '.join(different)}")
    return code or int(bool(different))


if __name__ == "__main__":
    sys.exit(main())
