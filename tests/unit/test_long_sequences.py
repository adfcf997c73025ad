"""Memory and time of long texts: what is predicted, what is refused, and what was recorded for lesson 10."""

import dataclasses

import pytest
import torch

from mha_lab import attention, long_sequences, measure, memory, models, window_mask
from mha_lab.long_sequences import HEADS, PATHS, WINDOW, Decoding, Relay, predicted_bytes, predicted_seconds


@pytest.fixture(autouse=True)
def calibrated(monkeypatch):
    """Rates that are there already: measuring them takes a second."""
    machine = long_sequences.recorded()[0].machine
    monkeypatch.setattr(measure, "calibrate", lambda: machine)


@pytest.mark.parametrize("n", [300, 1024])
@pytest.mark.parametrize("path", PATHS)
def test_the_memory_that_a_guard_predicts_is_what_it_takes(path, n):
    with torch.no_grad(), measure.single_thread():
        peak = measure.peak_memory(long_sequences.ways(*long_sequences.text(n))[path])
    exact = path in ("full", "SDPA")
    assert peak == pytest.approx(predicted_bytes(path, n), rel=0 if exact else 0.1)


def test_the_four_ways_are_two_functions():
    inputs = long_sequences.text(300)
    found = {path: way() for path, way in long_sequences.ways(*inputs).items()}
    for path in "full", "chunked", "SDPA":
        torch.testing.assert_close(found[path], attention(*inputs)[0], atol=1e-5, rtol=1e-5)
    near = attention(*inputs, mask=window_mask(300, WINDOW))[0]
    torch.testing.assert_close(found["window"], near, atol=1e-5, rtol=1e-5)


def test_what_would_not_fit_is_not_run():
    measured = list(long_sequences.measure_ways((256, 512), budget=predicted_bytes("full", 256), seconds=0))
    assert [n for n, _ in measured] == [256, 512]
    _, found = measured[-1]
    assert ("full", 256) in found.peak and ("full", 512) not in found.peak
    assert set(found.peak) == set(found.seconds) and ("SDPA", 512) in found.seconds
    assert all(size <= predicted_bytes("full", 256) for size in found.peak.values())


def test_a_step_can_be_taken_again_and_again_after_the_same_text():
    layer = measure.constant_layers(512, [HEADS])[HEADS]
    x = torch.randn(1, 200, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        again = long_sequences.step(layer, x)
        first = again()
        assert torch.equal(first, again())
        everything = layer(torch.cat([x, x[:, -1:]], dim=1), causal=True)[:, -1:]
    torch.testing.assert_close(first, everything, atol=1e-4, rtol=1e-4)


def test_decoding_is_measured_context_by_context():
    *_, (n, found) = long_sequences.measure_decoding((16, 32), seconds=0)
    assert n == 32 and found.prefill.keys() == found.step.keys() == found.window.keys() == {16, 32}
    *_, (_, found) = long_sequences.measure_decoding((16,), seconds=0, prefill=False)
    assert not found.prefill and found.step[16] > 0


def test_a_text_that_would_not_fit_is_refused_before_it_is_made(monkeypatch):
    """Also where no way is within the budget: the text itself needs room. And where one is, it needs it beside it."""
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**30)
    for refused in (
        lambda: next(long_sequences.measure_ways([10**6], seconds=0)),
        lambda: next(long_sequences.measure_ways([10**6], budget=0, seconds=0)),
        lambda: next(long_sequences.measure_ways([10**6], paths=(), seconds=0)),
        lambda: next(long_sequences.measure_decoding([10**9], seconds=0)),
        lambda: next(long_sequences.measure_decoding([10**6], seconds=0, prefill=False)),
        lambda: long_sequences.text(10**6),
    ):
        with pytest.raises(MemoryError, match=r"^This needs about [\d.,]+ [GT]iB of memory and 1\.0 GiB are free"):
            refused()
    room = predicted_bytes("SDPA", 100_000) + 3 * 4 * 100_000 * 512
    monkeypatch.setattr(memory, "free_memory", lambda device: room)  # of which a tenth is kept back
    with pytest.raises(MemoryError):
        next(long_sequences.measure_ways([100_000], paths=["SDPA"], budget=10**15))


def test_a_length_at_which_no_way_fits_the_budget_takes_no_time():
    ((n, found),) = long_sequences.measure_ways([20_000], budget=1)
    assert n == 20_000 and not found.peak and not found.seconds


def test_paths_may_be_anything_that_is_gone_through_once():
    *_, (_, found) = long_sequences.measure_ways((64, 128), paths=(path for path in ("full", "SDPA")), seconds=0)
    assert set(found.seconds) == {(path, n) for path in ("full", "SDPA") for n in (64, 128)}


@pytest.mark.parametrize("measuring", [long_sequences.measure_ways, long_sequences.measure_decoding])
def test_between_two_results_the_caller_has_gradients_and_all_threads(measuring):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        kept = measuring((16, 32), seconds=0)
        for _ in kept:
            assert torch.is_grad_enabled() and torch.get_num_threads() == 2
        kept = measuring((16, 32), seconds=0)
        next(kept)
        assert torch.is_grad_enabled() and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (
            lambda: long_sequences.measure_ways(paths="full"),
            "paths is the str 'full'; it must be a list of some of full",
        ),
        (lambda: predicted_bytes("flash", 5), "there is no path 'flash'"),
        (lambda: predicted_seconds(None, "flash", 5), "there is no path 'flash'"),
        (lambda: predicted_seconds(None, "chunked", 0), "n=0: it must be at least 1"),
        (lambda: list(long_sequences.measure_ways([0], seconds=0)), "n=0: it must be at least 1"),
        (lambda: list(long_sequences.measure_decoding([-1], seconds=0)), "a context=-1: it must be at least 1"),
        (lambda: long_sequences.text(1.5), "n is the float 1.5; it must be a whole number"),
    ],
)
def test_lengths_and_paths_that_there_cannot_be_are_refused(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        wrong()


def test_texts_are_the_same_whatever_the_default_type_is():
    expected = long_sequences.text(5)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert all(map(torch.equal, long_sequences.text(5), expected))
        assert long_sequences.text(5)[0].dtype == torch.float32
        *_, (_, found) = long_sequences.measure_decoding((16,), seconds=0)
        assert found.step
    finally:
        torch.set_default_dtype(before)


# a whole model -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("fused", [False, True], ids=["explicit", "fused"])
@pytest.mark.parametrize("layers, d_model, num_heads, n, batch", [(2, 256, 4, 256, 1), (3, 128, 2, 256, 4)])
def test_a_models_memory_is_what_the_arithmetic_says(training, fused, layers, d_model, num_heads, n, batch):
    blocks = [models.Block(d_model, num_heads, mlp=4 * d_model) for _ in range(layers)]
    words = torch.nn.Embedding(1000, d_model)
    learned = [p for module in (*blocks, words) for p in module.parameters()]
    ids = torch.zeros(batch, n, dtype=torch.long)

    def read():
        x = words(ids)
        for block in blocks:
            x = block(x, need_weights=not fused)[0]
        return x

    def learn():
        for p in learned:
            p.grad.zero_()
        read().sum().backward()

    numbers = sum(p.numel() for p in learned)
    if training:
        for p in learned:
            p.grad = torch.zeros_like(p)
        held, work = 4 * numbers, learn
    else:
        held, work = numbers, torch.no_grad()(read)
    sizes = {"batch": batch, "layers": layers, "d_model": d_model, "num_heads": num_heads, "vocabulary": 1000}
    said = long_sequences.model_bytes(n, **sizes, fused=fused, training=training)
    assert 4 * held + measure.peak_memory(work, device="cpu") == pytest.approx(said, rel=0.05)


def test_sizes_of_a_model_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="layers=0: it must be at least 1"):
        long_sequences.model_bytes(10, layers=0)


# the record ----------------------------------------------------------------------------------------------------------


def test_the_record_holds_every_way_that_fits_and_none_that_does_not():
    found, decoding = long_sequences.recorded()
    lengths = long_sequences.LENGTHS
    fits = {(p, n) for p in PATHS for n in lengths if predicted_bytes(p, n) <= long_sequences.BUDGET}
    assert set(found.seconds) == set(found.peak) == fits
    assert {(p, n) for p in PATHS for n in lengths} - fits == {("full", 8192), ("full", 16384)}
    assert max(found.peak.values()) <= long_sequences.BUDGET
    for table in decoding.prefill, decoding.step, decoding.window:
        assert tuple(table) == long_sequences.CONTEXTS


def test_the_recorded_times_are_near_their_predictions():
    found, _ = long_sequences.recorded()
    for key, seconds in found.seconds.items():
        assert 1 / 3 < seconds / predicted_seconds(found.machine, *key) < 3, key


def test_a_record_comes_back_as_it_was_saved(monkeypatch, tmp_path):
    found, _ = long_sequences.recorded()
    decoding = Decoding(prefill={4: 1.0}, step={4: 0.5}, window={4: 0.25})
    saved = tmp_path / "saved.npz"
    relays = [Relay("one window of 16", 4, 0.5, 0, 0.25, 0.5, 0.125)]
    long_sequences.save(found, decoding, relays, saved)
    monkeypatch.setattr(long_sequences._data, "read", lambda path, sha256: path.read_bytes())
    monkeypatch.setattr(long_sequences, "RECORDED", saved)
    again, steps = long_sequences.recorded()
    assert again == dataclasses.replace(found, machine=again.machine) and steps == decoding
    assert long_sequences.recorded_relays() == relays
    assert predicted_seconds(again.machine, "chunked", 999) == predicted_seconds(found.machine, "chunked", 999)


def test_an_altered_record_is_refused_in_words(monkeypatch, tmp_path):
    altered = tmp_path / "long_sequences.npz"
    altered.write_bytes(long_sequences.RECORDED.read_bytes()[:-1])
    monkeypatch.setattr(long_sequences, "RECORDED", altered)
    with pytest.raises(ValueError, match="long_sequences.npz was altered or cut short"):
        long_sequences.recorded()


def test_the_power_of_a_table_is_its_slope_on_scales_of_powers():
    table = {("full", n): 3.0 * n**2 for n in (512, 2048, 4096)} | {("window", 2048): 1.0}
    assert long_sequences.exponent(table, "full") == pytest.approx(2)
    with pytest.raises(ValueError, match="window has 1 entries from 2,048 tokens on; a power takes two"):
        long_sequences.exponent(table, "window")
