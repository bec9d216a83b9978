"""Recommendations: the fastest that is accurate enough, by how much, how sure, and what was left out."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.__main__ import main
from benchmarks.analysis.answer import Question
from benchmarks.analysis.recommend import decision_table, recommend
from benchmarks.analysis.study import Study
from benchmarks.machine.caveat import Caveat
from benchmarks.record import saved
from benchmarks.record.frames import to_frame
from benchmarks.record.run import Run
from benchmarks.record.schema import ACCURACY_COLUMNS
from benchmarks.report.files import write
from tests import synthetic

SIZES = (1_000, 100_000)


def timed(backend, seconds, n=1_000, width=0.02, **more):
    """Make a record with a given median, and an interval of so much of it."""
    ends = {"ci95_low_s": seconds * (1 - width / 2), "ci95_high_s": seconds * (1 + width / 2)}
    return synthetic.record(backend, n=n, median_s=seconds, warning=None, **{**ends, **more})


def checked(backend, max_ulp, status="ok", **more):
    """Make the row of an accuracy check of sigmoid, with a budget of 4 ULP."""
    case = {"op": "sigmoid", "mode": "forward", "device": "cpu", "dtype": "float32", "budget_ulp": 4.0}
    return {**case, "backend": backend, "status": status, "max_ulp": max_ulp, **more}


def a_run(records, checks=()):
    return Run(records=to_frame(records), accuracy=to_frame(checks, ACCURACY_COLUMNS))


SIMPLE = a_run(
    [timed("numpy", 4e-6), timed("torch", 2e-6), timed("jax", 1e-6), timed("numpy", 8e-4, SIZES[1])],
    [checked("numpy", 1.5), checked("torch", 2.5), checked("jax", 1e6, "known_deviation")],
)


def test_the_fastest_that_is_accurate_enough_is_named_and_who_was_left_out():
    answer = recommend(SIMPLE, Question("sigmoid", 1_000))
    assert (answer.best.backend, answer.best.max_ulp) == ("torch", 2.5)
    assert answer.lead.ratio == pytest.approx(2)
    assert answer.lead.low < 2 < answer.lead.high
    assert answer.lead.verdict == "faster"
    assert answer.sentence == (
        "sigmoid forward, float32, 1,000 elements: torch (2.00 µs, 2.50 ULP at worst), 2.00 times as fast as "
        "numpy (1.97 to 2.03). (jax would be 2.00 times as fast but errs by 1.00×10⁶ ULP, more than 4.00.)"
    )
    assert answer.as_dict()["sure"] is True


@pytest.mark.parametrize(("max_ulp", "best"), [(1.5, "numpy"), (3, "torch"), (math.inf, "jax"), (None, "torch")])
def test_more_error_allowed_lets_faster_backends_win(max_ulp, best):
    assert recommend(SIMPLE, Question("sigmoid", 1_000, max_ulp=max_ulp)).best.backend == best


def test_what_was_checked_of_one_start_says_nothing_of_the_other():
    """A gradient from the output has an error, a time and a call of its own."""
    rows = [timed("numpy", seconds, mode="backward", saved=saved) for saved, seconds in
            (("input", 4e-6), ("output", 2e-6))]  # fmt: skip
    checks = [checked("numpy", 1e6, mode="backward"), checked("numpy", 1.5, mode="backward", saved="output")]
    answer = recommend(a_run(rows, checks), Question("sigmoid", 1_000, mode="backward", saved="output"))
    assert answer.sentence == (
        "sigmoid backward, float32, 1,000 elements, from the output: numpy (2.00 µs, 1.50 ULP at worst), "
        "the only backend measured."
    )
    assert answer.call[-1] == "gradient = b.vjp_from_output('sigmoid')(g, y)"


@pytest.mark.parametrize(("width", "said"), [(0.1, "too close to call with torch"), (0.02, "equal to torch")])
def test_who_is_as_fast_or_may_be_is_named_and_the_answer_is_not_sure(width, said):
    run = a_run([timed("numpy", 1.00e-6, width=width), timed("torch", 1.02e-6, width=width), timed("jax", 2e-6)])
    answer = recommend(run, Question("sigmoid", 1_000))
    assert answer.sentence.startswith("sigmoid forward, float32, 1,000 elements: numpy (1.00 µs")
    assert answer.sentence.endswith(f": {said}.")
    told = answer.as_dict()
    assert told["verdict"] == said.removesuffix(" with torch").removesuffix(" to torch")
    assert (told["sure"], told["equal_to"] + told["too_close_to"]) == (False, ["torch"])
    assert told["low"] < told["ratio"] < told["high"]


def test_between_two_sizes_the_verdict_is_the_weaker_one():
    def verdict(*ratios):
        rows = [timed("torch", s, n) for n, s in zip(SIZES, (1e-6, 1e-4), strict=True)]
        rows += [timed("jax", s * r, n) for n, s, r in zip(SIZES, (1e-6, 1e-4), ratios, strict=True)]
        return recommend(a_run(rows), Question("sigmoid", 10_000)).lead.verdict

    assert verdict(2, 3) == "faster"
    assert verdict(1.01, 1.01) == "equal"
    assert verdict(2, 1.01) == "too close to call"
    assert verdict(4, 0.5) == "too close to call"


def test_who_failed_at_a_size_is_not_recommended_there():
    rows = [timed(b, s, n) for n in (100, 1_000, 10_000) for b, s in (("numpy", 4e-6), ("torch", 1e-6))]
    failed = synthetic.failure("torch", "invalid", "not waited for", n=1_000)
    run = a_run([row for row in rows if (row["backend"], row["n_elements"]) != ("torch", 1_000)] + [failed])
    assert recommend(run, Question("sigmoid", 1_000)).best.backend == "numpy"
    assert recommend(run, Question("sigmoid", 10_000)).best.backend == "torch"


def test_what_was_not_checked_is_said_first_and_the_run_s_doubts_last():
    rows = [timed("torch", 1e-6, dtype="float64", max_ulp=1e7), timed("numpy", 2e-6, dtype="float64")]
    run = replace(a_run(rows), warnings=(Caveat("The machine was busy."),))
    answer = recommend(run, Question("sigmoid", 1_000, dtype="float64"))
    first, sentence, last = answer.lines
    assert first == (
        "Accuracy was not checked in this run. "
        "To check and to measure again: `pytest benchmarks --op sigmoid --dtype float64`."
    )
    assert "ULP in what was timed" in sentence
    assert last == "Warning: The machine was busy."
    assert answer.as_dict()["unchecked"] == first
    table = decision_table(run)
    assert (table["warnings"], table["unchecked"]) == (["The machine was busy."], [first])
    assert not recommend(run, Question("sigmoid", 1_000, dtype="float64", max_ulp=math.inf)).unchecked
    some = a_run([timed("torch", 1e-6), timed("numpy", 2e-6)], [checked("numpy", 1.0)])
    assert recommend(some, Question("sigmoid", 1_000)).lines[0].startswith("Accuracy of torch was not checked")


def test_what_makes_the_whole_run_doubtful_is_passed_on():
    rows = [timed("torch", 1.00e-6, width=0.3), timed("numpy", 1.02e-6, width=0.3)]
    run = replace(
        a_run(rows),
        complete=False,
        warnings=(Caveat("Other programs used 50 % of the processors.", "load"), Caveat("Swapped.")),
    )
    *_, low, cut, last = recommend(run, Question("sigmoid", 1_000)).lines
    assert low.startswith("Warning: Confidence in this run is low: the one group was not decided")
    assert "other programs used 50 % of the processors" in low
    assert "Repeat on an idle machine." in low
    assert (cut, last) == ("Warning: The run was cut short.", "Warning: Swapped.")
    assert decision_table(run)["warnings"] == [line.removeprefix("Warning: ") for line in (low, cut, last)]


def test_an_answer_says_nothing_of_what_was_not_asked_about():
    warnings = (Caveat("The copy bandwidth moved.", "limit"), Caveat("The budget ended the run.", "budget"))
    run = replace(a_run([timed("torch", 1e-6), timed("numpy", 2e-6)]), warnings=warnings)
    assert recommend(run, Question("sigmoid", 1_000)).warnings == ()


def test_the_check_that_is_asked_for_is_one_that_answers_the_question():
    rows = [timed("torch", 1e-6, mode="forward+backward", allocation="reuse", team="2threads")]
    question = Question("sigmoid", 1_000, mode="forward+backward", allocation="reuse", team="2threads")
    assert recommend(a_run(rows), question).unchecked.endswith(
        "`pytest benchmarks --op sigmoid --mode forward+backward --allocation reuse --threads 2`."
    )


def test_a_doubtful_time_is_not_sure_and_a_lone_backend_is_said_to_be_alone():
    run = a_run([timed("torch", 1e-6) | {"warning": "the machine was 8% slower"}])
    answer = recommend(run, Question("sigmoid", 1_000))
    assert answer.sentence.endswith(
        "ULP in what was timed; doubtful: the machine was 8% slower), the only backend measured."
    )
    assert answer.as_dict()["sure"] is False
    assert answer.as_dict()["ratio"] is None


def test_times_between_two_sizes_are_interpolated_on_logarithms():
    answer = recommend(SIMPLE, Question("sigmoid", 10_000))
    assert [candidate.backend for candidate in answer.ranking] == ["numpy"]  # the only one with larger sizes
    assert answer.best.seconds == pytest.approx(math.sqrt(4e-6 * 8e-4))
    assert not answer.best.measured
    assert ", interpolated" in answer.sentence


@settings(max_examples=8, deadline=None)
@given(st.integers(*SIZES))
def test_interpolated_times_lie_between_those_measured(size):
    best = recommend(SIMPLE, Question("sigmoid", size, device="cpu", max_ulp=1.5)).best
    assert 4e-6 * (1 - 1e-9) <= best.seconds <= 8e-4 * (1 + 1e-9)
    assert best.low < best.seconds < best.high


def sized(backend, seconds, peak, **more):
    """Make a record of a call that writes 4,000 bytes."""
    return timed(backend, seconds, peak_bytes=peak, bytes_written=4_000, **more)


@pytest.mark.parametrize(
    ("allowed", "best"), [(None, "jax"), (8_000, "jax"), (6_000, "torch"), (1_000, "torch"), (0, "numpy")]
)
def test_less_memory_beside_the_output_leaves_fewer_backends(allowed, best):
    run = a_run([sized("numpy", 4e-6, 3_900), sized("torch", 2e-6, 5_000), sized("jax", 1e-6, 12_000)])
    answer = recommend(run, Question("sigmoid", 1_000, max_memory=allowed))
    assert answer.best.backend == best
    assert answer.best.extra_bytes == {"jax": 8_000, "torch": 1_000, "numpy": 0}[best]
    assert answer.as_dict()["max_memory_allowed"] == allowed
    first = decision_table(run, max_memory=allowed)["entries"][0]
    assert first["choices"][0]["backend"] == best
    if allowed == 6_000:
        assert answer.sentence.endswith(
            "(jax would be 2.00 times as fast but takes 7.81 KiB "
            "beside its inputs and outputs, more than 5.86 KiB.)"
        )
    if allowed == 0:
        assert "numpy (4.00 µs, " in answer.sentence
        assert "ULP in what was timed), the only backend within the limits. (" in answer.sentence


def test_an_output_that_is_reused_takes_no_memory_and_what_is_unknown_is_not_recommended():
    run = a_run([sized("numpy", 4e-6, 3_000, allocation="reuse"), sized("torch", 1e-6, None, allocation="reuse")])
    answer = recommend(run, Question("sigmoid", 1_000, allocation="reuse", max_memory=3_000))
    assert answer.best.backend == "numpy"
    assert [candidate.excluded for candidate in answer.excluded] == ["has no known peak memory"]
    with pytest.raises(ValueError, match="--max-memory: no backend is accurate enough and needs no more"):
        recommend(run, Question("sigmoid", 1_000, allocation="reuse", max_memory=2_999))


def test_a_size_of_whole_rows_is_found_by_the_size_that_was_asked_for():
    rows = [timed("torch", 1e-6, shape=(31, 1024), op="softmax", n=31 * 1024)]
    assert recommend(a_run(rows), Question("softmax", 32_000)).question.size == 31_744
    rows += [timed("torch", 2e-6, shape=(1, 32_000), op="softmax", n=32_000)]
    assert recommend(a_run(rows), Question("softmax", 32_000)).best.seconds == 2e-6


def test_the_command_takes_memory_and_says_what_it_took_as_meant(monkeypatch, capsys):
    run = a_run([sized("numpy", 4e-6, 3_900), sized("torch", 2e-6, 9_000)])
    monkeypatch.setattr(saved, "load_or_last", lambda name, folder: run)
    asked = ["recommend", "--op", "Sigmoid", "--size", "1k", "--dtype", "fp32", "--max-memory", "1KiB", "--json"]
    assert main(asked) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["backend"] == "numpy"
    assert found.err.splitlines() == [
        "--op Sigmoid is read as sigmoid", "--size 1k is read as 1000", "--dtype fp32 is read as float32",
    ]  # fmt: skip


def test_transfers_count_where_asked_for_and_only_beyond_the_host():
    moved = {"device": "cuda", "host_to_device_s": 3e-6, "device_to_host_s": 1e-6}
    run = a_run([timed("numpy", 4e-6), timed("torch", 1e-6, **moved), timed("jax", 5e-7, device="cuda")])
    assert recommend(run, Question("sigmoid", 1_000)).best.backend == "jax"
    answer = recommend(run, Question("sigmoid", 1_000, transfer=True))
    assert (answer.best.backend, answer.best.device) == ("numpy", "cpu")
    assert answer.ranking[1].seconds == pytest.approx(5e-6)
    assert [candidate.excluded for candidate in answer.excluded] == ["has no measured transfers"]
    assert "numpy on cpu" in answer.sentence


def test_both_passes_of_a_training_step_must_be_accurate():
    both = {"mode": "forward+backward"}
    checks = [checked("torch", 1.0), checked("torch", 9.0, "known_deviation", mode="backward")]
    run = a_run([timed("torch", 1e-6, **both), timed("numpy", 4e-6, **both)], checks)
    assert recommend(run, Question("sigmoid", 1_000, mode="forward+backward")).best.backend == "numpy"


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (
            Question("gelu", 1_000),
            "--op: this run did not measure op gelu; it has sigmoid. Run: pytest benchmarks --op gelu --size 1000",
        ),
        (
            Question("sigmoid", 1_000, dtype="float64"),
            "--dtype: this run did not measure dtype float64 with --op sigmoid.*; it has float32.*--dtype float64",
        ),
        (Question("sigmoid", 1_000, allocation="reuse"), "--allocation: .*fresh"),
        (Question("sigmoid", 10**9), "--size: 1,000,000,000 lies outside .*: 1,000 and 100,000 elements"),
        (Question("sigmoid", 1_000, max_ulp=0.5), "--max-ulp: no backend is accurate enough: jax errs by"),
    ],
)
def test_what_a_run_cannot_answer_is_an_error_that_says_what_it_has(question, message):
    with pytest.raises(ValueError, match=message):
        recommend(SIMPLE, question)


def test_shapes_of_one_size_must_be_told_apart():
    rows = [timed("torch", 1e-6, shape=shape, op="softmax", n=1_000) for shape in ((10, 100), (100, 10))]
    with pytest.raises(ValueError, match="--shape: must be one of 10"):
        recommend(a_run(rows), Question("softmax", 1_000))
    assert recommend(a_run(rows), Question("softmax", 1_000, shape="10x100")).best.backend == "torch"


def test_a_shape_says_how_many_elements_there_are(tmp_path, capsys):
    rows = [timed("torch", 1e-6, shape=shape, op="softmax", n=1_000) for shape in ((10, 100), (100, 10))]
    write(Study(a_run(rows)), tmp_path / "latest")
    asked = ["recommend", "--op", "softmax", "--shape", "10x100", "--results", str(tmp_path)]
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_elements"] == 1_000
    assert main([*asked, "--size", "999"]) == 2
    assert "--size: must be the 1000 elements of --shape, or be left out; got 999" in capsys.readouterr().err


def test_the_decision_table_agrees_with_every_single_answer():
    run = synthetic.run()
    table = json.loads(json.dumps(decision_table(run), allow_nan=False))
    assert table["backend_versions"]["torch"] == synthetic.VERSIONS["torch"]
    for entry in table["entries"][::3]:  # on any device and on the only one, by turns
        question = Question(
            **{name: entry[name] for name in ("op", "mode", "dtype", "allocation", "cache", "timing")},
            device=None if entry["device"] == "any" else entry["device"],
            size=0,
        )
        for size in synthetic.SIZES[1::2]:
            chosen = [choice for choice in entry["choices"] if choice["from_elements"] <= size][-1]
            assert chosen["backend"] == recommend(run, replace(question, size=size)).best.backend


def test_the_command_answers_from_the_last_report_in_words_and_as_json(tmp_path, capsys):
    run = synthetic.run(records=synthetic.single_policy())
    write(Study(run), tmp_path / "latest")
    asked = ["recommend", "--op", "logistic", "--size", "1e6", "--results", str(tmp_path)]
    assert main(asked) == 0
    words = capsys.readouterr().out
    assert words.startswith("sigmoid forward, float32, 1,000,000 elements: ")
    assert main([*asked, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert f": {answer['backend']} (" in words
    assert words.count("\n") == 2 + len(answer["call"]), "nothing is unchecked, and the run has no warnings"
    here = run.records[(run.records["op"] == "sigmoid") & (run.records["mode"] == "forward")]
    at = here[here["n_elements"] == 1_048_576]
    assert answer["backend"] == at.loc[at["median_s"].idxmin(), "backend"]
    assert main(["recommend", "--table", "--results", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == 2


def test_the_command_says_what_is_missing(tmp_path, capsys):
    assert main(["recommend", "--size", "1e3", "--results", str(tmp_path)]) == 2
    assert "--op: must be given" in capsys.readouterr().err
    assert main(["recommend", "--op", "relu", "--results", str(tmp_path)]) == 2
    assert "--size: must be given, or --shape" in capsys.readouterr().err
    assert main(["recommend", "--op", "relu", "--size", "1e3", "--results", str(tmp_path)]) == 2
    assert "run `pytest benchmarks` first" in capsys.readouterr().err


def test_a_number_of_threads_is_asked_for_as_it_was_given():
    several = a_run([timed("numpy", 4e-6, team="1thread"), timed("numpy", 2e-6, team="2threads")])
    answer = recommend(several, Question("sigmoid", 1_000, team="2threads"))
    assert answer.best.seconds == 2e-6
    assert answer.sentence.startswith("sigmoid forward, float32, 1,000 elements, 2threads: numpy")
    with pytest.raises(
        ValueError, match=r"--threads: this run did not measure team usual.*; it has 1thread and 2th"
    ):
        recommend(several, Question("sigmoid", 1_000))
    with pytest.raises(ValueError, match=r"Run: pytest benchmarks .* --threads 4$"):
        recommend(several, Question("sigmoid", 1_000, team="4threads"))
    one = replace(SIMPLE, machine={"threads": 4})
    assert recommend(one, Question("sigmoid", 1_000, team="4threads")).best.backend == "torch"
    with pytest.raises(ValueError, match="did not measure team 2threads"):
        recommend(one, Question("sigmoid", 1_000, team="2threads"))


def test_after_the_answer_come_the_lines_that_call_the_winner(tmp_path, capsys):
    write(Study(SIMPLE), tmp_path / "latest")
    asked = ["recommend", "--op", "sigmoid", "--size", "1e3", "--results", str(tmp_path)]
    assert main(asked) == 0
    assert capsys.readouterr().out.endswith("To call torch:\n    import torch\n\n    y = torch.sigmoid(x)\n")
    assert main([*asked, "--json", "--max-ulp", "1.5"]) == 0
    call = json.loads(capsys.readouterr().out)["call"]
    assert call[0] == "from activation_bench import backends"
    assert call[-1] == "y = b.sigmoid(x)"
