"""No time is asserted here: the clock is imagined, so that every figure is exact. Memory is real, of known sizes."""

import dataclasses
import itertools
import json
from types import SimpleNamespace

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from mha_lab import MultiHeadAttention, cost, measure, memory

MS = 1e-3


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless a test moves it: clock.now += seconds. Both of measure's clocks read it."""
    clock = SimpleNamespace(now=0.0)
    read = lambda: clock.now  # noqa: E731
    monkeypatch.setattr(measure, "time", SimpleNamespace(thread_time=read, perf_counter=read))
    return clock


def taking(clock, *seconds):
    """A callable whose calls take these times, over and over."""
    times = itertools.cycle(seconds)

    def call():
        clock.now += next(times)

    return call


# time ----------------------------------------------------------------------------------------------------------------


def test_timing_is_median_quartiles_and_fastest_of_the_calls_after_the_warm_up(clock):
    warm_up, samples = (0.5, 0.1, 0.1), (0.05, 0.01, 0.04, 0.02, 0.03)
    timing = measure.timeit(taking(clock, *warm_up, *samples), repeats=5)
    found = timing.q1, timing.median, timing.q3, timing.fastest
    assert found == pytest.approx((0.02, 0.03, 0.04, 0.01))
    assert timing.repeats == 5 and timing.device == "cpu" and timing.threads == torch.get_num_threads()


def test_a_short_call_is_warmed_up_before_every_sample(clock):
    first, cold, warm = (MS / 2,) * 3, 9 * MS, MS
    assert measure.timeit(taking(clock, *first, *[cold, warm] * 5), repeats=5).q3 == pytest.approx(warm)


def test_device_and_threads_stand_in_the_words_of_a_timing(clock):
    with measure.single_thread():
        assert str(measure.timeit(taking(clock, 6 * MS), repeats=3)) == "6 ms (6–6, 3 runs, cpu, 1 thread)"
    two = measure.Timing(2 * MS, 1 * MS, 3 * MS, 1 * MS, 9, "cuda:0", 2)
    assert str(two) == "2 ms (1–3, 9 runs, cuda:0, 2 threads)"


def test_a_call_too_short_for_the_clock_is_repeated_within_a_sample(clock):
    calls = 0

    def call():
        nonlocal calls
        calls += 1
        clock.now += measure.SAMPLE / 100

    assert measure.timeit(call, repeats=3).median == pytest.approx(measure.SAMPLE / 100)
    assert calls >= 300


def test_no_sample_begins_after_the_budget_but_three_there_are(clock):
    assert measure.timeit(taking(clock, 1.0), repeats=50, budget=10.0).repeats == 8  # two went into the warm-up
    assert measure.timeit(taking(clock, 1.0), repeats=50, budget=0.0).repeats == 3
    with pytest.raises(ValueError, match="repeats=2"):
        measure.timeit(taking(clock, 1.0), repeats=2)


def test_compare_takes_its_candidates_in_turn(clock):
    order = []

    def call(name, seconds):
        order.append(name)
        clock.now += seconds

    timings = measure.compare({"a": lambda: call("a", 1.0), "b": lambda: call("b", 3.0)}, repeats=4, budget=100)
    assert "".join(order[-6:]) == "ababab"  # in the first round each is warmed up before its sample
    assert timings["b"].ratio(timings["a"]) == pytest.approx(3.0)


def test_one_thread_reads_its_own_clock_and_several_read_the_wall(monkeypatch):
    monkeypatch.setattr(measure.sys, "platform", "linux")
    with measure.single_thread():
        assert measure._Sampler(lambda: None).clock is measure.time.thread_time
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert measure._Sampler(lambda: None).clock is measure.time.perf_counter


class Queue:
    """A GPU that is not there: calls are queued at once, and synchronise waits until they have been computed."""

    def __init__(self, clock, monkeypatch):
        self.clock, self.waiting = clock, 0.0
        monkeypatch.setattr(torch.accelerator, "synchronize", self.synchronize)

    def call(self):
        self.waiting += MS / 2

    def synchronize(self, device):
        assert device.type == "cuda"
        self.clock.now += self.waiting
        self.waiting = 0.0


def test_a_gpu_is_waited_for_before_and_after_the_calls(clock, monkeypatch):
    gpu = Queue(clock, monkeypatch)
    timing = measure.timeit(gpu.call, repeats=5, device="cuda")
    assert (timing.q1, timing.median, timing.q3, timing.device) == (*[pytest.approx(MS / 2)] * 3, "cuda")


def test_the_device_is_that_of_the_result(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: None)
    assert measure.timeit(lambda: ("no tensor", {"x": torch.ones(1, device="meta")})).device == "meta"


def test_single_thread_gives_the_threads_back_whatever_happens():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), measure.single_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# memory --------------------------------------------------------------------------------------------------------------


def grow_and_shrink():
    big = torch.empty(1000)
    del big
    return torch.empty(10)


def chain():
    x = torch.ones(100)
    for _ in range(5):
        x = x + 1  # two at a time
    return x


OUTSIDE = torch.ones(100, 100)


@pytest.mark.parametrize(
    "fn, numbers",
    [
        (lambda: torch.empty(1000, 1000), 10**6),
        (lambda: [torch.empty(30), torch.empty(12)], 42),
        (grow_and_shrink, 1000),
        (chain, 200),
        (lambda: OUTSIDE.view(-1)[5:], 0),
        (lambda: OUTSIDE.add_(0), 0),
        (lambda: OUTSIDE.t().contiguous(), 10**4),
        (lambda: None, 0),
    ],
)
def test_peak_memory_is_what_is_allocated_at_the_worst_moment(fn, numbers):
    assert measure.peak_memory(fn) == torch.get_default_dtype().itemsize * numbers


def test_peak_memory_follows_gradients():
    x = torch.ones(1000, requires_grad=True)

    def call():
        return torch.autograd.grad((x.exp() * 2).sum(), x)

    size = x.element_size() * 1000
    assert 3 * size <= measure.peak_memory(call) <= 5 * size  # exp kept, its double, then gradients of either


def peak_by_the_profiler(fn):
    """The same from PyTorch's own record of its CPU allocator."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        kept = fn()
    del kept
    changes = [event.nbytes() for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(itertools.accumulate(changes))


@pytest.mark.parametrize("B, N, num_kv_heads", [(1, 40, 4), (2, 64, 2), (3, 5, 1)])
def test_peak_memory_agrees_with_the_profiler(B, N, num_kv_heads):
    layer, x = MultiHeadAttention(32, 4, num_kv_heads), torch.randn(B, N, 32)
    for grad, weights in itertools.product((True, False), repeat=2):
        with torch.set_grad_enabled(grad):
            fn = lambda weights=weights: layer(x, causal=True, need_weights=weights)  # noqa: E731
            assert measure.peak_memory(fn) == pytest.approx(peak_by_the_profiler(fn), rel=0.02 if weights else 0.5)


def test_peak_memory_on_a_gpu_is_the_peak_above_what_was_there(monkeypatch):
    state = SimpleNamespace(now=500, peak=9000)
    fakes = {
        "synchronize": lambda device: None,
        "memory_allocated": lambda device: state.now,
        "max_memory_allocated": lambda device: state.peak,
        "reset_peak_memory_stats": lambda device: setattr(state, "peak", state.now),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.accelerator, name, fake)

    def call():
        state.peak = max(state.peak, state.now + 1234)

    assert measure.peak_memory(call, device="cuda") == 1234


# the machine ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def machine():
    with measure.single_thread():
        return measure.calibrate(0.1)


def test_a_calibrated_machine_says_what_it_is_and_predicts(machine):
    assert (machine.device, machine.threads) == ("cpu", 1) and torch.__version__ in machine.name
    rates = [machine.flops_per_second, machine.bytes_per_second, *machine.call_seconds.values()]
    rates += [seconds for table in machine.step_seconds.values() for *_, seconds in table]
    assert all(0 < rate < float("inf") for rate in rates) and machine.page_seconds >= 0
    for path in ("explicit", "fused"):
        small, large = (cost.predict(machine, 1, N, 512, 8, path=path) for N in (64, 4096))
        assert 0 < small < large
    assert json.loads(json.dumps(dataclasses.asdict(machine)))["threads"] == machine.threads


def test_another_device_is_calibrated_by_the_same_probes(monkeypatch):
    """On a device without numbers, which stands in for a GPU: every call returns at once."""
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: None)
    other = measure.calibrate(0.0, device="meta")
    assert other.device == "meta" and other.page_seconds == 0
    assert cost.predict(other, 1, 1, 64, 4) == other.call_seconds["explicit"]


def test_rates_are_of_float32_whatever_the_default_type_is():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        peak = measure.peak_memory(lambda: measure.calibrate(0.0))
    finally:
        torch.set_default_dtype(before)
    assert 2 * measure.STREAM < peak < 3 * measure.STREAM  # the stream, and a block as large of which little is touched


@pytest.mark.parametrize("nothing", [float("nan"), -5, "5 GiB", None])
def test_what_is_no_number_of_bytes_is_no_memory_to_ask_for(nothing):
    with pytest.raises((ValueError, TypeError)):
        measure.require_memory(nothing)


def test_a_stream_that_would_not_fit_is_refused_before_it_is_allocated(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: measure.STREAM)
    with pytest.raises(MemoryError, match=r"about 256 MiB .* 256 MiB are free"):
        measure.calibrate(0.0)


def test_predictions_and_measurements_are_of_one_order(machine):
    layer, x = MultiHeadAttention(256, 4), torch.randn(1, 512, 256)
    with measure.single_thread(), torch.no_grad():
        measured = measure.timeit(lambda: layer(x, need_weights=True)).fastest
    assert 0.1 < cost.predict(machine, 1, 512, 256, 4) / measured < 10


def test_calibrating_changes_nothing():
    def world():
        return torch.get_num_threads(), torch.get_rng_state().tolist(), torch.is_grad_enabled()

    before = world()
    measure.calibrate(0.0)
    assert world() == before
