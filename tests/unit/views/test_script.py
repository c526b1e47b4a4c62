"""The live view's script and style: its own tests under node, its types, its messages, and what must not be in them."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from flyte_nb.views import protocol, protocol_tabs
from flyte_nb.views.widget import lean

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "flyte_nb" / "views" / "static"
SCRIPT, STYLE = STATIC / "run.js", STATIC / "run.css"
TESTS = Path(__file__).parent / "script"
TYPESCRIPT = "5.9"
TYPE_OPTIONS = (
    "--allowJs",
    "--checkJs",
    "--noEmit",
    "--strict",
    "--noUncheckedIndexedAccess",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom,dom.iterable",
)


def test_the_script_passes_its_own_tests() -> None:
    """Words, scrolling and the talk with a kernel, with a fake comm."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")

    done = subprocess.run([node, "--test", str(TESTS)], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_sent_is_the_script_without_what_readers_need(tmp_path: Path) -> None:
    """Comments and types stay here; a quarter less for each live view, and still a script."""
    script = SCRIPT.read_text()
    sent = lean(script)

    assert len(sent) < 0.8 * len(script)
    assert not re.search(r"/\*\*|^\s*//|@param|@typedef", sent, re.MULTILINE)
    assert lean('a();\n\n/** Why. @param {b} c */\nfunction b(c) {\n  // how\n  return /** @type {d} */ (c) + "/ * //";\n}\n') == (
        'a();\nfunction b(c) {\nreturn (c) + "/ * //";\n}\n'
    )
    if node := shutil.which("node"):
        (tmp_path / "run.mjs").write_text(sent)
        subprocess.run([node, "--check", str(tmp_path / "run.mjs")], check=True, timeout=60)


def compiler() -> str | None:
    """TypeScript's compiler, which npm brings into the build folder once; None where neither can be had."""
    npm, found = shutil.which("npm"), shutil.which("tsc")
    if found or npm is None:
        return found
    folder = ROOT / "build" / "typescript"
    made = folder / "node_modules" / ".bin" / "tsc"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--prefix", str(folder), "--no-save", "--no-audit", "--no-fund", f"typescript@{TYPESCRIPT}"]
        subprocess.run(install, capture_output=True, timeout=100, check=False)
    return str(made) if made.exists() else None


def test_the_script_is_typed() -> None:
    """JSDoc types, checked strictly."""
    tsc = compiler()
    if tsc is None:
        pytest.skip("needs tsc, or npm and its registry")

    done = subprocess.run([tsc, *TYPE_OPTIONS, str(SCRIPT)], capture_output=True, text=True, timeout=100, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def fields_in_script(name: str) -> set[str]:
    """The fields of a type as the script declares it."""
    text = re.sub(r"\n \* ", " ", SCRIPT.read_text())
    found = re.search(rf"@typedef \{{\{{((?:[^{{}}]|\{{[^{{}}]*\}})*)\}}\}} {name}\s", text)
    assert found, name
    flat = re.sub(r"\{[^{}]*\}", "", found[1])
    return set(re.findall(r"(\w+)\??:", flat))


READ_IN_BROWSER = sorted(
    name
    for name, one in (vars(protocol) | vars(protocol_tabs)).items()
    if hasattr(one, "__required_keys__") and not name.endswith("Request") and name != "First"
)


@pytest.mark.parametrize("name", READ_IN_BROWSER)
def test_kernel_and_browser_mean_the_same_messages(name: str) -> None:
    """Each type that the browser gets has the same fields on both sides."""
    declared: Any = getattr(protocol, name, None) or getattr(protocol_tabs, name)

    assert fields_in_script(name) == set(get_type_hints(declared))


def test_every_look_has_a_word_and_an_icon() -> None:
    """A phase that the script does not know would be a blank."""
    text = SCRIPT.read_text()

    for look in get_args(protocol.Look):
        assert f'["{look}", "{look.replace("_", " ")}"]' in text
        assert re.search(rf"^  {look}: \[", text, re.MULTILINE), look


def test_the_script_never_writes_markup() -> None:
    """Text of users is set as text: no way to write HTML is used at all."""
    text = SCRIPT.read_text()

    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "createContextualFragment",
        "eval(",
        "new Function",
    ):
        assert way not in text, way


def test_a_task_s_page_is_shown_in_a_frame_without_rights() -> None:
    """The only markup that is shown stands in a frame whose sandbox allows nothing, set before the page is."""
    text = SCRIPT.read_text()

    assert text.count("srcdoc") == text.count('setAttribute("sandbox", "");\n    frame.srcdoc = ') == 1
    assert text.count("iframe") == text.count('el("iframe", ')


def test_nothing_is_loaded_and_nothing_moves() -> None:
    """No request off the machine, also for fonts; no animation that a reader did not ask for."""
    script, style = SCRIPT.read_text(), STYLE.read_text()
    addresses = set(re.findall(r"https?://[^\"'`\s]+", script + style))

    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "import(" not in script
    for word in ("url(", "@import", "@font-face", "transition", "animation", "@keyframes"):
        assert word not in style, word


def test_the_style_stays_inside_the_view() -> None:
    """Every rule is scoped; colours are theme variables."""
    css = re.sub(r"/\*.*?\*/", "", STYLE.read_text(), flags=re.DOTALL)
    selectors = re.findall(r"(?:^|[{}])\s*([.:#\[a-z][^{};@]*)\{", css)

    assert selectors
    assert {part for selector in selectors for part in selector.split(",") if not part.strip().startswith(".fnb")} == set()
    assert "var(--jp-" in css
    assert "forced-colors" in css


def test_script_and_style_are_small() -> None:
    """They travel with every live view."""
    assert len(gzip.compress(SCRIPT.read_bytes() + STYLE.read_bytes())) < 40_000
