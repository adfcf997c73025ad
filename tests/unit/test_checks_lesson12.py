"""Exercises of lesson 12: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import pytest
import torch
from exercise_promises import promises
from torch.nn import functional as F

from mha_lab import attention, checks, models
from mha_lab.checks import lesson12
from mha_lab.rotary import rotate
from mha_lab.variants import sink_attention

EXERCISES = {
    name: getattr(checks, name) for name in ("normed_weights", "gated_terms", "sink_weights", "rotate_a_share")
}


# queries and keys of one length ---------------------------------------------------------------------------------------


def over_rms(x, dims=-1):
    return x / torch.sqrt((x * x).mean(dims, keepdim=True) + 1e-6)


def softmax_of(query, key, scale=None):
    scale = query.size(-1) ** -0.5 if scale is None else scale
    return torch.softmax(query @ key.transpose(-1, -2) * scale, -1)


def layer_normed(x):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


NORMS = {
    "over_all_heads": lambda q, k, a, b: softmax_of(over_rms(q, (1, 3)) * a, over_rms(k, (1, 3)) * b),
    "over_the_tokens": lambda q, k, a, b: softmax_of(over_rms(q, 2) * a, over_rms(k, 2) * b),
    "after_the_softmax": lambda q, k, a, b: over_rms(softmax_of(q * a, k * b)),
    "the_scores_normed": lambda q, k, a, b: torch.softmax(
        over_rms((q * a) @ (k * b).transpose(-1, -2) / q.size(-1) ** 0.5), -1
    ),
    "queries_alone": lambda q, k, a, b: softmax_of(over_rms(q) * a, k * b),
    "keys_alone": lambda q, k, a, b: softmax_of(q * a, over_rms(k) * b),
    "by_the_length": lambda q, k, a, b: softmax_of(F.normalize(q, dim=-1) * a, F.normalize(k, dim=-1) * b),
    "mean_subtracted": lambda q, k, a, b: softmax_of(layer_normed(q) * a, layer_normed(k) * b),
    "without_gains": lambda q, k, a, b: softmax_of(over_rms(q), over_rms(k)),
    "gains_before_the_norm": lambda q, k, a, b: softmax_of(over_rms(q * a), over_rms(k * b)),
    "without_the_scale": lambda q, k, a, b: softmax_of(over_rms(q) * a, over_rms(k) * b, 1.0),
    "without_the_root": lambda q, k, a, b: softmax_of(
        q / (q * q).mean(-1, keepdim=True) * a, k / (k * k).mean(-1, keepdim=True) * b
    ),
    "scores_for_weights": lambda q, k, a, b: over_rms(q) * a @ (over_rms(k) * b).transpose(-1, -2) / q.size(-1) ** 0.5,
}


# gates ----------------------------------------------------------------------------------------------------------------


def concat(heads):
    return heads.permute(0, 2, 1, 3).flatten(2)


def one_by_one(heads, W_o):
    K = heads.size(-1)
    return torch.stack([heads[:, h] @ W_o[h * K : (h + 1) * K] for h in range(heads.size(1))], 1)


def gated_by(gate, of=lambda x, heads: x, cut=None):
    """An answer whose gate is gate(of(x, heads) @ W_g), cut into heads as columns lie, or by `cut`."""

    def answer(x, heads, W_g, W_o):
        B, H, N, K = heads.shape
        gates = gate(of(x, heads) @ W_g)
        gates = cut(gates, B, H, N, K) if cut else torch.stack(gates.chunk(H, -1), 1)
        return one_by_one(heads * gates, W_o)

    return answer


def all_together(x, heads, W_g, W_o):
    B, H, N, K = heads.shape
    output = (concat(heads) * torch.sigmoid(x @ W_g)) @ W_o
    return torch.stack([output] * H, 1)


GATES = {
    "gate_from_the_concat": gated_by(torch.sigmoid, of=lambda x, heads: concat(heads)),
    "gate_after_the_output_matrix": lambda x, heads, W_g, W_o: (
        one_by_one(heads, W_o) * torch.sigmoid(x @ W_g).unsqueeze(1)
    ),
    "without_the_sigmoid": gated_by(lambda logits: logits),
    "tanh_for_sigmoid": gated_by(torch.tanh),
    "softmax_for_sigmoid": gated_by(lambda logits: torch.softmax(logits, -1)),
    "no_gate": lambda x, heads, W_g, W_o: one_by_one(heads, W_o),
    "closed_for_open": gated_by(lambda logits: torch.sigmoid(-logits)),
    "gate_matrix_turned": lambda x, heads, W_g, W_o: gated_by(torch.sigmoid)(x, heads, W_g.T, W_o),
    "every_hth_column": gated_by(
        torch.sigmoid, cut=lambda gates, B, H, N, K: torch.stack([gates[..., h::H] for h in range(H)], 1)
    ),
    "gate_with_view_alone": gated_by(torch.sigmoid, cut=lambda gates, B, H, N, K: gates.reshape(B, H, N, K)),
    "the_whole_output_each_time": all_together,
    "output_matrix_turned": lambda x, heads, W_g, W_o: gated_by(torch.sigmoid)(x, heads, W_g, W_o.T),
}


# sinks ----------------------------------------------------------------------------------------------------------------


def beside(scores, column):
    return torch.softmax(torch.cat([scores, column.expand(*scores.shape[:-1], 1)], -1), -1)


def by_parts(scores, below):
    """Weights over a sum that has one part more, both counted from the largest score."""
    top = scores.max(-1, keepdim=True).values
    return torch.exp(scores - top) / (torch.exp(scores - top).sum(-1, keepdim=True) + below(top))


def per_head(sink):
    return sink.reshape(1, -1, 1, 1)


SINKS = {
    "no_sink": [
        lambda scores, sink: torch.softmax(scores, -1),
        lambda scores, sink: torch.softmax(scores + per_head(sink), -1),
        lambda scores, sink: F.normalize(beside(scores, per_head(sink))[..., :-1], p=1, dim=-1),
    ],
    "with_the_column": lambda scores, sink: beside(scores, per_head(sink)),
    "logit_without_exp": lambda scores, sink: by_parts(scores, lambda top: per_head(sink) / top.exp()),
    "logit_zero": lambda scores, sink: beside(scores, torch.zeros(1))[..., :-1],
    "the_first_heads_sink": lambda scores, sink: beside(scores, sink[:1])[..., :-1],
    "gate_without_the_scores": lambda scores, sink: torch.softmax(scores, -1) * torch.sigmoid(per_head(sink)),
    "gate_turned": lambda scores, sink: (
        torch.softmax(scores, -1) * torch.sigmoid(per_head(sink) - scores.logsumexp(-1, keepdim=True))
    ),
    "gate_of_the_largest": lambda scores, sink: (
        torch.softmax(scores, -1) * torch.sigmoid(scores.max(-1, keepdim=True).values - per_head(sink))
    ),
    "exponentials_that_overflow": lambda scores, sink: (
        scores.exp() / (scores.exp().sum(-1, keepdim=True) + per_head(sink).exp())
    ),
}


# a share turned -------------------------------------------------------------------------------------------------------


def turn(x, rates, pairs, sign=1):
    """The pairs (first, second) of x's numbers turned by the position times their rates."""
    turned = x.clone()
    for (a, b), rate in zip(pairs, rates):
        angle = sign * torch.arange(x.size(-2)) * rate
        turned[..., a] = x[..., a] * angle.cos() - x[..., b] * angle.sin()
        turned[..., b] = x[..., a] * angle.sin() + x[..., b] * angle.cos()
    return turned


def halves(R, first=0):
    return [(first + i, first + i + R // 2) for i in range(R // 2)]


def rates(R, base, width=None):
    return [base ** (-2 * i / (width or R)) for i in range(R // 2)]


def R_of(x, share):
    return int(round(x.size(-1) * share))


TURNS = {
    "all_turned": lambda x, share, base: rotate(x, base=base),
    "none_turned": lambda x, share, base: x + 0,
    "rates_of_the_whole_head": lambda x, share, base: turn(
        x, rates(R_of(x, share), base, x.size(-1)), halves(R_of(x, share))
    ),
    "the_last_turned": lambda x, share, base: turn(
        x, rates(R_of(x, share), base), halves(R_of(x, share), x.size(-1) - R_of(x, share))
    ),
    "pairs_of_the_whole_head": lambda x, share, base: turn(
        x, rates(x.size(-1), base)[: R_of(x, share) // 2], halves(x.size(-1))
    ),
    "neighbours_paired": lambda x, share, base: turn(
        x, rates(R_of(x, share), base), [(2 * i, 2 * i + 1) for i in range(R_of(x, share) // 2)]
    ),
    "the_rest_dropped": lambda x, share, base: rotate(x[..., : R_of(x, share)], base=base),
    "turned_back": lambda x, share, base: turn(x, rates(R_of(x, share), base), halves(R_of(x, share)), -1),
    "a_share_of_the_tokens": lambda x, share, base: torch.cat(
        [rotate(x, base=base)[:, :, : round(share * x.size(2))], x[:, :, round(share * x.size(2)) :]], 2
    ),
}

WRONG = {
    (exercise, mistake): answer
    for exercise, answers in zip(EXERCISES, (NORMS, GATES, SINKS, TURNS))
    for mistake, answer in answers.items()
}


def by_pytorch(query, key, gain_q, gain_k):
    width = query.shape[-1:]
    query, key = F.rms_norm(query, width, gain_q, 1e-6), F.rms_norm(key, width, gain_k, 1e-6)
    return attention(query, key, key)[1]


def by_a_loop_over_heads(x, heads, W_g, W_o):
    K, terms = heads.shape[-1], []
    for h in range(heads.shape[1]):
        own = slice(h * K, (h + 1) * K)
        terms.append((torch.sigmoid(x @ W_g[:, own]) * heads[:, h]) @ W_o[own])
    return torch.stack(terms, dim=1)


def as_a_gate(scores, sink):
    opened = torch.sigmoid(torch.logsumexp(scores, -1, keepdim=True) - sink[:, None, None])
    return opened * torch.softmax(scores, -1)


RIGHT = [
    ("normed_weights", by_pytorch),
    ("gated_terms", by_a_loop_over_heads),
    ("gated_terms", gated_by(torch.sigmoid)),
    ("sink_weights", as_a_gate),
    ("sink_weights", lambda scores, sink: torch.nn.functional.pad(scores, (0, 1)).index_add(
        -1, torch.tensor([scores.shape[-1]]), per_head(sink).expand(*scores.shape[:-1], 1)).softmax(-1)[..., :-1]),
    ("rotate_a_share", lambda x, share, base: rotate(x, base=base, share=share)),
    ("rotate_a_share", lambda x, share, base: turn(x, rates(R_of(x, share), base), halves(R_of(x, share)))),
]  # fmt: skip

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_normed_scores_stay_within_the_root_of_the_width():
    query, key = 1000 * torch.randn(1, 2, 5, 9), 1000 * torch.randn(1, 2, 5, 9)
    weights = checks.normed_weights.solution(query, key, torch.ones(9), torch.ones(9))
    assert (weights.max(dim=-1).values / weights.min(dim=-1).values).log().max() <= 2 * 3 + 1e-3


def test_the_terms_of_gated_heads_add_up_to_the_layer():
    x, heads, W_g, W_o = lesson12._gate_cases()[0]
    terms = checks.gated_terms.solution(x, heads, W_g, W_o)
    torch.testing.assert_close(terms.sum(dim=1), (concat(heads) * torch.sigmoid(x @ W_g)) @ W_o)


def test_the_sinks_weights_are_those_of_the_package():
    query, key = torch.randn(1, 3, 4, 5), torch.randn(1, 3, 4, 5)
    sink = torch.randn(3)
    weights = checks.sink_weights.solution(query @ key.mT / 5**0.5, sink)
    torch.testing.assert_close(weights, sink_attention(query, key, key, sink)[1])


# inside a model ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    return models.trained_back_copy("sink")


def test_a_right_sink_does_in_the_trained_model_what_ours_does(trained):
    result = checks.sink_weights(as_a_gate, trained)
    text = "\n".join(result.lines)
    assert result.passed and "In the trained model of section 3" in text and "does the same" in text


def test_a_sink_that_is_right_on_the_shapes_of_the_check_only_is_found_out_in_the_model(trained):
    def on_few_keys(scores, sink):
        return as_a_gate(scores, sink) if scores.shape[-1] < 9 else scores.softmax(-1)

    assert checks.sink_weights(on_few_keys).passed
    result = checks.sink_weights(on_few_keys, trained)
    assert not result.passed and "With our function there" in result.lines[0]


def test_a_wrong_sink_gets_its_question_whatever_model_there_is(trained):
    assert checks.sink_weights(SINKS["logit_zero"], trained).lines == checks.sink_weights(SINKS["logit_zero"]).lines


@pytest.mark.parametrize("model", [3, "sink", torch.nn.Linear(2, 2), models.back_copy_model("plain")])
def test_what_is_no_model_with_a_sink_is_named(model):
    result = checks.sink_weights(as_a_gate, model)
    assert not result.passed and 'trained["sink"]' in result.lines[0]


# a pattern -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["LLLLG", "llllg", " GLLLL ", "LLGLL", "4 : 1", "4:1"])
def test_the_densest_pattern_that_fits_passes_wherever_its_global_layer_stands(answer):
    assert checks.pattern_for_a_cache.solution() == "LLLLG"
    result = checks.pattern_for_a_cache(answer)
    assert result.passed, result


@pytest.mark.parametrize(
    "answer, verdict, said",
    [
        ("G", "over the budget", "how many global ones can be paid?"),
        ("LLLG", "GB over the budget", "12 of 48 layers are global, and the cache takes 6.59 GB"),
        ("LLLLLG", "more would fit", "8 of 48 layers are global"),
        ("L", "no layer sees far", "48 windows of 1,024 reach 49,104 tokens"),
        ("LGG", "not yet", "A pattern with one global layer was asked for"),
        ("LSG", "not yet", "A pattern with one global layer was asked for"),
        ("3 : 1", "GB over the budget", "12 of 48 layers are global"),
        ("99 : 1", "not yet", "A pattern with one global layer was asked for"),
        (4, "not yet", "A pattern with one global layer was asked for"),
    ],
)
def test_another_pattern_is_told_what_it_costs(answer, verdict, said):
    result = checks.pattern_for_a_cache(answer)
    assert not result.passed and verdict in result.verdict and said in result.lines[0]


def test_an_untouched_pattern_is_no_attempt():
    assert checks.pattern_for_a_cache(None).state == "untouched"
