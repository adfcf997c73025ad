"""The timings panel's Python: what it measures, keeps, refuses and tells. Times themselves are never asserted."""

import asyncio
import hashlib
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from traitlets import TraitError

from mha_lab import MultiHeadAttention, cost, measure, memory
from mha_lab.pretrained import recorded, recorded_projection
from mha_lab.widgets import HeadExplorer, _timings

README = Path(__file__).parents[2] / "data" / "README.md"
TINY = [1, 2, 3, 4, 6, 12]  # the head counts of d_model 12


@pytest.fixture(scope="module")
def machine():
    with measure.single_thread():
        return measure.calibrate(0.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch, machine):
    """No kept results, and a machine that is calibrated at once."""
    monkeypatch.setattr(_timings, "_MEASURED", {})
    monkeypatch.setattr(measure, "calibrate_in_steps", lambda seconds, *, device: iter([None, machine]))


def explorer(d_model=12, **options):
    query, key = torch.randn(2, 3, d_model, generator=torch.Generator().manual_seed(0))
    return HeadExplorer.from_projection(query, key, ["a", "b", "c"], **options)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def press(widget, kind="measure"):
    """What the browser sends when a button is pressed."""
    widget._handle_custom_msg({"kind": kind}, [])


def in_a_loop(coroutine):
    """Run it as a kernel's loop would. In a thread, for the browser tests leave a running loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


# measuring -----------------------------------------------------------------------------------------------------------


def test_every_head_count_is_measured_on_both_paths_beside_its_prediction():
    widget = explorer()
    result = widget.measure(16)
    assert [(row["heads"], row["path"]) for row in result["rows"]] == [
        (h, p) for h in TINY for p in ("explicit", "fused")
    ]
    for row in result["rows"]:
        assert 0 < row["q1"] <= row["median"] <= row["q3"] and row["predicted"] > 0
        assert row["runs"] >= 3
    assert (result["d_model"], result["tokens"], result["threads"], result["recorded"]) == (12, 16, 1, False)
    assert torch.__version__ in result["machine"] and result["left_out"] == ""
    assert result["note"].startswith(f"Measured here: {result['machine']} (cpu, 1 thread). Points: medians of 15 runs")
    assert json.loads(json.dumps(widget.timings)) == [result]
    assert not widget.measuring and widget.timing_tokens == 16
    assert re.fullmatch(r"Measured 6 head counts at 16 tokens in \d+\.\d s\.", widget.timing_message)


def test_what_is_timed_is_the_layer_with_and_without_stored_weights(monkeypatch, two_threads):
    called = set()

    def forward(self, x, *, need_weights):
        called.add((self.num_heads, tuple(x.shape), need_weights, torch.get_num_threads(), torch.is_grad_enabled()))
        return x

    monkeypatch.setattr(MultiHeadAttention, "forward", forward)
    list(_timings.measure_heads(12, 16, device="cpu"))
    assert called == {(h, (1, 16, 12), weights, 1, False) for h in TINY for weights in (True, False)}


def test_between_two_steps_threads_gradients_and_random_numbers_are_the_learners(two_threads):
    state = torch.get_rng_state()
    for _ in _timings.measure_heads(12, 16, device="cpu"):
        assert torch.get_num_threads() == 2 and torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "spent, done, left, why",
    [
        (0, 0, 10, "as predicted"),
        (2, 1, 2.5 / 1.5 * 9, "slower than predicted"),
        (5, 5, 5, "as predicted halfway"),
        (12, 4, 8, "the limit of 20 cuts the last rounds"),
        (24, 4, 24.5 / 4.5, "after the limit, the rounds that are always taken"),
        (24, 6, 0, "nothing"),
    ],
)
def test_the_time_left_is_estimated_from_the_prediction_and_from_what_it_took(spent, done, left, why):
    assert _timings.seconds_left(spent, done, 5, 10, 20) == pytest.approx(left), why


def test_the_time_left_ends_at_nothing():
    steps = [(result, spent, left) for result, spent, left in _timings.measure_heads(12, 16, device="cpu") if result]
    assert steps[0][2] > 0
    assert [spent for _, spent, _ in steps] == sorted(spent for _, spent, _ in steps)
    assert steps[-1][2] == pytest.approx(0, abs=1e-9)


def test_a_slow_machine_ends_after_the_round_in_which_the_time_is_up(monkeypatch):
    monkeypatch.setitem(_timings.SECONDS, 16, 0.0)
    *_, (result, _, left) = _timings.measure_heads(12, 16, device="cpu")
    assert {row["runs"] for row in result["rows"]} == {3} and left == pytest.approx(0, abs=1e-9)


def test_lengths_are_kept_apart_and_the_next_explorer_of_this_width_shows_them_again():
    widget = explorer()
    widget.measure(16)
    widget.measure(128)
    assert [result["tokens"] for result in widget.timings] == [16, 128]
    again = explorer()
    assert again.timings == widget.timings
    assert again.timing_message == "Your last timings are shown (16, 128 tokens)."
    assert explorer(d_model=6).timings == []


# cancelling, failing, refusing ---------------------------------------------------------------------------------------


def test_cancel_keeps_what_is_measured(monkeypatch):
    monkeypatch.setattr(_timings, "TELL", 0.0)
    widget = explorer()
    steps = widget._steps(16)
    while not any(row["runs"] for result in widget.timings for row in result["rows"]):
        next(steps)
    press(widget, "cancel")
    assert list(steps) == [] and not widget.measuring
    assert re.fullmatch(r"Cancelled: \d head counts? at 16 tokens measured and kept\.", widget.timing_message)
    rows = widget.timings[0]["rows"]
    assert rows[0]["median"] > 0 and rows[-1]["median"] is None and rows[-1]["predicted"] > 0


def test_cancelled_halfway_the_earlier_timings_stand_where_there_are_no_new_ones(monkeypatch):
    monkeypatch.setattr(_timings, "TELL", 0.0)
    widget = explorer()
    before = widget.measure(16)["rows"]
    steps = widget._steps(16)
    while widget.timings[0]["rows"][0]["runs"] == before[0]["runs"]:
        next(steps)
    widget.cancel()
    assert list(steps) == []
    after = widget.timings[0]["rows"]
    assert after[0]["runs"] == 1 and after[-1] == before[-1]


def test_cancelled_at_once_the_earlier_timings_stay():
    widget = explorer()
    before = widget.measure(16)
    steps = widget._steps(16)
    next(steps)
    widget.cancel()
    assert list(steps) == [] and widget.timings == [before]
    assert widget.timing_message == "Cancelled before the first sample."


def test_a_second_measurement_ends_the_first():
    first, second = explorer(), explorer()
    steps = first._steps(16)
    next(steps)
    second.measure(16)
    assert list(steps) == [] and not first.measuring and "Cancelled" in first.timing_message


def test_the_time_left_is_told(monkeypatch):
    widget, told = explorer(), []
    widget.observe(lambda change: told.append(change["new"]), "seconds_left")
    monkeypatch.setattr(_timings, "TELL", 0.0)
    widget.measure(16)
    told = [seconds for seconds in told if seconds]
    assert len(told) > 10 and told[-1] < told[0]


def test_a_head_count_that_does_not_fit_is_left_out_and_named(monkeypatch):
    most = cost.explicit_peak_bytes(1, 512, 12, 4)
    monkeypatch.setattr(memory, "free_memory", lambda device: most / 0.9)
    result = explorer().measure(512)
    assert {row["heads"] for row in result["rows"]} == {1, 2, 3, 4}
    assert result["left_out"].startswith("Left out: 6, 12 heads. This needs about ")
    assert result["note"].endswith(result["left_out"])


def test_where_nothing_fits_the_refusal_stands_in_the_panel(monkeypatch):
    widget = explorer()
    monkeypatch.setattr(memory, "free_memory", lambda device: 1000)
    with pytest.raises(MemoryError, match="This needs about"):
        widget.measure(16)
    assert widget.timing_message.startswith("The measurement stopped: This needs about")
    assert not widget.measuring and widget.timings == []


def test_an_error_halfway_is_told_in_words_and_what_was_measured_stays(monkeypatch):
    forward = MultiHeadAttention.forward

    def failing(self, x, **options):
        if self.num_heads == 4:
            raise RuntimeError("can't allocate memory")
        return forward(self, x, **options)

    monkeypatch.setattr(MultiHeadAttention, "forward", failing)
    widget = explorer()
    widget._loop = None
    press(widget)  # without a kernel's loop it measures here and now
    assert widget.timing_message == "The measurement stopped: can't allocate memory"
    assert {row["heads"] for row in widget.timings[0]["rows"] if row["runs"]} == {1, 2, 3}
    assert not widget.measuring


def test_recorded_maps_have_no_timings_and_other_lengths_are_refused():
    widget = HeadExplorer(recorded()[:1])
    assert widget.timings == []
    with pytest.raises(ValueError, match="from_projection"):
        widget.measure(16)
    with pytest.raises(TraitError, match="64"):
        explorer().measure(64)


# in a kernel ---------------------------------------------------------------------------------------------------------


def test_in_a_running_loop_other_work_gets_its_turn_and_cancel_is_heard(monkeypatch):
    monkeypatch.setattr(_timings, "SLICE", 0.0)

    async def kernel():
        widget, turns = explorer(), 0
        press(widget)
        press(widget)  # a second press changes nothing
        while not widget._task.done():
            turns += 1
            widget.num_heads = TINY[turns % len(TINY)]
            if turns == 20:
                press(widget, "cancel")
            await asyncio.sleep(0)
        assert turns >= 20 and not widget.measuring and "Cancelled" in widget.timing_message

    in_a_loop(kernel())


def test_a_message_on_another_thread_is_measured_in_the_loop_of_the_cell():
    async def kernel():
        widget, threads = explorer(), set()
        widget.observe(lambda _: threads.add(threading.current_thread()), "measuring")
        await asyncio.to_thread(press, widget)
        await asyncio.wrap_future(widget._task)
        assert threads == {threading.current_thread()} and "Measured" in widget.timing_message

    in_a_loop(kernel())


def test_an_error_in_a_running_loop_is_told_too(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 1000)

    async def kernel():
        widget = explorer()
        press(widget)
        await asyncio.wrap_future(widget._task)
        return widget

    assert in_a_loop(kernel()).timing_message.startswith("The measurement stopped: This needs about")


# the recording -------------------------------------------------------------------------------------------------------


def test_recorded_timings_are_verified_complete_and_named_in_the_readme(monkeypatch, tmp_path):
    results = _timings.recorded_timings()
    recordings = [(d_model, n, True) for d_model in (384, 64) for n in _timings.TOKENS]
    assert [(r["d_model"], r["tokens"], r["recorded"]) for r in results] == recordings
    for result in results:
        assert len(result["rows"]) == 2 * {384: 16, 64: 7}[result["d_model"]]
        assert result["machine"] and result["threads"] == 1
        assert all(0 < row["q1"] <= row["median"] <= row["q3"] for row in result["rows"])
    content = _timings.RECORDED.read_bytes()
    assert len(content) < 20_000
    assert f"`{hashlib.sha256(content).hexdigest()}`" in README.read_text(encoding="utf-8")
    altered = tmp_path / "timings.json"
    altered.write_bytes(content.replace(b"fused", b"FUSED", 1))
    monkeypatch.setattr(_timings, "RECORDED", altered)
    with pytest.raises(ValueError, match="altered"):
        _timings.recorded_timings()
    widget = HeadExplorer.from_projection(*recorded_projection())
    assert widget.timings == [] and re.match("There are no recorded timings: .* altered", widget.timing_message)


def test_before_measuring_the_recorded_timings_are_shown_where_there_are_any():
    query, key, tokens = recorded_projection()
    shown = HeadExplorer.from_projection(query, key, tokens).timings
    assert shown == [result for result in _timings.recorded_timings() if result["d_model"] == 384]
    assert all(result["note"].startswith(f"Recorded on {result['machine']} (cpu, 1 thread).") for result in shown)
    assert explorer(d_model=24).timings == []
