"""Names of actions: worked out when somebody asks, the same whenever and in whatever order that happens."""

from __future__ import annotations

from flyte_nb.core.events import ActionsCalled, CacheFacts, RunStarted, TaskDeclared, TaskFacts
from flyte_nb.core.ids import action_name
from flyte_nb.core.names import hash_of_inputs, identity
from flyte_nb.core.payloads import pack
from flyte_nb.core.state import RunState

LEAF = TaskFacts("leaf", "env.leaf", "leaf", ("x",))


def run() -> RunState:
    """The root called leaf(1), leaf(2), leaf(1); the second of them called leaf(1) twice, once in a group."""
    state = RunState(RunStarted("r", TaskFacts("main", "env.main", "main"), (), 1.0))
    state.apply(TaskDeclared("r", LEAF))
    state.apply(ActionsCalled("r", 1, 0, 1, "", [(1,), (2,)], 1.0))
    state.apply(ActionsCalled("r", 3, 2, 1, "", [(1,)], 1.0))
    state.apply(ActionsCalled("r", 4, 0, 1, "", [(1,)], 1.0))
    state.apply(ActionsCalled("r", 5, 2, 1, "g", [(1,)], 1.0))
    return state


def test_a_name_follows_from_the_call() -> None:
    """Parent, inputs, task, sequence and group make the name; the root is `a0`."""
    state = run()
    ones, twos = hash_of_inputs((1,)), hash_of_inputs((2,))
    second = action_name("a0", twos, "env.leaf", 1, "")

    assert [state.action_name(row) for row in range(6)] == [
        "a0",
        action_name("a0", ones, "env.leaf", 1, ""),
        second,
        action_name(second, ones, "env.leaf", 1, ""),
        action_name("a0", ones, "env.leaf", 2, ""),
        action_name(second, ones, "env.leaf", 1, "g"),
    ]
    assert [state.sequence_of(row) for row in range(6)] == [1, 1, 1, 1, 2, 1]


def test_names_do_not_depend_on_who_asks_first() -> None:
    """Asked from the last to the first, the names are the same."""
    state, other = run(), run()

    assert [state.action_name(row) for row in range(6)] == [other.action_name(row) for row in reversed(range(6))][::-1]


def test_an_action_is_found_by_its_name() -> None:
    """Also by a name that nobody has asked for yet; an unknown name is no action."""
    name = run().action_name(5)

    assert run().row_of(name) == 5
    assert run().row_of("a0") == 0
    assert run().row_of("nobody") is None


def test_calls_made_later_are_named_too() -> None:
    """What was named before does not keep later calls from being found, with the sequence that follows."""
    state = run()
    first = state.action_name(4)
    state.apply(ActionsCalled("r", 6, 0, 1, "", [(1,)], 2.0))

    assert state.sequence_of(6) == 3
    assert state.action_name(6) != first
    assert state.row_of(state.action_name(6)) == 6


def test_actions_nested_deeper_than_pythons_stack_have_names() -> None:
    """Recursion of the user's is not recursion of ours."""
    state = RunState(RunStarted("r", LEAF, (0,), 1.0))
    for row in range(1, 3_000):
        state.apply(ActionsCalled("r", row, row - 1, 0, "", [(row,)], 1.0))

    assert len({state.action_name(row) for row in (2_999, 1_500)}) == 2


def test_calls_taken_over_from_an_earlier_attempt_keep_their_sequence() -> None:
    """An event may say which of the identical calls it stands for; counting goes on from there."""
    state = run()
    state.apply(ActionsCalled("r", 6, 0, 1, "", [(1,), (1,)], 2.0, (2, 5)))
    state.apply(ActionsCalled("r", 8, 0, 1, "", [(1,)], 2.0))

    assert [state.sequence_of(row) for row in (6, 7, 8)] == [2, 5, 6]


def test_equal_inputs_are_the_same_call_however_they_were_made() -> None:
    """Dictionaries in another order and sets are the same input; ignored inputs do not count."""
    one, other = pack({"a": 1, "b": {2, 3}}), pack({"b": {3, 2}, "a": 1})

    assert hash_of_inputs((one,)) == hash_of_inputs((other,))
    assert hash_of_inputs((1, 2), ignored=(1,)) == hash_of_inputs((1, 3), ignored=(1,)) != hash_of_inputs((2, 2), ignored=(1,))
    assert hash_of_inputs((1,)) != hash_of_inputs((1.0,)) != hash_of_inputs((True,)) != hash_of_inputs(("1",))


def test_an_edited_task_makes_other_actions() -> None:
    """The code of a task, where it is known, is part of what the task counts as."""
    edited = TaskFacts("leaf", "env.leaf", "leaf", code="abc", cache=CacheFacts())

    assert (identity(LEAF), identity(edited)) == ("env.leaf", "env.leaf@abc")
