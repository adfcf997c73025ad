"""What the core refuses, and that it says so in one sentence, with the numbers and the rule, in both paths alike."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from mha_lab import (
    KVCache,
    MultiHeadAttention,
    _door,
    attention,
    causal_mask,
    cost,
    memory,
    merge_heads,
    padding_mask,
    split_heads,
    window_mask,
)
from mha_lab.attention import fused_attention

LAYER = MultiHeadAttention(12, 3).eval()
X = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
Q = torch.randn(2, 4, 5, 8, generator=torch.Generator().manual_seed(1))


def refused(call, kind, *words):
    with pytest.raises(kind) as refusal:
        call()
    message = str(refusal.value)
    assert all(word in message for word in words), message
    assert "\n" not in message and len(message) < 300


# masks and biases at the layer's door ---------------------------------------------------------------------------------

YES = torch.ones(5, 5, dtype=torch.bool)
REFUSED = {
    "a float mask": ({"mask": torch.zeros(5, 5)}, TypeError, "torch.float32", "score_bias="),
    "a float mask beside causal": (
        {"mask": torch.zeros(5, 5), "causal": True},
        TypeError,
        "torch.float32",
        "score_bias=",
    ),
    "a uint8 mask": ({"mask": YES.byte()}, TypeError, "torch.uint8", "mask.bool()"),
    "an int64 mask": ({"mask": YES.long()}, TypeError, "torch.int64", "mask.bool()"),
    "a list": ({"mask": [[True]]}, TypeError, "mask is the list [[True]]", "tensor"),
    "an array": ({"mask": YES.numpy()}, TypeError, "ndarray of shape (5, 5)", "tensor"),
    "another size": ({"mask": YES[:4, :4]}, ValueError, "(4, 4)", "(2, 3, 5, 5)"),
    "another size beside causal": ({"mask": YES[:4, :4], "causal": True}, ValueError, "(4, 4)", "(2, 3, 5, 5)"),
    "a row a sequence": ({"mask": YES[:2]}, ValueError, "(2, 5)", "mask[:, None]"),
    "five dimensions": ({"mask": YES[None, None, None]}, ValueError, "(1, 1, 1, 5, 5)"),
    "a mask that is elsewhere": ({"mask": YES.to("meta")}, ValueError, "meta", "cpu"),
    "a boolean bias": ({"score_bias": YES}, TypeError, "torch.bool", "mask="),
    "an int64 bias": ({"score_bias": YES.long()}, TypeError, "torch.int64", "floats"),
    "a bias a sequence": ({"score_bias": torch.zeros(2, 5, 5)}, ValueError, "(H, N, S)", "score_bias[:, None]"),
    "a bias of another size": ({"score_bias": torch.zeros(4, 4)}, ValueError, "(4, 4)", "(2, 3, 5, 5)"),
    "causal in words": ({"causal": "no"}, TypeError, "causal is the str 'no'", "True or False"),
    "a cache that is none": ({"cache": {}}, TypeError, "cache is the dict {}", "KVCache"),
}


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("options, kind, words", [(o, k, w) for o, k, *w in REFUSED.values()], ids=REFUSED)
def test_both_paths_refuse_the_same_in_a_sentence(options, kind, words, need_weights):
    refused(lambda: LAYER(X, need_weights=need_weights, **options), kind, *words)


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_mask_that_may_be_padding_or_an_order_is_never_guessed(need_weights):
    square = X[:, :2]  # as many queries as sequences
    ambiguous = torch.tensor([[True, False], [True, True]])
    words = "(batch, keys) or (queries, keys)", "mask[:, None]", "mask[None]"
    refused(lambda: LAYER(square, mask=ambiguous, need_weights=need_weights), ValueError, *words)
    refused(lambda: LAYER(square, X, mask=YES[:2], need_weights=need_weights), ValueError, *words)
    padding, order = (LAYER(square, mask=mask, need_weights=True)[1] for mask in (ambiguous[:, None], ambiguous[None]))
    assert (padding[0, :, :, 1] == 0).all() and (padding[1] > 0).all()
    assert (order[:, :, 0, 1] == 0).all() and (order[:, :, 1] > 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_a_bias_of_any_precision_is_the_same_in_both_paths(dtype):
    bias = (torch.arange(25.0).view(5, 5) / 8).to(dtype)
    torch.testing.assert_close(LAYER(X, score_bias=bias), LAYER(X, score_bias=bias, need_weights=True)[0])
    torch.testing.assert_close(LAYER(X, score_bias=bias), LAYER(X, score_bias=bias.float()))


# tokens ---------------------------------------------------------------------------------------------------------------

TOKENS = {
    "a list": (lambda: [[1.0]], TypeError, "x is the list [[1.0]]", "(batch, tokens, 12)"),
    "an array": (lambda: X.numpy(), TypeError, "ndarray of shape (2, 5, 12)"),
    "words": (lambda: "the cat", TypeError, "x is the str 'the cat'"),
    "one sequence": (lambda: X[0], ValueError, "(5, 12)", "(batch, tokens, 12)"),
    "doubles": (X.double, ValueError, "torch.float64", "torch.float32"),
    "halves": (X.half, ValueError, "torch.float16", "torch.float32"),
    "whole numbers": (X.long, ValueError, "torch.int64", "torch.float32"),
    "elsewhere": (lambda: X.to("meta"), ValueError, "meta", "cpu"),
}


@pytest.mark.parametrize("tokens, kind, words", [(t, k, w) for t, k, *w in TOKENS.values()], ids=TOKENS)
def test_tokens_of_another_kind_are_refused(tokens, kind, words):
    refused(lambda: LAYER(tokens()), kind, *words)
    if kind is ValueError:
        refused(lambda: LAYER(X, tokens()), ValueError, "context", *words)


# sizes ----------------------------------------------------------------------------------------------------------------

SIZES = {
    "float": ((16.0, 4), {}, TypeError, "d_model is the float 16.0", "whole number"),
    "str": (("16", 4), {}, TypeError, "d_model is the str '16'", "whole number"),
    "list": ((16, [4]), {}, TypeError, "num_heads is the list [4]"),
    "no width": ((0, 1), {}, ValueError, "d_model=0", "at least 1"),
    "no heads of a chosen width": ((16, 0), {"d_head": 4}, ValueError, "num_heads=0", "at least 1"),
    "no d_head": ((16, 4), {"d_head": 0}, ValueError, "d_head=0", "at least 1"),
    "half a d_head": ((16, 4), {"d_head": 2.5}, TypeError, "d_head is the float 2.5", "whole number"),
    "too wide": ((16, 4), {"d_head": 10**12}, MemoryError, "TiB of memory", "choose smaller sizes"),
    "too large": ((10**18, 10), {}, MemoryError, "TiB of memory"),
    "dropout nan": ((16, 4), {"dropout": math.nan}, ValueError, "dropout=nan", "probability"),
    "dropout None": ((16, 4), {"dropout": None}, ValueError, "dropout=None", "probability"),
    "bias": ((16, 4), {"bias": "none"}, TypeError, "bias is the str 'none'", "True or False"),
    "rotary": ((16, 4), {"rotary": 3}, TypeError, "rotary is the int 3", "function"),
}


@pytest.mark.parametrize("sizes, options, kind, words", [(s, o, k, w) for s, o, k, *w in SIZES.values()], ids=SIZES)
def test_sizes_that_mean_nothing_are_refused(sizes, options, kind, words):
    refused(lambda: MultiHeadAttention(*sizes, **options), kind, *words)


def test_numpys_whole_numbers_are_whole_numbers():
    layer = MultiHeadAttention(np.int64(12), np.int32(3), d_head=np.int8(5))
    assert (type(layer.d_model), layer.d_model, layer.num_heads, layer.d_head) == (int, 12, 3, 5)


HUGE = [10**400, -(10**400), 10**5000]  # no float holds them, and of the last Python writes no digits
NO_NUMBERS = [True, math.nan, -math.inf, 1j, "1", None, Decimal(1), torch.tensor(1.0), np.ones((9, 9)), ["x"] * 10**5]


class WithoutWords:
    def __repr__(self):
        raise RuntimeError("no words")

    __index__ = __repr__


@pytest.mark.parametrize("value", [*HUGE, *NO_NUMBERS, WithoutWords()], ids=lambda value: type(value).__name__)
def test_what_no_count_and_no_float_can_be_is_refused_in_a_short_sentence_by_every_door(value):
    refused(lambda: _door.finite("rate", value), ValueError, "rate=")
    refused(lambda: _door.share("dropout", value), ValueError, "dropout=")
    refused(lambda: _door.whole("steps", value), (TypeError, ValueError), "steps")
    refused(lambda: memory.require_memory(value), (MemoryError, ValueError), "")
    refused(lambda: _door.instance("x", value, bytes, "bytes"), TypeError, "x is ", "must be bytes")


@pytest.mark.parametrize("name", ["d_model", "num_heads", "num_kv_heads", "d_head"])
def test_a_size_without_end_is_refused_and_not_computed_with(name):
    sizes = {"d_model": 12, "num_heads": 3} | {name: 10**400}
    refused(lambda: MultiHeadAttention(**sizes), ValueError, f"{name}=1000", "no count is larger than 10**30")
    refused(lambda: cost.flops(1, 5, **sizes), ValueError, f"{name}=1000", "no count is larger than 10**30")


def test_every_kind_of_number_is_a_finite_number():
    for value in 1, 0.5, np.float32(0.5), np.int8(3), Fraction(1, 2):
        assert _door.finite("rate", value) == float(value) and type(_door.finite("rate", value)) is float


@pytest.mark.parametrize("whole", [10**9 + 7, 10**18 + 9, 2**61 - 1])
def test_the_divisors_of_a_large_number_are_not_all_tried(whole):  # which would take minutes, or years
    refused(lambda: MultiHeadAttention(whole, 2), ValueError, "leaves 1; divisors of", f"1, …, {whole}")


@pytest.mark.parametrize("number", [1, 2, 12, 97, 100, 512, 5040, 1_000_000])
def test_divisors_are_complete_up_to_a_million(number):
    assert _door.divisors(number) == ", ".join(str(d) for d in range(1, number + 1) if number % d == 0)


# the functions --------------------------------------------------------------------------------------------------------

CALLS = {
    "list": (lambda: attention([1.0], Q, Q), TypeError, "query is the list [1.0]"),
    "array": (lambda: attention(Q, Q.numpy(), Q), TypeError, "key is a ndarray"),
    "no width": (lambda: attention(Q[..., :0], Q[..., :0], Q), ValueError, "d_head 0"),
    "key and value heads": (lambda: attention(Q, Q[:, :2], Q), ValueError, "(2, 2, 5, 8)", "(2, 4, 5, 8)"),
    "batches": (lambda: attention(Q, Q[:1].expand(3, 4, 5, 8), Q[:1]), ValueError, "batches differ", "(3, 4, 5, 8)"),
    "types": (lambda: attention(Q, Q.double(), Q), ValueError, "torch.float32", "torch.float64"),
    "devices": (lambda: attention(Q, Q.to("meta"), Q), ValueError, "cpu", "meta"),
    "whole numbers": (lambda: attention(Q.long(), Q.long(), Q.long()), ValueError, "torch.int64", "floats"),
    "one dimension": (lambda: attention(Q[0, 0, 0], Q, Q), ValueError, "(8,)"),
    "scale, several": (
        lambda: attention(Q, Q, Q, scale=torch.ones(2, 1, 1, 1)),
        ValueError,
        "(2, 1, 1, 1)",
        "one number",
    ),
    "dropout in words": (lambda: attention(Q, Q, Q, dropout="a"), ValueError, "dropout='a'", "probability"),
    "dropout below 0": (lambda: fused_attention(Q, Q, Q, dropout=-0.1), ValueError, "dropout=-0.1", "probability"),
    "True as a count": (lambda: causal_mask(True), TypeError, "num_queries is the bool True"),
    "is_causal, more keys": (
        lambda: fused_attention(Q[:, :, :3], Q, Q, is_causal=True),
        ValueError,
        "3 queries on 5 keys",
    ),
    "is_causal and a mask": (lambda: fused_attention(Q, Q, Q, is_causal=True, mask=YES), ValueError, "no other mask"),
    "scale nan": (lambda: attention(Q, Q, Q, scale=math.nan), ValueError, "scale=nan", "finite"),
    "scale in words": (lambda: attention(Q, Q, Q, scale="1/8"), ValueError, "scale='1/8'", "finite"),
    "all scores": (lambda: attention(*[torch.zeros(1, 1, 400_000, 1)] * 3), MemoryError, "596.0 GiB"),
    "fused, three dimensions": (lambda: fused_attention(Q[0], Q[0], Q[0]), ValueError, "(4, 5, 8)", "(B, H, N, K)"),
    "causal_mask, memory": (lambda: causal_mask(2**20), MemoryError, "1.0 TiB"),
    "causal_mask, float": (lambda: causal_mask(2.0), TypeError, "num_queries is the float 2.0"),
    "causal_mask, negative": (lambda: causal_mask(-1), ValueError, "num_queries=-1"),
    "window_mask, nan": (lambda: window_mask(5, math.nan), TypeError, "width is the float nan"),
    "window_mask, 2.5": (lambda: window_mask(5, 2.5), TypeError, "width is the float 2.5"),
    "padding_mask, negative": (lambda: padding_mask([-1, 2]), ValueError, "a length=-1"),
    "padding_mask, negative tensor": (lambda: padding_mask(torch.tensor([2, -1])), ValueError, "a length=-1"),
    "padding_mask, floats": (lambda: padding_mask([1.5, 2.7]), TypeError, "a length is the float 1.5"),
    "padding_mask, float tensor": (lambda: padding_mask(torch.tensor([1.0])), TypeError, "torch.float32"),
    "padding_mask, endless": (lambda: padding_mask([2**70]), MemoryError, "TiB of memory"),
    "padding_mask, meta": (lambda: padding_mask(torch.tensor([1]).to("meta")), ValueError, "meta device"),
    "padding_mask, one number": (lambda: padding_mask(3), TypeError, "lengths is the int 3", "list"),
    "padding_mask, none": (lambda: padding_mask([]), ValueError, "num_keys must be given"),
    "split_heads, uneven": (lambda: split_heads(X, 5), ValueError, "(2, 5, 12)", "num_heads=5"),
    "split_heads, none": (lambda: split_heads(X, 0), ValueError, "num_heads=0"),
    "split_heads, list": (lambda: split_heads([1], 2), TypeError, "x is the list [1]"),
    "merge_heads, three dimensions": (lambda: merge_heads(X), ValueError, "(2, 5, 12)", "(B, H, N, K)"),
}


@pytest.mark.parametrize("call, kind, words", [(c, k, w) for c, k, *w in CALLS.values()], ids=CALLS)
def test_functions_refuse_in_a_sentence(call, kind, words, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**34)
    refused(call, kind, *words)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("num_kv_heads", [3, 1])
@pytest.mark.parametrize("B, N, S", [(0, 5, 5), (2, 0, 5), (2, 5, 0), (2, 0, 0), (0, 0, 0)])
def test_nothing_gives_nothing(B, N, S, num_kv_heads, need_weights):
    layer, x, context = MultiHeadAttention(12, 3, num_kv_heads), torch.zeros(B, N, 12), torch.ones(B, S, 12)
    for options in {}, {"mask": torch.ones(B, 1, S, dtype=torch.bool)}, {"score_bias": torch.zeros(N, S)}:
        found = layer(x, context, need_weights=need_weights, **options)
        output = found[0] if need_weights else found
        assert output.shape == (B, N, 12)
        torch.testing.assert_close(output, layer.out_proj.bias.expand(B, N, 12) if S == 0 else output)
    assert layer(x, causal=True).shape == layer(x, cache=KVCache()).shape == (B, N, 12)


def test_masks_of_nothing():
    assert causal_mask(0).shape == window_mask(0, 3).shape == (0, 0)
    assert padding_mask([], num_keys=3).shape == (0, 1, 3) and padding_mask([0, 0]).shape == (2, 1, 0)
    assert window_mask(4, 10**30).all()


# from_torch -----------------------------------------------------------------------------------------------------------


def test_from_torch_keeps_what_is_frozen():
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.in_proj_weight.requires_grad_(False)
    theirs.out_proj.bias.requires_grad_(False)
    ours = MultiHeadAttention.from_torch(theirs)
    learned = {name for name, parameter in ours.named_parameters() if parameter.requires_grad}
    assert learned == {"q_proj.bias", "k_proj.bias", "v_proj.bias", "out_proj.weight"}


class Other(nn.MultiheadAttention):
    def forward(self, query, *others, **options):
        return super().forward(2 * query, *others, **options)


def pruned(layer):
    prune.l1_unstructured(layer.out_proj, "weight", 0.5)


def hooked(layer):
    layer.register_forward_hook(lambda *_: None)


def without_a_bias(layer):
    layer.out_proj.bias = None


@pytest.mark.parametrize("change", [pruned, hooked, without_a_bias])
def test_from_torch_refuses_what_computes_something_else(change):
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    change(theirs)
    refused(lambda: MultiHeadAttention.from_torch(theirs), ValueError, "this nn.MultiheadAttention")
    refused(
        lambda: MultiHeadAttention.from_torch(Other(12, 3, batch_first=True)), ValueError, "computes something else"
    )


def test_from_torch_refuses_what_it_cannot_keep():
    refused(lambda: MultiHeadAttention.from_torch(nn.Linear(3, 3)), TypeError, "module is", "nn.MultiheadAttention")
    refused(
        lambda: MultiHeadAttention.from_torch(nn.MultiheadAttention(12, 3)),
        ValueError,
        "(tokens, batch, d_model)",
        "batch_first = True",
    )
    normed = nn.MultiheadAttention(12, 3, batch_first=True)
    nn.utils.parametrizations.weight_norm(normed, "in_proj_weight")
    refused(lambda: MultiHeadAttention.from_torch(normed), ValueError, "parametrized", "remove_parametrizations")


# what stands in a projection's place ----------------------------------------------------------------------------------


class Adapter(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base

    def forward(self, x):
        return self.base(x) + x.sum(dim=-1, keepdim=True)


@pytest.mark.parametrize("name", ["q_proj", "k_proj", "v_proj", "out_proj"])
@pytest.mark.parametrize("wrap", [Adapter, nn.Sequential])
def test_a_projection_may_be_anything_that_maps_tokens(wrap, name):
    layer = MultiHeadAttention(12, 3)
    setattr(layer, name, wrap(getattr(layer, name)))
    torch.testing.assert_close(layer(X), layer(X, need_weights=True)[0])
    refused(lambda: layer(X[..., :5]), ValueError, "(2, 5, 5)", "(batch, tokens, 12)")


def test_nested_tensors_are_told_to_be_padded():
    nested = torch.nested.nested_tensor([torch.randn(3, 12), torch.randn(5, 12)], layout=torch.jagged)
    refused(lambda: LAYER(nested), ValueError, "nested tensor", "padding_mask")
