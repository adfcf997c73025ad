"""Exercises of lesson 12: queries and keys of one length, gated heads that stay a sum, a sink that goes to work inside
a trained model, a share of a head that is turned, and a pattern of layers for a cache."""

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from mha_lab.checks.card import Result
from mha_lab.checks.class_key import sized
from mha_lab.checks.engine import FunctionExercise, answer_exercise, exercise, seeded
from mha_lab.checks.in_model import WholeModelExercise
from mha_lab.checks.returned import a_thing

# ------------------------------------------------------------------------------------------------------------ QK-norm

EPS = 1e-6


def _normed_cases():
    """Queries and keys of unequal lengths, with a mean that is not 0."""
    cases = []
    sizes = [(2, 3, 3, 4, 4, 6), (1, 2, 2, 3, 5, 4), (2, 4, 4, 2, 3, 8), (1, 1, 1, 5, 5, 3), (1, 3, 3, 4, 2, 5)]
    for seed, (B, H, G, N, S, K) in enumerate(sized(sizes, together=(1, 2))):
        query, key, gain_q, gain_k = seeded(seed, (B, H, N, K), (B, G, S, K), (K,), (K,))
        sizes = 1 + torch.arange(N).float()[:, None], 1 + torch.arange(H).float()[:, None, None]
        cases.append((query * sizes[0] + 0.5, key * sizes[1] + 0.5, 1 + 0.3 * gain_q, 1 + 0.3 * gain_k))
    return cases


@exercise(
    stars=2,
    minutes=10,
    hint="A query of head 2 at token 5 has K numbers. Which mean makes its length the same as that of every other, and "
    "what may then still make a score large?",
    second_hint="Write RMSNorm once: a tensor over the root of the mean of its squares along the last axis (keep that "
    "axis, and add 1e-6 under the root), times its gain. Use it on queries and on keys; after that everything is as "
    "ever: product, scale, softmax over the keys.",
    then="With gains of 1 no score leaves ±√K, whatever the learning rate has made of W^Q and W^K.",
    cases=_normed_cases,
    parts={"weights": ("batch", "head", "query", "key")},
)
def normed_weights(query, key, gain_q, gain_k):
    """query (B, H, N, K), key (B, H, S, K), gains (K,) → weights (B, H, N, S): each query and
    each key over its own root mean square √(mean of squares + 1e-6), times its gain; then scores
    over √K, and softmax."""
    query = query / (query.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt() * gain_q
    key = key / (key.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt() * gain_k
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return scores.softmax(dim=-1)


def _rms(x, *axes, eps=EPS):
    return (x.square().mean(dim=axes or -1, keepdim=True) + eps).sqrt()


def _weights(query, key, scale=None):
    return (query @ key.mT / (query.shape[-1] ** 0.5 if scale is None else scale)).softmax(dim=-1)


@normed_weights.mistake(
    "You normed over all heads at once, so that a head with large numbers still outweighs the others of its token. "
    "Over which of the H · K numbers of a token does one head take its mean?"
)
def over_all_heads(query, key, gain_q, gain_k):
    return _weights(query / _rms(query, 1, 3) * gain_q, key / _rms(key, 1, 3) * gain_k)


@normed_weights.mistake(
    "You normed over the tokens: each feature has its own mean over the whole text, future included. Whose length is "
    "to be the same, a feature's or a token's?"
)
def over_the_tokens(query, key, gain_q, gain_k):
    return _weights(query / _rms(query, 2) * gain_q, key / _rms(key, 2) * gain_k)


@normed_weights.mistake(
    "You normed the weights, after the softmax. By then large scores have done what they do: which two things, before "
    "the product, should have one length?"
)
def after_the_softmax(query, key, gain_q, gain_k):
    weights = _weights(query * gain_q, key * gain_k)
    return weights / _rms(weights)


@normed_weights.mistake(
    "You normed the scores and not what they are made of: every row has then the same spread, so that no query can "
    "be less sure than another. What has K numbers, and should have one length?"
)
def the_scores_normed(query, key, gain_q, gain_k):
    scores = (query * gain_q) @ (key * gain_k).mT / query.shape[-1] ** 0.5
    return (scores / _rms(scores)).softmax(dim=-1)


@normed_weights.mistake(
    "Your queries are normed and your keys are as long as they were. Can a long key alone make a score large?"
)
def queries_alone(query, key, gain_q, gain_k):
    return _weights(query / _rms(query) * gain_q, key * gain_k)


@normed_weights.mistake(
    "Your keys are normed and your queries are as long as they were. Can a long query alone make a score large?"
)
def keys_alone(query, key, gain_q, gain_k):
    return _weights(query * gain_q, key / _rms(key) * gain_k)


@normed_weights.mistake(
    "You divided by the length, the root of the *sum* of squares: scores are then K times smaller, within ±1/√K, and "
    "every map is nearly flat. What does *root mean square* divide the sum by?"
)
def by_the_length(query, key, gain_q, gain_k):
    root = query.shape[-1] ** 0.5
    return _weights(query / (root * _rms(query)) * gain_q, key / (root * _rms(key)) * gain_k)


@normed_weights.mistake("You subtracted the mean first: that is LayerNorm. What does RMSNorm leave as it is?")
def mean_subtracted(query, key, gain_q, gain_k):
    def normed(x):
        x = x - x.mean(dim=-1, keepdim=True)
        return x / _rms(x)

    return _weights(normed(query) * gain_q, normed(key) * gain_k)


@normed_weights.mistake("The gains are missing. How could a head still learn to be sure of one key?")
def without_gains(query, key, gain_q, gain_k):
    return _weights(query / _rms(query), key / _rms(key))


@normed_weights.mistake(
    "You multiplied by the gains first and normed afterwards, which takes a part of them back. In which order do they "
    "come?"
)
def gains_before_the_norm(query, key, gain_q, gain_k):
    query, key = query * gain_q, key * gain_k
    return _weights(query / _rms(query), key / _rms(key))


@normed_weights.mistake(
    "The scale is missing. Normed queries and keys of K numbers have scores up to K; what brings them back to √K?"
)
def without_the_scale(query, key, gain_q, gain_k):
    return _weights(query / _rms(query) * gain_q, key / _rms(key) * gain_k, scale=1.0)


@normed_weights.mistake("You divided by the mean square, without the root. What has a vector that is twice as long?")
def without_the_root(query, key, gain_q, gain_k):
    return _weights(query / _rms(query) ** 2 * gain_q, key / _rms(key) ** 2 * gain_k)


@normed_weights.mistake("These are scores. What makes of a row of scores weights that sum to 1?")
def scores_for_weights(query, key, gain_q, gain_k):
    return (query / _rms(query) * gain_q) @ (key / _rms(key) * gain_k).mT / query.shape[-1] ** 0.5


# --------------------------------------------------------------------------------------------------------------- gate


def _gate_cases():
    cases = []
    sizes = [(2, 3, 2, 4), (1, 4, 3, 2), (2, 2, 4, 3), (1, 5, 2, 3), (2, 4, 3, 5)]
    for seed, (B, N, H, K) in enumerate(sized(sizes)):
        D = H * K
        x, heads, W_g, W_o = seeded(seed, (B, N, D), (B, H, N, K), (D, D), (D, D))
        cases.append((x, heads, W_g, W_o))
    return cases


@exercise(
    stars=2,
    minutes=10,
    hint="Which columns of W_g make the gate of head 1, which rows of W_o read head 1, and does either of them see "
    "another head?",
    second_hint="The sigmoid of x W_g has D numbers a token; cut it into heads as queries are cut, so that it has the "
    "shape of `heads`, and multiply. Cut W_o by its rows into H blocks of K × D, and let each gated head meet its own "
    "block, with one batched product.",
    then="Add the terms over the heads and you have the layer's output: with this gate a head can still be looked at, "
    "switched off, or sent to another machine, alone.",
    cases=_gate_cases,
    parts={"terms": ("batch", "head", "token", "feature")},
)
def gated_terms(x, heads, W_g, W_o):
    """x (B, N, D), what the layer read; heads (B, H, N, K), what they found; W_g and W_o (D, D),
    D = H·K → terms (B, H, N, D): what each head, gated by σ(x W_g) number by number, adds to
    the output."""
    B, H, N, K = heads.shape
    gates = (x @ W_g).sigmoid().view(B, N, H, K).transpose(1, 2)
    return (heads * gates) @ W_o.view(H, K, -1)


def _split(c, H):
    return c.unflatten(-1, (H, -1)).transpose(1, 2)


def _joined(heads):
    return heads.transpose(1, 2).flatten(2)


def _terms(heads, W_o):
    return heads @ W_o.view(heads.shape[1], heads.shape[-1], -1)


@gated_terms.mistake(
    "Your gate is made of the concatenated heads, so that each head's term hangs on all others: no term could be "
    "computed alone. What did the layer read before any head had found something?"
)
def gate_from_the_concat(x, heads, W_g, W_o):
    return _terms(heads * _split((_joined(heads) @ W_g).sigmoid(), heads.shape[1]), W_o)


@gated_terms.mistake(
    "Your gate multiplies what comes out of W_o: there feature j is no longer a number of one head. Where do the "
    "released models put it?"
)
def gate_after_the_output_matrix(x, heads, W_g, W_o):
    return _terms(heads, W_o) * (x @ W_g).sigmoid()[:, None]


@gated_terms.mistake("Your gate is x W_g itself, which may be negative or large. Which function lets through a share?")
def without_the_sigmoid(x, heads, W_g, W_o):
    return _terms(heads * _split(x @ W_g, heads.shape[1]), W_o)


@gated_terms.mistake("Your gate is a tanh, which can turn a head's sign. Between which two numbers does σ lie?")
def tanh_for_sigmoid(x, heads, W_g, W_o):
    return _terms(heads * _split((x @ W_g).tanh(), heads.shape[1]), W_o)


@gated_terms.mistake(
    "Your gates share 1 among themselves, as a softmax does: to open one closes others. May all heads be open at once?"
)
def softmax_for_sigmoid(x, heads, W_g, W_o):
    return _terms(heads * _split((x @ W_g).softmax(dim=-1), heads.shape[1]), W_o)


@gated_terms.mistake("Nothing is gated. What does x say to each number of each head?")
def no_gate(x, heads, W_g, W_o):
    return _terms(heads, W_o)


@gated_terms.mistake("Your gate is closed where it should be open. Do you multiply by σ, or by what σ leaves of 1?")
def closed_for_open(x, heads, W_g, W_o):
    return _terms(heads * _split(1 - (x @ W_g).sigmoid(), heads.shape[1]), W_o)


@gated_terms.mistake("You multiplied x by the transposed W_g. On which side of it stands the input here?")
def gate_matrix_turned(x, heads, W_g, W_o):
    return _terms(heads * _split((x @ W_g.T).sigmoid(), heads.shape[1]), W_o)


@gated_terms.mistake(
    "Your gate's numbers are shared out as on a round of cards: head h has every H-th column. Which K columns of W_g "
    "belong to head 0, if the gate is cut as queries are?"
)
def every_hth_column(x, heads, W_g, W_o):
    B, H, N, K = heads.shape
    return _terms(heads * (x @ W_g).sigmoid().view(B, N, K, H).permute(0, 3, 1, 2), W_o)


@gated_terms.mistake(
    "You used view alone to give the gate the shape of the heads, and tokens and heads are mixed. Which two axes must "
    "change places after the cut?"
)
def gate_with_view_alone(x, heads, W_g, W_o):
    return _terms(heads * (x @ W_g).sigmoid().reshape(heads.shape), W_o)


@gated_terms.mistake(
    "Every term is the whole output: you put all heads together before W_o. Which rows of W_o belong to head h alone?"
)
def the_whole_output_each_time(x, heads, W_g, W_o):
    gated = heads * _split((x @ W_g).sigmoid(), heads.shape[1])
    return (_joined(gated) @ W_o)[:, None].expand(-1, heads.shape[1], -1, -1)


@gated_terms.mistake(
    "Your W_o is transposed: a head meets its columns where its rows are meant. Which axis of W_o counts the heads?"
)
def output_matrix_turned(x, heads, W_g, W_o):
    return _terms(heads * _split((x @ W_g).sigmoid(), heads.shape[1]), W_o.T.contiguous())


# --------------------------------------------------------------------------------------------------------------- sink


def _sink_cases():
    cases, sizes = [], [(2, 3, 4, 4), (1, 2, 3, 5), (2, 4, 2, 3), (1, 3, 5, 5), (2, 2, 3, 3)]
    for seed, (B, H, N, S) in enumerate(sized(sizes)):
        scores, sink = seeded(seed, (B, H, N, S), (H,), spread=2.0)
        if N == S:
            scores = scores.masked_fill(~torch.ones(N, S, dtype=torch.bool).tril(), -torch.inf)
        cases.append((scores, sink))
    scores, sink = seeded(9, (1, 2, 3, 4), (2,))
    return [*cases, (scores.round() + 95, sink.round() + 95)]  # exp(95) is too large for a float32


SINK_WINDOW = 6


@dataclass(frozen=True, repr=False)
class SinkExercise(WholeModelExercise):
    """`checks.sink_weights(yours, model)`: a right answer then makes all weights of the model that is handed over."""

    def __call__(self, function, model: Any = None) -> Result:
        inside = None if model is None else _in_the_trained_model(model)
        if isinstance(inside, str):
            return self._wrong(inside)
        return FunctionExercise.__call__(replace(self, inside=inside), function)

    def _same_numbers(self, *given) -> Result:
        return super()._same_numbers(*given) if self.inside else FunctionExercise._same_numbers(self, *given)


def _with_a_sink(**fields):
    """Decorator: this function is the solution of an exercise that makes the weights of a trained model."""
    return lambda solution: SinkExercise(solution, **fields)


def _in_the_trained_model(model: Any):
    """What runs the recorded model with somebody's weights; or a sentence, where it is something else."""
    from mha_lab.models.decoder import Decoder
    from mha_lab.variants import SinkAttention

    if isinstance(model, Decoder) and all(isinstance(block.attention, SinkAttention) for block in model.blocks):
        return partial(_with_these_weights, model)
    return (
        f"The second argument is {a_thing(model)}, and the trained model with a sink was asked for: "
        '`trained["sink"]`, of section 3. Which cell has made it?'
    )


@torch.no_grad()
def _with_these_weights(model, function):
    """The loss of the back-copy model beyond what the table leaves open, with the function's weights in every layer:
    where tokens see everything, and where they see the last six."""
    from mha_lab import tasks
    from mha_lab.masks import causal_mask, window_mask
    from mha_lab.tasks.back_copy import least_loss

    task = tasks.back_copy()
    test = task.draw(100, torch.Generator().manual_seed(20_000))
    n, losses = task.num_tokens, []
    for mask in causal_mask(n), causal_mask(n) & window_mask(n, SINK_WINDOW):
        x = model.positions(model.embed[0](test.inputs[..., 0]))
        for block in model.blocks:
            layer, read = block.attention, block.norm(x)
            query, key, value = layer.project(read, read)
            query, key = layer.rotary(query), layer.rotary(key)
            scores = (query @ key.mT / layer.d_head**0.5).masked_fill(~mask, -torch.inf)
            x = x + layer.combine(function(scores, layer.sink) @ value, read)
            x = x if block.mlp is None else x + block.mlp(x)
        logits = model.answer[0](model.norm(x))
        logits, targets = logits[:, SINK_WINDOW:], test.targets[:, SINK_WINDOW:, 0]  # whose windows miss the first
        loss = torch.nn.functional.cross_entropy(logits.mT, targets, reduction="none")
        losses.append((loss - least_loss(test.inputs)[:, SINK_WINDOW:]).mean().item())
    line = (
        f"In the trained model of section 3, on 100 new texts, your weights lose {losses[0]:.2f} nats more than who "
        f"knows the table, and {losses[1]:.2f} where a token sees the last {SINK_WINDOW} alone."
    )
    return line, None


@_with_a_sink(
    stars=2,
    minutes=8,
    hint="In the formula of one row, what does a sink with logit s add to the sum below the line, and what to the "
    "numbers above it? And which of its numbers is ∞ where a score is 95?",
    second_hint="Put the sink's logit as one more column beside the scores: it needs the shape (B, H, N, 1), each head "
    "its own. Take the softmax over all S + 1 columns, and hand back the first S: the sink has no value, so nobody "
    "needs the last column.",
    then="A row now sums to σ(logsumexp of its scores − s): the head says with its scores how much it has found.",
    cases=_sink_cases,
    parts={"weights": ("batch", "head", "query", "key")},
)
def sink_weights(scores, sink):
    """scores (B, H, N, S), −∞ where a key is hidden, and a logit for each head, sink (H,)
    → weights (B, H, N, S) of a softmax beside that sink: a row sums to less than 1."""
    column = sink[:, None, None].expand(*scores.shape[:-1], 1)
    return torch.cat([scores, column], dim=-1).softmax(dim=-1)[..., :-1]


def _over(scores, more):
    """exp(scores) over their sum and something more, counted from the largest score."""
    largest = scores.amax(dim=-1, keepdim=True)
    up = (scores - largest).exp()
    return up / (up.sum(dim=-1, keepdim=True) + more(largest))


@sink_weights.mistake(
    "Your rows sum to 1, so that nothing has gone to the sink. (What is added to all scores of a row changes no "
    "softmax, and weights over their own sum forget the sink.) Beside what does the sink's exponential stand?"
)
def no_sink(scores, sink):
    return scores.softmax(dim=-1)


@sink_weights.mistake("You gave back the sink's column too: that would be a sink with a value. How many keys have one?")
def with_the_column(scores, sink):
    column = sink[:, None, None].expand(*scores.shape[:-1], 1)
    return torch.cat([scores, column], dim=-1).softmax(dim=-1)


@sink_weights.mistake(
    "The sink's logit itself stands in the sum, without its exponential. What do the scores become before they are "
    "added up?"
)
def logit_without_exp(scores, sink):
    return _over(scores, lambda largest: sink[:, None, None] * (-largest).exp())


@sink_weights.mistake(
    "Your sink has logit 0 for every head, whatever was learned: that is add_zero_attn. What is the argument `sink`?"
)
def logit_zero(scores, sink):
    return _over(scores, lambda largest: (-largest).exp())


@sink_weights.mistake("Every head has the sink of the first. Which axis of (B, H, N, S) does (H,) belong to?")
def the_first_heads_sink(scores, sink):
    return sink_weights.solution(scores, sink[:1].expand_as(sink))


@sink_weights.mistake(
    "You gated the rows with σ(sink) alone. Should a head that has found much, with high scores, be let through no "
    "more than one that has found nothing?"
)
def gate_without_the_scores(scores, sink):
    return scores.softmax(dim=-1) * sink.sigmoid()[:, None, None]


@sink_weights.mistake(
    "Your gate is σ(s − logsumexp): open where the sink wins. Who should be let through, the sink or the scores?"
)
def gate_turned(scores, sink):
    return scores.softmax(dim=-1) * (sink[:, None, None] - scores.logsumexp(dim=-1, keepdim=True)).sigmoid()


@sink_weights.mistake(
    "You took the largest score for the sum: σ(max − s). Three keys with equal scores find more than one; which "
    "function of a row counts all of them?"
)
def gate_of_the_largest(scores, sink):
    return scores.softmax(dim=-1) * (scores.amax(dim=-1, keepdim=True) - sink[:, None, None]).sigmoid()


@sink_weights.mistake(
    "Right while scores are small. exp(95) is ∞ in 32 bits, and ∞ / ∞ no number: what do you subtract first?"
)
def exponentials_that_overflow(scores, sink):
    up = scores.exp()
    return up / (up.sum(dim=-1, keepdim=True) + sink.exp()[:, None, None])


# ------------------------------------------------------------------------------------------------------ a share turned


def _share_cases():
    sizes = [(1, 2, 3, 8, 0.5), (2, 3, 5, 16, 0.25), (1, 1, 6, 4, 0.5), (2, 2, 4, 12, 0.5), (1, 2, 7, 16, 0.75)]
    return [
        (*seeded(seed, shape), share, base)
        for seed, ((*shape, share), base) in enumerate(zip(sized(sizes, together=(3, 4)), (10.0, 100.0) * 3))
    ]


@exercise(
    stars=2,
    minutes=10,
    hint="With K = 16 and a share of ¼, how many numbers are turned, how many pairs is that, and which two make the "
    "first pair?",
    second_hint="Cut x behind its first R = share · K numbers. Turn that part exactly as if it were a whole head of R "
    "numbers: pairs i and i + R/2, rates from powers of the base with R below the line. Then put the rest behind it.",
    then="The rest scores words alike at every distance; the turned part tells near from far.",
    cases=_share_cases,
    parts={"turned": ("batch", "head", "token", "feature")},
)
def rotate_a_share(x, share, base):
    """x (B, H, N, K): its first R = share · K numbers are turned as a head of R numbers would be,
    pair i and i + R/2 of the token at n by n · base^(−2i/R); the others stay as they are."""
    R = round(share * x.shape[-1])
    angle = torch.arange(x.shape[-2])[:, None] * base ** (-torch.arange(0, R, 2) / R)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :R].chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos, x[..., R:]], dim=-1)


def _turn(x, base, width=None):
    """All of x turned; width: what stands below the line of the exponent."""
    N, R = x.shape[-2:]
    angle = torch.arange(N)[:, None] * base ** (-torch.arange(0, R, 2) / (width or R))
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)


def _parted(x, share):
    R = round(share * x.shape[-1])
    return x[..., :R], x[..., R:]


@rotate_a_share.mistake("You turned the whole head. What is left to compare words with, wherever they stand?")
def all_turned(x, share, base):
    return _turn(x, base)


@rotate_a_share.mistake("Nothing was turned. Which part of a head is to know the position?")
def none_turned(x, share, base):
    return x.clone()


@rotate_a_share.mistake(
    "Your rates have K below the line: your slowest pair turns too fast. As if the head had how many numbers does the "
    "turned part turn?"
)
def rates_of_the_whole_head(x, share, base):
    turned, kept = _parted(x, share)
    return torch.cat([_turn(turned, base, width=x.shape[-1]), kept], dim=-1)


@rotate_a_share.mistake("You turned the last numbers and kept the first. Which ones does the task name?")
def the_last_turned(x, share, base):
    R = round(share * x.shape[-1])
    return torch.cat([x[..., :-R], _turn(x[..., -R:], base)], dim=-1)


@rotate_a_share.mistake(
    "Your pairs reach across the whole head, i and i + K/2: the fastest pairs of a whole head are turned, and the slow "
    "ones stay. Where does the partner of the first number stand, within the turned part?"
)
def pairs_of_the_whole_head(x, share, base):
    K, R = x.shape[-1], round(share * x.shape[-1])
    whole, first = _turn(x, base), torch.arange(K) % (K // 2) < R // 2
    return whole.where(first, x)


@rotate_a_share.mistake(
    "You paired neighbours, 2i and 2i + 1, within the turned part. Which two numbers make a pair in this layout?"
)
def neighbours_paired(x, share, base):
    turned, kept = _parted(x, share)
    order = torch.cat([turned[..., 0::2], turned[..., 1::2]], dim=-1)
    turned = torch.stack(_turn(order, base).chunk(2, dim=-1), dim=-1).flatten(-2)
    return torch.cat([turned, kept], dim=-1)


@rotate_a_share.mistake("You dropped what is not turned: K numbers came in. What do the others do?")
def the_rest_dropped(x, share, base):
    return _turn(_parted(x, share)[0], base)


@rotate_a_share.mistake("Your pairs turn the other way round. Which of the two sines has the minus sign?")
def turned_back(x, share, base):
    turned, kept = _parted(x.flip(-2), share)
    N, R = turned.shape[-2:]
    angle = -torch.arange(N)[:, None] * base ** (-torch.arange(0, R, 2) / R)
    a, b = _parted(x, share)[0].chunk(2, dim=-1)
    back = torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)
    return torch.cat([back, _parted(x, share)[1]], dim=-1)


@rotate_a_share.mistake(
    "You turned the first share of the *tokens*. Which axis of (B, H, N, K) holds the numbers of a head?"
)
def a_share_of_the_tokens(x, share, base):
    n = round(share * x.shape[-2])
    return torch.cat([_turn(x, base)[..., :n, :], x[..., n:, :]], dim=-2)


# ------------------------------------------------------------------------------------------------ a pattern for a cache

LAYERS, KV_HEADS, D_HEAD, CONTEXT, WINDOW, BUDGET = 48, 8, 128, 131_072, 1_024, 6.0
"""The model of exercise 12.5; its cache may have BUDGET GB (10⁹ bytes) in 16 bits."""


def cache_gb(pattern: str) -> float:
    """GB of the exercise's cache when its layers follow this pattern, repeated to the last one."""
    kinds = (pattern * LAYERS)[:LAYERS]
    tokens = kinds.count("G") * CONTEXT + kinds.count("L") * min(WINDOW, CONTEXT)
    return 2 * KV_HEADS * D_HEAD * 2 * tokens / 1e9


def _letters(answer):
    """The letters of a pattern, also where it was given as a ratio: "4 : 1" is "LLLLG"."""
    written = answer.strip().upper() if isinstance(answer, str) else ""
    ratio = re.fullmatch(r"(\d{1,2})\s*:\s*1", written)
    return "L" * int(ratio[1]) + "G" if ratio else written


def _judge_pattern(task, answer, _) -> Result:
    pattern = _letters(answer)
    if not re.fullmatch(r"L*GL*|L+", pattern) or len(pattern) > LAYERS:
        return task.result(
            "wrong",
            "not yet",
            f'A pattern with one global layer was asked for, such as "LG" or "1 : 1", and this is {a_thing(answer)}.',
        )
    gb, globals_ = cache_gb(pattern), (pattern * LAYERS)[:LAYERS].count("G")
    told = f"{globals_} of {LAYERS} layers are global, and the cache takes {gb:.2f} GB"
    if gb > BUDGET:
        return task.result(
            "wrong",
            f"not yet: {gb - BUDGET:.2f} GB over the budget",
            f"{told}. A global layer keeps {cache_gb('G') / LAYERS:.3f} GB, a local one {cache_gb('L') / LAYERS:.4f}: "
            "how many global ones can be paid?",
            mistake="over_the_budget",
        )
    if not globals_:
        return task.result(
            "wrong",
            "not yet: no layer sees far",
            f"{told}. {LAYERS} windows of {WINDOW:,} reach {LAYERS * (WINDOW - 1):,} tokens, and the text has "
            f"{CONTEXT:,}: which layer can look at its beginning when it is asked?",
            mistake="no_layer_sees_far",
        )
    denser = "L" * (len(pattern) - 2) + "G"
    if len(pattern) > 1 and cache_gb(denser) <= BUDGET:
        return task.result(
            "wrong",
            "not yet: more would fit",
            f"{told}, so that {BUDGET - gb:.2f} GB stay unused. What would one local layer less in the pattern cost?",
            mistake="more_would_fit",
        )
    return task.result("passed", "passes: it fits, and no denser pattern does", f"{told}. {task.then}")


@answer_exercise(
    stars=2,
    minutes=8,
    hint="How many GB does one global layer keep of the whole text, and how many one local layer of its window?",
    second_hint="A layer keeps a key and a value of 8 heads of 128 numbers for each token, two bytes a number: for "
    "131,072 tokens if it is global, for 1,024 if it is local. Divide the budget by what a global layer keeps; that "
    "many of the 48 may be global. The pattern is the shortest row of local layers before one global that has no more.",
    then="This is the reckoning behind 3 : 1 and 5 : 1: the cache is nearly that of the global layers alone.",
    judge=_judge_pattern,
)
def pattern_for_a_cache(layers=48, budget=6e9, context=131_072, window=1_024, heads=8, width=128):
    """The pattern, such as "LLG", with the fewest local layers before one global layer, repeated
    over all layers, whose cache in 16 bits for one text of `context` tokens fits into `budget`
    bytes."""
    a_token = 2 * heads * width * 2  # a key and a value, two bytes a number
    for local in range(layers):
        pattern = "L" * local + "G"
        kinds = (pattern * layers)[:layers]
        tokens = kinds.count("G") * context + kinds.count("L") * window
        if a_token * tokens <= budget:
            return pattern
