"""What callers are told, and the wording of failures that are ours."""

from __future__ import annotations

from array import array

import pytest

from flyte_nb.core.failure import Failure
from flyte_nb.core.payloads import Blob
from flyte_nb.engine import answers
from flyte_nb.engine.commands import AnswerFailure, AnswerOutputs
from flyte_nb.engine.records import Chunk, RunRecord
from flyte_nb.engine.stimuli import KERNEL, Called, ChunkReport
from tests.fakes.bench import Bench, task

AT = array("d", [1.0, 2.0, 3.0])


@pytest.fixture
def record(bench: Bench) -> RunRecord:
    """A run with four queued calls: three of one port, one of another."""
    bench.start()
    bench.call(3)
    call = bench.called(1)
    bench.send(Called("w9", 7, 0, "r", 0, call.token, "leaf", "", (), call.inputs))
    return bench.record()


def chunk_of(record: RunRecord, rows: range | list[int], number: int = 9) -> Chunk:
    """A chunk that holds rows; the bench does not know it, so its test gives the rows back."""
    for row in rows:
        record.tokens[row] = number
    return Chunk(number, "r", None, "w1", rows, 0.0, len(rows), is_async=True)


@pytest.mark.parametrize("rows", [range(1, 4), [1, 2, 3]], ids=["range", "list"])
@pytest.mark.parametrize("indices", [range(3), [0, 1, 2]], ids=["range", "list"])
def test_successes_of_rows_that_the_chunk_holds_count(record: RunRecord, rows: range | list[int], indices: range | list[int]) -> None:
    """However rows and positions are written, everything is handed through."""
    report = ChunkReport(9, (), indices, ["a", "b", "c"], AT, AT)

    picked, outputs, started, ended = answers.accepted(record, chunk_of(record, rows), report)
    answers.clear_tokens(record, picked)

    assert (list(picked), outputs, started, ended) == ([1, 2, 3], ["a", "b", "c"], AT, AT)
    assert not any(record.tokens[1:])


@pytest.mark.parametrize("indices", [range(3), [0, 1, 2]], ids=["range", "list"])
def test_successes_of_rows_that_another_chunk_holds_do_not(record: RunRecord, indices: range | list[int]) -> None:
    """Only the current holder's word counts, row by row, with its own output and times."""
    chunk = chunk_of(record, range(1, 4))
    record.tokens[2] = 10

    found = answers.accepted(record, chunk, ChunkReport(9, (), indices, ["a", "b", "c"], AT, AT))
    answers.clear_tokens(record, [1, 2, 3])

    assert found == ([1, 3], ["a", "c"], array("d", [1.0, 3.0]), array("d", [1.0, 3.0]))


def test_outputs_of_one_port_are_one_answer(record: RunRecord) -> None:
    """A block of calls that one port made is answered by slice."""
    (answer,) = answers.outputs(record, range(1, 4), ["a", "b", "c"])

    assert (answer.place, answer.port, list(answer.seqs), answer.outputs) == (KERNEL, 1, [0, 1, 2], ["a", "b", "c"])


def test_outputs_of_several_ports_are_an_answer_each(record: RunRecord) -> None:
    """Rows of several ports are sorted by port."""
    found = list(answers.outputs(record, range(2, 5), ["b", "c", "d"]))

    assert found == [AnswerOutputs(KERNEL, 1, [1, 2], ["b", "c"]), AnswerOutputs("w9", 7, [0], ["d"])]


def test_nobody_waits_for_the_root(record: RunRecord) -> None:
    """The root was called by no port: neither its output nor its failure is sent anywhere."""
    assert list(answers.outputs(record, [0], ["out"])) == []
    assert list(answers.failure(record, 0, Failure("user", "E", "m"))) == []
    record.port_ids[1] = record.port_ids[2] = 0
    assert list(answers.outputs(record, range(1, 3), ["a", "b"])) == []


def test_a_failure_tells_where_it_happened(record: RunRecord) -> None:
    """Run, action, task, path and inputs go with it; a plain one tells the run only."""
    reason = Failure("user", "E", "m")

    (full,) = answers.failure(record, 2, reason)
    plain = answers.plain_failure(record, 2, reason)

    assert full == AnswerFailure(KERNEL, 1, 1, reason, ("r", record.state.action_name(2), "env.leaf", "root > leaf", "x=1"))
    assert plain == AnswerFailure(KERNEL, 1, 1, reason, ("r", "", "", "", ""))


def test_a_refusal_answers_each_call(record: RunRecord) -> None:
    """Nobody is left waiting."""
    call = Called("w1", 3, 10, record.state.name, 0, 1, "leaf", "", (), [(1,), (2,)])

    assert [(answer.port, answer.seq) for answer in answers.refuse(call, Failure("user", "E", "m"))] == [(3, 10), (3, 11)]


def test_inputs_are_quoted_shortened_and_blobs_not_opened() -> None:
    """An error message shows what it can without running code of the user's."""
    assert answers.quote("x" * 500) == "'" + "x" * 299 + "..."
    assert answers.quote(Blob(b"x" * 2_000)) == "<2,000 bytes pickled>"
    assert answers.quote(None) == "None"


def test_stopped_rows_are_grouped_by_the_reason(record: RunRecord) -> None:
    """Rows that nobody gave a reason for were stopped."""
    record.stopping.update({1: "a", 2: "b", 3: "a"})

    grouped = answers.by_reason(record, [1, 2, 3, 4])
    record.stopping.clear()

    assert grouped == [("a", [1, 3]), ("b", [2]), ("stopped", [4])]


def test_a_pickled_tasks_digest_names_its_bytes() -> None:
    """Equal bytes have one name."""
    assert answers.blob_digest(b"a") == answers.blob_digest(b"a") != answers.blob_digest(b"b")


def test_failures_of_ours_say_whose_fault_it_is() -> None:
    """An abort and a limit are the user's business; a lost task and a defect are the system's."""
    kinds = {
        answers.aborted_failure("why", "r").kind,
        answers.too_many_failure("r", 5).kind,
    }
    ours = {answers.unknown_task_failure("k").kind, answers.defect_failure(KeyError("k")).kind}

    assert (kinds, ours) == ({"user"}, {"system"})
    assert "KeyError: 'k'" in answers.defect_failure(KeyError("k")).message
    assert task("unused").retries.count == 0
