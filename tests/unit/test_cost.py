"""The counts are held against the layer itself: its parameters, torch's FLOP counter, and the bytes it allocates."""

import math
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from mha_lab import KVCache, MultiHeadAttention, causal_mask, cost, measure

sizes = st.tuples(
    st.integers(1, 3),  # B
    st.integers(1, 40),  # N
    st.integers(2, 9),  # d_head
    st.one_of(st.none(), st.integers(1, 90)),  # d_model; None: num_heads·d_head
    st.sampled_from([(1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (6, 1), (6, 3)]),  # num_heads, num_kv_heads
    st.one_of(st.none(), st.integers(1, 40)),  # S
    st.booleans(),  # bias
)


def layer_and_call(B, N, d_head, d_model, heads, S, bias, dtype=torch.float32):
    """A layer, its explicit forward pass as a call, and its sizes as the functions of cost take them; d_head is set
    where d_model is."""
    num_heads, num_kv_heads = heads
    own = {} if d_model is None else {"d_head": d_head}
    d_model = num_heads * d_head if d_model is None else d_model
    layer = MultiHeadAttention(d_model, num_heads, num_kv_heads, bias=bias, **own).requires_grad_(False).to(dtype)
    x, context = torch.ones(B, N, d_model, dtype=dtype), None if S is None else torch.ones(B, S, d_model, dtype=dtype)
    return layer, lambda: layer(x, context, need_weights=True), (B, N, d_model, num_heads, num_kv_heads), own


@settings(deadline=None, max_examples=30)
@given(sizes)
def test_parameters_are_those_of_the_layer(size):
    layer, _, (_, _, *model), own = layer_and_call(*size)
    assert cost.parameters(*model, **own, bias=size[-1]) == sum(p.numel() for p in layer.parameters())


def test_parameters_of_a_layer_of_qwen3_0_6b_are_those_of_the_module_with_its_own_d_head():
    layer = MultiHeadAttention(1024, 16, 8, d_head=128, bias=False)
    counted = cost.parameters(1024, 16, 8, d_head=128, bias=False)
    assert counted == sum(p.numel() for p in layer.parameters()) == 6_291_456


def test_parameters_are_four_d_squared_for_every_head_count():
    assert {cost.parameters(512, h, bias=False) for h in (1, 2, 8, 64, 512)} == {4 * 512**2}


@settings(deadline=None, max_examples=30)
@given(sizes)
def test_flops_are_those_that_torch_counts_term_by_term(size):
    _, call, sizes, own = layer_and_call(*size)
    with FlopCounterMode(display=False) as counter:
        call()
    ours, counts = cost.flops(*sizes, **own, S=size[5]), counter.get_flop_counts()
    assert sum(ours.values()) == counter.get_total_flops()
    for term, module in {"W^Q": "q_proj", "W^K": "k_proj", "W^V": "v_proj", "W^O": "out_proj"}.items():
        assert ours[term] == sum(counts[f"MultiHeadAttention.{module}"].values())
    assert ours["QKᵀ"] + ours["AV"] == counts["Global"][torch.ops.aten.bmm]


@pytest.mark.parametrize("N, S", [(1, 1), (1, 7), (3, 7), (7, 7), (0, 4)])
def test_causal_flops_are_those_of_the_pairs_that_the_mask_lets_through(N, S):
    full, causal = (cost.flops(2, N, 24, 6, 3, S=S, causal=flag) for flag in (False, True))
    seen = int(causal_mask(N, S).sum()) if N else 0
    assert causal["QKᵀ"] == causal["AV"] == 2 * 2 * seen * 24
    assert {name: n for name, n in causal.items() if name[0] == "W"} == {n: f for n, f in full.items() if n[0] == "W"}


def test_causal_flops_need_no_more_queries_than_tokens():
    with pytest.raises(ValueError, match="N=3 queries are the last of the S=2 tokens"):
        cost.flops(1, 3, 8, 2, S=2, causal=True)


def test_flops_follow_the_formula_and_the_two_parts_cross_at_twice_d_model():
    d_model = 64
    for N in (1, 100, 128, 129):
        terms = cost.flops(1, N, d_model, 8)
        scores = terms["QKᵀ"] + terms["AV"]
        assert sum(terms.values()) == 8 * N * d_model**2 + 4 * N**2 * d_model
        assert (scores > sum(terms.values()) - scores) == (N > 2 * d_model)


@settings(deadline=None, max_examples=30)
@given(sizes)
def test_stored_scores_are_the_weights_that_come_back(size):
    _, call, (B, N, _, num_heads, _), _ = layer_and_call(*size)
    assert cost.stored_scores(B, N, num_heads, S=size[5]) == call()[1].numel()


@settings(deadline=None, max_examples=150)
@given(sizes, st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64]))
def test_peak_bytes_are_those_that_are_allocated_in_every_width_of_a_number(size, dtype):
    _, call, sizes, own = layer_and_call(*size, dtype=dtype)
    counted = cost.explicit_peak_bytes(*sizes, **own, S=size[5], bytes_per_number=dtype.itemsize)
    assert counted == measure.peak_memory(call)


@pytest.mark.parametrize("B, num_heads, d_head, N", [(1, 1, 8, 24), (1, 8, 4, 64), (3, 4, 16, 48), (2, 16, 2, 100)])
def test_peak_is_one_score_tensor_and_a_mask_adds_at_most_a_copy_of_itself(B, num_heads, d_head, N):
    layer, call, (*_, d_model, _, _), _ = layer_and_call(B, N, d_head, None, (num_heads, num_heads), None, True)
    formula = B * num_heads * N**2 * 4 + (5 if num_heads == 1 else 6) * B * N * d_model * 4
    assert cost.explicit_peak_bytes(B, N, d_model, num_heads) == measure.peak_memory(call) == formula
    x, mask = torch.ones(B, N, d_model), causal_mask(N)
    copy = N * N + 4 * N if num_heads == 1 else 0  # elsewhere the merged heads come later, and are more
    outside = measure.peak_memory(lambda: layer(x, mask=mask, need_weights=True))
    inside = measure.peak_memory(lambda: layer(x, causal=True, need_weights=True))
    assert formula <= outside <= formula + copy and inside == outside + N * N


class BytesOfOperations(TorchDispatchMode):
    """Adds up what goes into and comes out of each kind of operation."""

    def __init__(self):
        super().__init__()
        self.moved = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, result)) if isinstance(leaf, torch.Tensor)]
        self.moved[func.overloadpacket.__name__] += sum(t.numel() * t.element_size() for t in tensors)
        return result


@pytest.mark.parametrize("d_model", [None, 13])
@pytest.mark.parametrize("heads, S", [((4, 4), None), ((6, 3), None), ((6, 6), 11)])
def test_traffic_is_what_goes_into_and_comes_out_of_the_operations(heads, S, d_model):
    _, call, sizes, own = layer_and_call(1, 20, 8, d_model, heads, S, False)
    with BytesOfOperations() as ops:
        call()
    ours = cost.traffic_bytes(*sizes, **own, S=S)
    assert sum(ours[step] for step in ("W^Q", "W^K", "W^V", "W^O")) == ops.moved["mm"]
    assert ours["QKᵀ"] + ours["AV"] == ops.moved["bmm"]
    if heads[0] == heads[1]:  # sharing copies the queries together
        assert ours["merge"] == ops.moved["clone"]
    assert ours["scale"] == ops.moved["mul"] and ours["softmax"] == ops.moved["softmax"]


def test_fused_traffic_holds_no_scores_and_does_not_depend_on_the_head_count():
    fused = [cost.traffic_bytes(1, 4096, 512, h, path="fused") for h in (1, 8, 64)]
    assert fused[0] == fused[1] == fused[2] and fused[0]["attention"] == 4 * 4096 * 512 * 4
    assert cost.traffic_bytes(1, 64, 512, 8, bytes_per_number=2)["W^Q"] * 2 == cost.traffic_bytes(1, 64, 512, 8)["W^Q"]


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_kv_cache_bytes_are_those_of_a_cache(num_kv_heads):
    layer, cache = MultiHeadAttention(32, 4, num_kv_heads), KVCache()
    with torch.no_grad():
        for _ in range(3):
            layer(torch.ones(2, 5, 32), cache=cache)
    held = cache.key.nbytes + cache.value.nbytes
    assert cost.kv_cache_bytes(2, len(cache), num_kv_heads, 8, layers=7, bytes_per_number=4) == 7 * held


def test_kv_cache_of_llama_3_8b_is_a_gibibyte_at_8192_tokens():
    assert cost.kv_cache_bytes(1, 8192, 8, 128, layers=32) == 2**30


# predict -------------------------------------------------------------------------------------------------------------

TABLE = tuple((n, width, seconds) for n in (16, 64) for width, seconds in ((4, 1e-9), (16, 4e-9)))
MACHINE = cost.Machine(
    name="imagined",
    device="cpu",
    threads=1,
    flops_per_second=1e9,
    bytes_per_second=1e15,
    page_seconds=0.0,
    call_seconds={"explicit": 1e-3, "fused": 5e-4},
    step_seconds=dict.fromkeys(("QKᵀ", "AV", "attention"), TABLE)
    | {"softmax": ((16, 1, 3e-09), (64, 1, 3e-09))}
    | {"W": ((16, 8, 2e-9), (64, 8, 1e-9), (16, 32, 2e-9), (64, 32, 1e-9))},
)
"""Every score takes 1 ns in each product at d_head 4 and 4 ns at 16, 3 ns in softmax; a multiply-add of a
projection takes 2 ns with 16 tokens, 1 ns with 64. Memory costs nothing."""


def test_prediction_is_the_sum_of_its_steps_at_the_rates_of_the_machine():
    scores, products = 4 * 64 * 64, 4 * 64 * 16 * 16
    expected = {"explicit": 1e-3 + products * 1e-9 + scores * 5e-9, "fused": 5e-4 + products * 1e-9 + scores * 1e-9}
    for path, seconds in expected.items():
        assert cost.predict(MACHINE, 1, 64, 16, 4, path=path) == pytest.approx(seconds, rel=1e-6)
        steps = cost.predict_steps(MACHINE, 1, 64, 16, 4, path=path)
        assert set(steps) == {"calls", *cost.traffic_bytes(1, 64, 16, 4, path=path)}
        assert sum(steps.values()) == pytest.approx(seconds, rel=1e-6)


def test_a_free_d_head_is_predicted_by_the_widths_that_it_makes():
    """64 tokens, so that a multiply-add of a projection takes 1 ns: four of 16 × (4 heads · 8), two of them shared."""
    steps = cost.predict_steps(MACHINE, 1, 64, 16, 4, 2, d_head=8)
    assert steps["W^Q"] == steps["W^O"] == pytest.approx(64 * 16 * 32 * 1e-9)
    assert steps["W^K"] == steps["W^V"] == pytest.approx(64 * 16 * 16 * 1e-9)
    assert steps["QKᵀ"] == pytest.approx(4 * 64 * 64 * 2e-9)  # d_head 8 lies between 4 and 16 on logarithmic axes
    assert cost.predict(MACHINE, 1, 64, 16, 4, 2, d_head=8) == pytest.approx(sum(steps.values()))
    assert cost.predict(MACHINE, 1, 64, 16, 4, d_head=4) == cost.predict(MACHINE, 1, 64, 16, 4)


@pytest.mark.parametrize(
    "N, d_head, seconds", [(16, 4, 1e-9), (32, 8, 2e-9), (64, 64, 16e-9), (1024, 4, 1e-9), (2, 2, 1e-9)]
)
def test_rates_between_and_beyond_the_calibrated_sizes(N, d_head, seconds):
    steps = cost.predict_steps(MACHINE, 1, N, 4 * d_head, 4)
    assert steps["QKᵀ"] == pytest.approx(4 * N * N * seconds)


def test_tokens_beyond_the_calibrated_sizes_go_at_the_rate_of_the_last():
    for N, each in (1, 2e-9), (16, 2e-9), (32, math.sqrt(2) * 1e-9), (64, 1e-9), (10**6, 1e-9):
        assert cost.predict_steps(MACHINE, 1, N, 16, 4)["W^Q"] == pytest.approx(N * 16 * 16 * each)


def test_a_product_takes_as_long_as_its_bytes_where_these_take_longer():
    slow = replace(MACHINE, bytes_per_second=1e3)
    steps, moved = cost.predict_steps(slow, 1, 1, 16, 4, 2, S=500), cost.traffic_bytes(1, 1, 16, 4, 2, S=500)
    for step in ("W^Q", "W^K", "QKᵀ", "AV", "merge", "W^O"):
        assert steps[step] == pytest.approx(moved[step] / 1e3)


def test_only_buffers_that_the_system_hands_over_cost_fresh_pages():
    paged, N = replace(MACHINE, page_seconds=1e-9), 2**20 * 8
    below = N // 1024 - 1  # float32 scores of 1024 queries of one head: 32 MiB at N // 1024 keys
    assert cost.predict(paged, 1, 1024, 16, 1, S=below) == cost.predict(MACHINE, 1, 1024, 16, 1, S=below)
    with_pages, without = (cost.predict_steps(m, 1, 1024, 16, 1, S=below + 1) for m in (paged, MACHINE))
    more = {step: with_pages[step] - without[step] for step in without}
    assert {step for step, seconds in more.items() if seconds} == {"QKᵀ"}
    assert more["QKᵀ"] == pytest.approx(cost.FRESH * 1e-9)
    assert cost.predict(paged, 1, 8192, 16, 4, path="fused") == cost.predict(MACHINE, 1, 8192, 16, 4, path="fused")


def test_fresh_pages_are_those_of_what_a_step_writes_where_heads_are_narrow_or_wide():
    paged, N = replace(MACHINE, page_seconds=1e-9), cost.FRESH // (16 * 4)  # a result of N × 16 numbers is large enough
    for d_head, writers in (4, {"W^O"}), (64, {"W^Q", "scale", "AV", "merge", "W^O"}):
        with_pages, without = (cost.predict_steps(m, 1, N, 16, 1, d_head=d_head, S=1) for m in (paged, MACHINE))
        assert {step for step in without if with_pages[step] > without[step]} == writers


def test_a_gpu_computes_while_python_calls():
    gpu = replace(MACHINE, device="cuda:0")
    assert cost.predict(gpu, 1, 1, 4, 1) == 1e-3
    assert cost.predict(gpu, 1, 1024, 16, 4) == pytest.approx(cost.predict(MACHINE, 1, 1024, 16, 4) - 1e-3)


def test_sizes_that_do_not_fit_are_refused_with_the_numbers():
    with pytest.raises(ValueError, match="d_model=512 cannot be split over num_heads=7: 512 / 7 leaves 1"):
        cost.parameters(512, 7)
    with pytest.raises(ValueError, match="num_heads=8 cannot share num_kv_heads=3: 8 / 3 leaves 2"):
        cost.flops(1, 4, 512, 8, 3)
    with pytest.raises(ValueError, match="num_heads=0: there must be at least 1"):
        cost.explicit_peak_bytes(1, 4, 512, 0)
    with pytest.raises(ValueError, match="'flash'"):
        cost.predict(MACHINE, 1, 4, 16, 4, path="flash")


COUNTS = {
    "parameters": lambda **of: cost.parameters(**{"d_model": 16, "num_heads": 4} | of),
    "flops": lambda **of: cost.flops(**{"B": 1, "N": 2, "d_model": 16, "num_heads": 4} | of),
    "stored_scores": lambda **of: cost.stored_scores(**{"B": 1, "N": 2, "num_heads": 4} | of),
    "explicit_peak_bytes": lambda **of: cost.explicit_peak_bytes(
        **{"B": 1, "N": 2, "d_model": 16, "num_heads": 4} | of
    ),
    "traffic_bytes": lambda **of: cost.traffic_bytes(**{"B": 1, "N": 2, "d_model": 16, "num_heads": 4} | of),
    "kv_cache_bytes": lambda **of: cost.kv_cache_bytes(**{"B": 1, "S": 2, "num_kv_heads": 4, "d_head": 4} | of),
    "predict": lambda **of: cost.predict(**{"machine": MACHINE, "B": 1, "N": 2, "d_model": 16, "num_heads": 4} | of),
}
SIZES = {
    "parameters": ["d_model", "num_heads", "num_kv_heads", "d_head"],
    "flops": ["B", "N", "S", "d_model", "num_heads", "num_kv_heads", "d_head"],
    "stored_scores": ["B", "N", "S", "num_heads"],
    "explicit_peak_bytes": ["B", "N", "S", "d_model", "num_heads", "num_kv_heads", "d_head", "bytes_per_number"],
    "traffic_bytes": ["B", "N", "S", "d_model", "num_heads", "num_kv_heads", "d_head", "bytes_per_number"],
    "kv_cache_bytes": ["B", "S", "num_kv_heads", "d_head", "layers", "bytes_per_number"],
    "predict": ["B", "N", "S", "d_model", "num_heads", "num_kv_heads", "d_head"],
}
EACH_SIZE = [(name, size) for name, sizes in SIZES.items() for size in sizes]


@pytest.mark.parametrize("name, size", EACH_SIZE)
@pytest.mark.parametrize("value", [-5, -1, 2.5, "4", float("nan"), [4]])
def test_every_size_is_a_whole_number_that_is_not_negative(name, size, value):
    with pytest.raises((TypeError, ValueError), match=f"{size}.*(whole number|at least)"):
        COUNTS[name](**{size: value})


@pytest.mark.parametrize("name, size", EACH_SIZE)
def test_nothing_costs_nothing_where_a_text_can_be_empty(name, size):
    if size in ("B", "N", "S"):
        result = COUNTS[name](**{size: 0})
        assert isinstance(result, (int, float, dict))
    else:
        with pytest.raises(ValueError, match="at least 1"):
            COUNTS[name](**{size: 0})


def test_an_empty_text_costs_no_flops_and_keeps_nothing():
    assert sum(cost.flops(1, 0, 16, 4).values()) == cost.kv_cache_bytes(1, 0, 4, 4) == cost.stored_scores(0, 5, 4) == 0


def test_numpys_sizes_do_not_overflow():
    small = [np.int32(n) for n in (64, 8192, 4096, 32, 8)]
    assert cost.flops(*small) == cost.flops(64, 8192, 4096, 32, 8)
    assert cost.explicit_peak_bytes(*small, d_head=np.int8(127)) == cost.explicit_peak_bytes(
        64, 8192, 4096, 32, 8, d_head=127
    )
    assert cost.kv_cache_bytes(*(np.int32(n) for n in (256, 131072, 64, 128)), layers=np.int64(80)) > 2**40
    assert all(type(n) is int for n in cost.traffic_bytes(*small).values())


def test_a_large_number_that_cannot_be_split_is_refused_at_once():
    begun = time.perf_counter()
    with pytest.raises(ValueError, match="1000000007 / 2 leaves 1"):
        cost.parameters(10**9 + 7, 2)
    assert time.perf_counter() - begun < 0.1
