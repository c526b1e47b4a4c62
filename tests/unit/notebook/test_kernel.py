"""Who looks, and which cell runs: what is found out about the shell around us."""

import sys
from types import ModuleType
from typing import Any

import pytest

from flyte_nb.notebook.kernel import allow_widgets, cell_id, current_shell, flag, has_front_end, in_kernel, shows_widgets


class Kernel:
    """The part of ipykernel's kernel that is asked."""

    def __init__(self, request: Any) -> None:
        self._request = request

    def get_parent(self, channel: str) -> Any:
        """The request of the current cell."""
        assert channel == "shell"
        if isinstance(self._request, Exception):
            raise self._request
        return self._request


class Shell:
    """A shell in a kernel."""

    def __init__(self, request: Any) -> None:
        self.kernel = Kernel(request)


def request(**content: Any) -> dict[str, Any]:
    """An execute request."""
    return {"header": {"msg_id": "m1"}, "content": content}


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from what is found out."""
    monkeypatch.delenv("FLYTE_NB_STATIC", raising=False)


@pytest.mark.parametrize(
    "shell, found",
    [
        (Shell(request(allow_stdin=True)), True),
        (Shell(request(allow_stdin=False)), False),
        (Shell(request()), True),
        (Shell(LookupError("shell_parent")), True),
        (Shell(None), True),
        (object(), False),
    ],
)
def test_a_front_end_is_who_could_answer_input(shell: object, found: bool) -> None:  # noqa: FBT001 - parametrised
    """Runners of notebooks say that they cannot; what says nothing is taken for a notebook."""
    assert has_front_end(shell) is found
    assert shows_widgets(shell) is found


def test_the_variable_has_the_last_word_on_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on who looks: a person's cell is not made to wait."""
    person, runner = Shell(request(allow_stdin=True)), Shell(request(allow_stdin=False))
    monkeypatch.setenv("FLYTE_NB_STATIC", "1")
    assert not shows_widgets(person)
    assert has_front_end(person)
    monkeypatch.setenv("FLYTE_NB_STATIC", "0")
    assert shows_widgets(runner)
    assert not has_front_end(runner)


def test_a_cell_is_known_by_its_request() -> None:
    """Outside of a kernel there is none."""
    assert cell_id(Shell(request())) == "m1"
    assert cell_id(object()) == ""
    assert cell_id(Shell(LookupError())) == ""


def test_colab_is_asked_for_widgets_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hides those of others until it was asked; a Colab that cannot be asked stops nobody."""
    asked: list[str] = []
    allow_widgets()
    package, output = ModuleType("google.colab"), ModuleType("google.colab.output")
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    allow_widgets()
    output.enable_custom_widget_manager = lambda: asked.append("asked")  # type: ignore[attr-defined]  # a stand-in
    allow_widgets()

    assert asked == ["asked"]


def test_without_ipython_there_is_no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is not loaded to find that out."""
    monkeypatch.setattr("sys.modules", {})

    assert current_shell() is None
    assert not in_kernel()


@pytest.mark.parametrize("word, said", [("1", True), ("On", True), ("0", False), ("no", False), ("", None), ("maybe", None)])
def test_flags_of_the_environment(word: str, said: bool | None) -> None:  # noqa: FBT001 - parametrised
    """Yes, no, or nothing."""
    assert flag("X", {"X": word}) is said
