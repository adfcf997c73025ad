"""Wrong answers that no known mistake names: what is said is true, and says what to look at."""

import cProfile
import functools
import math
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner
from torch.nn import functional as F

from mha_lab import checks, pretrained


@dataclass
class Both:
    output: object
    weights: object


def cut(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def one(query, keys, values):
    return (keys @ query / len(query) ** 0.5).softmax(0) @ values


def weighed(weigh):
    """masked_attention with a learner's own way from scores to weights."""

    def masked_attention(query, key, value, mask):
        weights = weigh(query @ key.T / query.shape[1] ** 0.5, mask)
        return weights @ value, weights

    return masked_attention


def hidden(scores, mask):
    return scores.masked_fill(~mask, -math.inf)


right = weighed(lambda scores, mask: hidden(scores, mask).softmax(1))


def decoded(query, key, value, cached_key, cached_value):
    keys, values = torch.cat([cached_key, key], 2), torch.cat([cached_value, value], 2)
    return F.scaled_dot_product_attention(query, keys, values), keys, values


def scaled(number):
    return lambda query, key, num_heads: cut(query, num_heads) @ cut(key, num_heads).mT * number(query, key, num_heads)


def sdpa_scaled(number):
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True, scale=number(q, k))


def bars(quality):
    return quality.mean(1), quality.std(1) / quality.shape[1] ** 0.5


def grid_search(scores, target_entropy):
    for temperature in np.arange(0.01, 3, 0.001):
        if abs(float(torch.special.entr((scores / temperature).softmax(0)).sum()) - target_entropy) < 0.003:
            return temperature


async def awaited(query, keys, values):
    return one(query, keys, values)


def yielded(query, keys, values):
    yield one(query, keys, values)


class OneQuery:
    def __init__(self, query, keys, values):
        self.output = one(query, keys, values)


def swapped_arguments(keys, query, values):
    return one(query, keys, values)


TOLD = [
    # what was returned
    ("one_query", lambda *c: (one(*c),), "is there a comma at the end of the line that returns"),
    ("one_query", lambda *c: (one(*c), one(*c)), "a tuple of 2, and a tensor was asked for: can you return the output"),
    ("one_query", lambda *c: {"output": one(*c)}, "a dict with 'output', and a tensor was asked for: can you end with"),
    ("one_query", lambda *c: one(*c).to("meta"), "on the device “meta” has a shape and no numbers"),
    ("one_query", lambda *c: torch.nested.nested_tensor([one(*c), c[0]]), "is nested"),
    (
        "one_query",
        lambda *c: one(*c)[None],
        "The numbers are right, in the right order. Yours has 2 axes",
    ),
    ("one_query", awaited, "a coroutine: `async def` makes one of every call"),
    ("one_query", yielded, "a generator, which has computed nothing yet"),
    ("one_query", OneQuery, "You handed in a class, and a call of it makes an object"),
    ("masked_attention", lambda *c: (right(*c)[0], None), "the second, `weights`, is None"),
    ("masked_attention", lambda *c: Both(*right(*c)), "can you end with `return output, weights`?"),
    ("masked_attention", lambda *c: dict(zip("ow", right(*c))), "can you end with `return output, weights`?"),
    ("decode_step", lambda *c: decoded(*c)[0], "and the triple (output, keys, values) was asked for"),
    ("decode_step", lambda *c: (None, *decoded(*c)[1:]), "the first, `output`, is None; the triple (output, keys, val"),
    (
        "error_bars",
        lambda quality: torch.stack(bars(quality)),
        "were they stacked into one? End with `return mean,",
    ),
    ("most_heads", lambda *c: "8", "the str '8', and a number was asked for"),
    ("most_heads", lambda *c: True, "yours is True, and a number was asked for"),
    (
        "most_heads",
        lambda d_model, d_head: None if d_model % d_head else d_model // d_head,
        "nothing for d_model = 10",
    ),
    ("name_heads", lambda shares, least: shares.max(0), "both values and indices of `max`"),
    ("temperature", grid_search, "Your function returned nothing for scores (4,), target_entropy = 0.2773, though it"),
    ("repaired_mask", lambda a, w: (~(a & w[:, None])).to(torch.uint8), "holds numbers (uint8) and True or False was"),
    # one factor, one difference
    ("one_query", lambda *c: 2 * one(*c), "Every number is 2 times the target, in every call."),
    ("one_query", lambda *c: one(*c) + 1, "Every number is 1 more than the target, in every call."),
    ("multi_head_scores", scaled(lambda q, k, h: -((q.shape[2] / h) ** -0.5)), "has the opposite sign"),
    (
        "multi_head_scores",
        scaled(lambda q, k, h: k.shape[1] ** -0.5),
        "number is √(d_head/keys) times the target",
    ),
    ("multi_head_scores", scaled(lambda q, k, h: 1 / 8), "Every number is 0.125 · √d_head times the target"),
    ("error_bars", lambda q: (bars(q)[0], 1.96 * bars(q)[1]), "the mean is right; in the standard error"),
    ("error_bars", lambda q: (bars(q)[0], 1.96 * bars(q)[1]), "Every number is 1.96 times the target"),
    ("head_importance", lambda c, g, n: cut(c * g, n).mean((2, 3)).abs().mean(0), "Every number is 1/(N·K) times the"),
    ("count_parameters", lambda *c: checks.count_parameters.solution(*c) - c[1], "num_heads less than the target"),
    (
        "cache_bytes",
        lambda *c: checks.cache_bytes.solution(*c) * c[3],
        "Yours is num_heads times the target (32",
    ),
    ("peak_scores", lambda *c: checks.peak_scores.solution(*c) - 1, "Yours is 1 less than the target, in every call."),
    ("within_reach", lambda *c: 100 * checks.within_reach.solution(*c), "Yours is 100 times the target, in every call"),
    # one answer for everything
    ("temperature", lambda s, e: 10_000 - 2.2 * e, "Yours is 1e+04 in every call, whatever it is given."),
    ("one_query", lambda q, k, v: torch.full((v.shape[1],), 1e9), "Every number is 1,000,000,000 in every call, what"),
    ("most_heads", lambda d_model, d_head: 8, "Yours is 8 in every call, whatever it is given."),
    ("temperature", lambda s, e: min(45.0, checks.temperature.solution(s, e)), "A search that ends at 45 cannot"),
    # another scale
    ("one_query", lambda q, k, v: (k @ q / 8).softmax(0) @ v, "the scores are divided by 8."),
    ("grouped_attention", sdpa_scaled(lambda q, k: 1 / q.shape[-1]), "the scores are divided by K."),
    ("grouped_attention", sdpa_scaled(lambda q, k: k.shape[2] ** -0.5), "the scores are divided by √S."),
    (
        "masked_attention",
        weighed(lambda s, m: hidden(s / 2, m).softmax(1)),
        "that are all 0.5 times the right ones",
    ),
    ("masked_attention", weighed(lambda s, m: hidden(s * len(s) ** 0.5, m).softmax(1)), "all √queries times the right"),
    # maps of weights
    ("masked_attention", weighed(lambda s, m: s.masked_fill(~m, -1).softmax(1)), "Keys that are hidden get weight"),
    ("masked_attention", weighed(lambda s, m: s * m), "Some of your weights are negative"),
    ("masked_attention", weighed(lambda s, m: hidden(s, m).sigmoid()), "do not sum to 1 over the axis key"),
    ("masked_attention", weighed(lambda s, m: m / m.sum(1, keepdim=True)), "Your weights are all alike"),
    ("masked_attention", lambda *c: (right(*c)[0] * 2, right(*c)[1]), "the weights are right; in the output"),
    ("masked_attention", weighed(lambda s, m: F.dropout(hidden(s, m).softmax(1))), "gives two different results"),
    ("add_block", lambda *c: checks.add_block.solution(*c)[::-1], "come in the order (summed, total, largest)"),
    (
        "one_query",
        swapped_arguments,
        "(query, keys, values), and yours takes them as (keys, query, values)",
    ),
    ("to_halves", lambda weight, num_heads: weight.flip(0), "All numbers of the target are there, and stand in other"),
    ("window_scores", lambda n, width: 2.5 * n, "yours is 20, the target 21."),
]


@pytest.mark.parametrize("exercise, answer, words", TOLD)
def test_what_is_said_of_a_wrong_answer_is_what_it_did(exercise, answer, words):
    result = getattr(checks, exercise)(answer)
    assert not result.passed and words in repr(result), result


def of_one_head(query, key, head, K):
    columns = slice(head * K, (head + 1) * K)
    return query[..., columns] @ key[..., columns].swapaxes(-2, -1) / K**0.5


@torch.no_grad()
def helper_in_a_loop(query, key, num_heads):
    K = query.shape[-1] // num_heads
    return torch.stack([of_one_head(query, key, head, K) for head in range(num_heads)], 1)


def mapped(query, key, num_heads):
    products = map(torch.matmul, query.chunk(num_heads, -1), [k.mT for k in key.chunk(num_heads, -1)])
    return torch.stack(list(products), 1) / (query.shape[-1] / num_heads) ** 0.5


def arrays_in_a_while(query, key, num_heads):
    query, key, maps = query.numpy(), key.numpy(), []
    while len(maps) < num_heads:
        maps.append(of_one_head(query, key, len(maps), query.shape[-1] // num_heads))
    return np.stack(maps, 1)


def numpys_own(query, key, num_heads):
    query, key = (x.reshape(*x.shape[:2], num_heads, -1).transpose(0, 2, 1, 3) for x in (query, key))
    products = [np.dot(query[b, h], key[b, h].T) for b in range(len(query)) for h in range(num_heads)]
    return np.array(products).reshape(*query.shape[:3], -1) / np.sqrt(query.shape[-1])


def recursive(query, key, num_heads, head=0):
    here = of_one_head(query, key, head, query.shape[-1] // num_heads)[:, None]
    return torch.cat([here, recursive(query, key, num_heads, head + 1)], 1) if head + 1 < num_heads else here


@pytest.mark.parametrize(
    "answer",
    [helper_in_a_loop, functools.partial(helper_in_a_loop), mapped, arrays_in_a_while, numpys_own, recursive],
)
def test_a_loop_over_heads_is_seen_wherever_it_hides(answer):
    result = checks.multi_head_scores(answer)
    assert not result.passed and "The numbers are right, and line" in result.lines[0], result
    assert "runs again for each head" in result.lines[0]


def test_a_profiler_and_a_tracer_of_somebody_else_stay_at_work():
    def trace(*_):
        return trace

    before = sys.gettrace()
    with cProfile.Profile() as profiler:
        assert checks.causal_mask(as_a_learner(checks.causal_mask.solution)).passed
    assert profiler.getstats()
    sys.settrace(trace)
    try:
        assert "runs again for each head" in checks.multi_head_scores(arrays_in_a_while).lines[0]
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)


def test_a_known_mistake_is_not_told_of_code_that_only_raises():
    def raises(Q, K, V, h):
        raise RuntimeError("not here")

    assert "published" not in repr(checks.mended_pseudo_code(raises))


def test_what_numpy_prints_while_it_is_only_tried_is_not_shown(capsys):
    def split_heads(x, num_heads):
        print("shape:", x.shape)
        return x.unflaten(-1, (num_heads, -1))

    checks.split_heads(split_heads)
    assert capsys.readouterr().out == "shape: torch.Size([2, 4, 6])\n" + "".join(
        f"shape: torch.Size({list(x.shape)})\n" for x, _ in checks.split_heads.cases()[1:]
    )


def test_code_that_runs_on_tensors_is_judged_by_what_it_does_there():
    def error_bars(quality):  # right on an array, whose std is that of all there are, and wrong in the notebook
        return quality.mean(1), quality.std(1) / (quality.shape[1] - 1) ** 0.5

    assert "torch's `std` has it already" in checks.error_bars(error_bars).lines[0]


def test_an_error_that_cannot_say_what_it_is_is_still_told():
    class Mute(Exception):
        def __str__(self):
            raise ValueError

    def split_heads(x, num_heads):
        raise Mute

    assert checks.split_heads(split_heads).lines[1].endswith("Mute")


@pytest.mark.parametrize("answer", [np.array([0, 2]), torch.tensor([0, 2]), [0, 2], (np.int64(0), torch.tensor(2))])
def test_a_head_may_come_in_any_container_with_an_order(answer):
    assert checks.previous_token_head(answer, pretrained.recorded()).passed


@pytest.mark.parametrize("answer", [{0, 2}, {0: 2}, np.array([0.0, 2.0]), torch.zeros(2, 2), b"02", 1j, "02", object()])
def test_what_is_no_pair_is_named(answer):
    assert "is a pair of whole numbers" in checks.previous_token_head(answer, pretrained.recorded()).lines[0]


@pytest.mark.parametrize("answer", ["'Suitcase'.", ["suitcase"], np.array("suitcase"), np.array(["suitcase"])])
def test_a_word_may_come_in_quotes_or_alone_in_a_list(answer):
    assert checks.where_it_looks(answer, pretrained.recorded()).passed


@pytest.mark.parametrize("answer", [np.array([1, 3]), torch.zeros(3), (1, 3), {"suitcase"}, np.array([]), 3.5])
def test_what_is_no_word_is_named(answer):
    assert "The answer is one word of" in checks.where_it_looks(answer, pretrained.recorded()).lines[0]


def test_recordings_that_are_missing_or_something_else_are_asked_for():
    recordings = pretrained.recorded()
    for name, answer in ("previous_token_head", (0, 2)), ("next_token_head", (1, 8)), ("where_it_looks", "suitcase"):
        check = getattr(checks, name)
        assert "Where is the second argument?" in check(answer).lines[0]
        assert "this is one of them" in check(answer, recordings[0]).lines[0]
        for other in [], "recordings", answer, 3:
            assert "the recordings were asked for" in check(answer, other).lines[0]
        assert check().state == "untouched"
