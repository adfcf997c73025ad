"""Exercises of lesson 09: positions told by distance, in a trained model too, and by rotation; RMSNorm, and a gate in
place of W^O alone."""

from functools import cache, partial

import numpy as np
import torch
from torch import nn

from mha_lab import models, tasks
from mha_lab.checks import pictures
from mha_lab.checks.class_key import sized
from mha_lab.checks.engine import exercise, seeded
from mha_lab.checks.in_model import model_exercise

# ----------------------------------------------------------------------------------------------------- distance bias


@exercise(
    stars=2,
    minutes=8,
    hint="Which numbers belong to a head, and which to a pair of tokens?",
    second_hint="There is one slope for each of the H heads, a power of 2 whose exponents go down in equal steps to "
    "−8. There is one distance for each of the N × N pairs: subtract a row of token numbers from a column of them, "
    "and leave out the sign. Give the slopes two more axes, so that every slope meets the whole table of distances.",
    then="Nothing here depends on how long a sentence may be: that is why it still works on longer ones.",
    cases=lambda: sized([(4, 6), (8, 5), (2, 3), (16, 4), (1, 5), (3, 4), (6, 5), (12, 3)]),
    parts={"bias": ("head", "query", "key")},
)
def distance_bias(num_heads, num_tokens):
    """What ALiBi adds to the scores, (H, N, N): −slope · |i − j| for query i and key j.
    The slopes of the H heads are 2^(−8/H), 2^(−16/H), …, 2^(−8)."""
    slope = 2.0 ** (-8 * torch.arange(1, num_heads + 1) / num_heads)
    i = torch.arange(num_tokens)
    return -slope[:, None, None] * (i[:, None] - i).abs()


def _slopes(num_heads):
    return 2.0 ** (-8 * torch.arange(1, num_heads + 1) / num_heads)[:, None, None]


def _steps(num_tokens):
    """(N, N) query − key."""
    i = torch.arange(num_tokens)
    return i[:, None] - i


@distance_bias.mistake(
    "Your bias grows with the distance. It is added to scores before the softmax: which sign makes a far token lose?"
)
def farther_is_better(num_heads, num_tokens):
    return _slopes(num_heads) * _steps(num_tokens).abs()


@distance_bias.mistake(
    "Keys behind the query lose and keys ahead of it win. This reader sees both sides: what makes i − j a distance?"
)
def signed_steps(num_heads, num_tokens):
    return -_slopes(num_heads) * _steps(num_tokens)


@distance_bias.mistake(
    "Keys ahead of the query lose and keys behind it win. This reader sees both sides: what makes j − i a distance?"
)
def signed_steps_ahead(num_heads, num_tokens):
    return _slopes(num_heads) * _steps(num_tokens)


@distance_bias.mistake(
    "Your exponents are −8, −8/2, −8/3 …: you divided by each head's own number. What stands below the line in "
    "2^(−16/H), and what above it?"
)
def divided_by_the_head(num_heads, num_tokens):
    return -(2.0 ** (-8 / torch.arange(1, num_heads + 1)))[:, None, None] * _steps(num_tokens).abs()


@distance_bias.mistake(
    "Your bias also hides what comes later, as in Press's language models. May a reader of whole sentences look ahead?"
)
def future_hidden(num_heads, num_tokens):
    bias = -_slopes(num_heads) * _steps(num_tokens).abs()
    return bias.masked_fill(_steps(num_tokens) < 0, -torch.inf)


@distance_bias.mistake(
    "Right for 8 heads, whose slopes are 1/2, 1/4, …, 1/256. Which power of 2 is the last of H slopes, for any H?"
)
def slopes_of_eight(num_heads, num_tokens):
    return -(0.5 ** torch.arange(1, num_heads + 1))[:, None, None] * _steps(num_tokens).abs()


@distance_bias.mistake("Your first slope is 1: you count heads from 0. What is the first slope of 8 heads?")
def heads_from_zero(num_heads, num_tokens):
    return -(2.0 ** (-8 * torch.arange(num_heads) / num_heads))[:, None, None] * _steps(num_tokens).abs()


@distance_bias.mistake(
    "Your slopes are right and stand in the other order. Which head has the steepest slope, 0 or the last?"
)
def slopes_turned_round(num_heads, num_tokens):
    return -_slopes(num_heads).flip(0) * _steps(num_tokens).abs()


@distance_bias.mistake(
    "You squared the distance. By how much should the score fall from 2 steps to 3, and from 3 to 4?"
)
def squared(num_heads, num_tokens):
    return -_slopes(num_heads) * _steps(num_tokens) ** 2


@distance_bias.mistake("You gave one map for all heads. What tells a head that looks near from one that looks far?")
def one_map(num_heads, num_tokens):
    return -_steps(num_tokens).abs().float()


@distance_bias.mistake(
    "Every head has the same map, with slope 1. What tells a head that looks near from one that looks far?"
)
def slope_one_for_all(num_heads, num_tokens):
    return -_steps(num_tokens).abs().expand(num_heads, -1, -1).float()


@distance_bias.mistake(
    "Right for 2, 4, 8 heads. For 6 you follow the rule of the paper's code (Press 2022): the slopes of 4 heads, then "
    "every other one of 8. Here one formula holds for every H: what is the first slope of 6 heads by it?"
)
def the_papers_rule(num_heads, num_tokens):
    lower = 2 ** (num_heads.bit_length() - 1)  # the power of 2 at or below
    slopes = torch.cat([_slopes(lower), _slopes(2 * lower)[0::2][: num_heads - lower]])
    return -slopes * _steps(num_tokens).abs()


# ----------------------------------------------------------------------------- a table of distances, in a trained model


def _table_cases():
    sizes = [(2, 1, 4), (4, 3, 6), (1, 2, 3), (3, 4, 12), (2, 5, 1), (5, 2, 7)]  # heads, reach, tokens
    return [(seeded(seed, (H, 2 * R + 1))[0], N) for seed, (H, R, N) in enumerate(sized(sizes))]


class _Given(nn.Module):
    """In place of a model's bias: what somebody made of its table for the longest sentence."""

    def __init__(self, bias: torch.Tensor):
        super().__init__()
        self.bias = bias

    def forward(self, num_tokens: int) -> torch.Tensor:
        return self.bias[:, :num_tokens, :num_tokens]


SENTENCES = 400  # of the test, none of them an ordinal: enough for two digits, read in a fifth of a second


@cache
def _sentences():
    """Batches of test sentences, of like length."""
    test = tasks.intents("test", language="zh")
    rows = torch.nonzero(~test.of_kind("ordinal")).flatten()[:SENTENCES]
    return [test.batch(some) for some in rows[test.everything.lengths[rows].argsort(stable=True)].split(100)]


def _reads(model, bias) -> float:
    """The share of the sentences that the model answers rightly with this bias (H, N, N)."""
    own, model.bias = model.bias, _Given(torch.as_tensor(np.ascontiguousarray(bias), dtype=torch.float32))
    try:
        return sum(int(model.right(batch).sum()) for batch in _sentences()) / SENTENCES
    finally:
        model.bias = own


def _of_the_trained_model(model):
    """The call inside the model, or a sentence where something else was handed over."""
    if not isinstance(getattr(model, "bias", None), models.RelativeBias):
        return (
            "The check takes your function and the trained model that has such a table: "
            '`checks.relative_bias(relative_bias, trained["relative"])`. Is the second argument another model?'
        )
    return model.bias.table.detach(), max(int(batch.lengths.max()) for batch in _sentences())


def _what_it_reads(yours, target, model):
    mine, right, none = (_reads(model, bias) for bias in (yours[0], target[0], np.zeros_like(target[0])))
    said = f"Inside the trained model: with your bias it reads {mine:.2f} of {SENTENCES} test sentences rightly"
    if np.allclose(yours[0], target[0], atol=1e-4):
        return f"{said}, as with ours; with no bias at all {none:.2f}."
    noticed = "" if right - mine > 0.02 else " That a model hardly notices a mistake does not make it right."
    return f"{said}, with ours {right:.2f}, with no bias at all {none:.2f}.{noticed}"


@model_exercise(
    stars=2,
    minutes=8,
    hint="Token 5 asks and token 3 is looked at: which distance is that, and in which column of the table does it "
    "stand, if the middle one is for 0?",
    second_hint="Make the N × N distances, key number minus query number. Cut what is beyond −R or R back to −R or R: "
    "`clamp` does that. Add R, for columns count from 0 at distance −R. With that N × N tensor of columns index the "
    "second axis of the table; the first stays as it is.",
    then="The table has H · (2R + 1) numbers, however long the sentence is; the bias that is made of it has H · N².",
    cases=_table_cases,
    parts={"bias": ("head", "query", "key")},
    inside=_of_the_trained_model,
    says=_what_it_reads,
    shows=lambda yours, target, model: pictures.score_maps(yours[0][0, :8, :8], target[0][0, :8, :8]),
)
def relative_bias(table, num_tokens):
    """table (H, 2R + 1): what head h adds to a score at the distances −R … R, key minus query
    → the bias (H, N, N) of num_tokens tokens. Beyond R, and beyond −R, the last number holds."""
    reach = table.shape[1] // 2
    i = torch.arange(num_tokens)
    distance = (i - i[:, None]).clamp(-reach, reach)
    return table[:, distance + reach]


def _distance(num_tokens):
    """(N, N) key − query."""
    i = torch.arange(num_tokens)
    return i - i[:, None]


@relative_bias.mistake(
    "Your distances have the other sign: heads that should look back look ahead. Rows are queries and columns are "
    "keys: which of the two is subtracted?"
)
def distances_turned(table, num_tokens):
    R = table.shape[1] // 2
    return table[:, -_distance(num_tokens).clamp(-R, R) + R]


@relative_bias.mistake(
    "You took the distance without its sign, so that before and after are one to your heads. Which half of the table "
    "was never read?"
)
def distances_without_sign(table, num_tokens):
    R = table.shape[1] // 2
    return table[:, _distance(num_tokens).abs().clamp(max=R) + R]


def _not_cut(table, num_tokens, both):
    R = table.shape[1] // 2
    distance = _distance(num_tokens)
    return table[:, (distance if both else distance.clamp(max=R)) + R]


for _both in (True, False):
    relative_bias.mistake(
        "Right while the sentence is short. A distance beyond the table has no column of its own, and a negative "
        "index counts from the end: which column should the distances beyond R take, and which those beyond −R?"
    )(partial(_not_cut, both=_both))


@relative_bias.mistake(
    "Beyond the table your distances begin at its other end again, as on a clock. Is the farthest key behind a query "
    "like the farthest one ahead?"
)
def round_the_clock(table, num_tokens):
    return table[:, (_distance(num_tokens) + table.shape[1] // 2) % table.shape[1]]


def _beyond(table, num_tokens, number):
    R = table.shape[1] // 2
    distance = _distance(num_tokens)
    return relative_bias.solution(table, num_tokens).where(distance.abs() <= R, number)


@relative_bias.mistake(
    "Beyond the table you add nothing. In a head whose numbers fall with the distance, which keys does 0 then favour?"
)
def nothing_beyond(table, num_tokens):
    return _beyond(table, num_tokens, 0.0)


@relative_bias.mistake(
    "Beyond the table you hide the keys: that is a window, as in lesson 10. May a query look farther than R here?"
)
def hidden_beyond(table, num_tokens):
    return _beyond(table, num_tokens, -torch.inf)


@relative_bias.mistake(
    "Your distance 0 reads column 0, and negative ones count from the end. In which column stands distance −R, and in "
    "which one therefore 0?"
)
def columns_from_zero(table, num_tokens):
    R = table.shape[1] // 2
    return table[:, _distance(num_tokens).clamp(-R, R)]


@relative_bias.mistake("Your columns are off by one. Of 2R + 1 columns counted from 0, which is the middle one?")
def off_by_one(table, num_tokens):
    R = table.shape[1] // 2
    return table[:, (_distance(num_tokens).clamp(-R, R) + R - 1).clamp(min=0)]


@relative_bias.mistake(
    "Every key ahead of the query got the middle column. Of 2R + 1 columns counted from 0, which number has the last?"
)
def cut_at_the_middle(table, num_tokens):
    R = table.shape[1] // 2
    return table[:, (_distance(num_tokens) + R).clamp(0, R)]


@relative_bias.mistake("Your numbers are right and the axis of the heads stands last. Where has (H, N, N) it?")
def heads_last(table, num_tokens):
    return relative_bias.solution(table, num_tokens).permute(1, 2, 0)


# ----------------------------------------------------------------------------------------------- rotary positions


def _rotary_cases():
    shapes = [(1, 2, 3, 4), (2, 3, 5, 8), (1, 1, 6, 2), (2, 2, 4, 6), (1, 4, 7, 16), (3, 2, 2, 4)]
    shapes = sized(shapes, fixed=(3,))
    return [(*seeded(seed, shape), base) for seed, (shape, base) in enumerate(zip(shapes, (10.0, 100.0) * 3))]


@exercise(
    stars=2,
    minutes=12,
    hint="How many pairs has a head of K numbers, and by which angle does pair i turn at position n?",
    second_hint="There are K/2 pairs, and each has a rate, a power of the base. Positions times rates is a table of "
    "angles (N, K/2), the same for every head and sentence. The first numbers of all pairs are the first half of the "
    "features, the second ones the other half. A pair (a, b) turned by an angle is (a cos − b sin, a sin + b cos); "
    "put the two halves side by side again.",
    then="Turning changes no length, and the product of a query and a key changes with their distance alone.",
    cases=_rotary_cases,
    parts={"turned": ("batch", "head", "token", "feature")},
)
def rotate_by_position(x, base):
    """Rotary positions: in x (B, H, N, K), turn the pair of numbers i and i + K/2 of the token at
    position n = 0, 1 … by the angle n · base^(−2i/K), for i = 0 … K/2 − 1."""
    N, K = x.shape[-2:]
    rate = base ** (-torch.arange(0, K, 2) / K)
    angle = torch.arange(N)[:, None] * rate
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def _angles(x, base, first=0):
    N, K = x.shape[-2:]
    return torch.arange(first, first + N)[:, None] * base ** (-torch.arange(0, K, 2) / K)


def _turned(x, angle):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)


@rotate_by_position.mistake(
    "Every pair turns the other way round. Scores would still be relative, but trained weights expect this one: which "
    "of the two sines has the minus sign?"
)
def turned_back(x, base):
    return _turned(x, -_angles(x, base))


@rotate_by_position.mistake(
    "You paired neighbours, 2i and 2i + 1, as the paper does. Which two numbers make a pair in this layout?"
)
def neighbours_paired(x, base):
    angle = _angles(x, base)
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1).flatten(-2)


@rotate_by_position.mistake(
    "The right pairs were turned by the right angles, and then laid down as neighbours. Where did the second number of "
    "a pair stand before?"
)
def laid_down_as_neighbours(x, base):
    return torch.stack(_turned(x, _angles(x, base)).chunk(2, dim=-1), dim=-1).flatten(-2)


@rotate_by_position.mistake(
    "All pairs turn equally fast, by n itself. What makes one pair good for near tokens and another for far ones?"
)
def one_rate(x, base):
    N, K = x.shape[-2:]
    return _turned(x, torch.arange(N)[:, None] * torch.ones(K // 2))


@rotate_by_position.mistake(
    "Your exponent is −i/K, half of what it should be: the slowest pair turns too fast. How does i count the pairs?"
)
def half_the_exponent(x, base):
    N, K = x.shape[-2:]
    return _turned(x, torch.arange(N)[:, None] * base ** (-torch.arange(K // 2) / K))


@rotate_by_position.mistake("Your later pairs turn faster and faster. Which sign has the exponent of the base?")
def faster_and_faster(x, base):
    N, K = x.shape[-2:]
    return _turned(x, torch.arange(N)[:, None] * base ** (torch.arange(0, K, 2) / K))


@rotate_by_position.mistake("Your rates are right and stand in the other order. Which pair turns fastest, the first?")
def slowest_first(x, base):
    return _turned(x, _angles(x, base).flip(-1))


@rotate_by_position.mistake("You count the positions from 1. By how much is the first token turned?")
def positions_from_one(x, base):
    return _turned(x, _angles(x, base, first=1))


@rotate_by_position.mistake(
    "You turned each head by its number and all its tokens alike. Which axis of (B, H, N, K) counts the positions?"
)
def heads_for_positions(x, base):
    return _turned(x.transpose(1, 2), _angles(x.transpose(1, 2), base)).transpose(1, 2)


@rotate_by_position.mistake(
    "Both sines have the same sign, so that lengths change: that is no rotation. What is (1, 0) turned by 90 degrees, "
    "and (0, 1)?"
)
def no_minus(x, base):
    angle = _angles(x, base)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angle.cos() + b * angle.sin(), a * angle.sin() + b * angle.cos()], dim=-1)


@rotate_by_position.mistake(
    "You added cosines and sines, as an absolute position embedding does. What happens to the two numbers of a pair "
    "when they are turned?"
)
def added_waves(x, base):
    angle = _angles(x, base)
    return x + torch.cat([angle.cos(), angle.sin()], dim=-1)


# ------------------------------------------------------------------------------------------------------------ RMSNorm


def _norm_cases():
    cases = []
    sizes = [(2, 3, 4, 1e-5), (1, 4, 8, 1e-5), (3, 2, 5, 0.1), (2, 2, 16, 1e-5), (2, 4, 6, 0.5), (1, 4, 4, 0.1)]
    for seed, (B, N, D, eps) in enumerate(sized(sizes)):
        x, gain = seeded(seed, (B, N, D), (D,))
        cases.append((x + 0.7, 1 + 0.3 * gain, eps))
    return cases


@exercise(
    stars=1,
    minutes=8,
    hint="How large are the features of one token on average, if their signs must not cancel?",
    second_hint="Square the features, take their mean for each token and keep that axis (`keepdim=True`), add eps, "
    "and take the root: each token is divided by its own number. Then every feature has its gain.",
    then="LayerNorm also subtracts the mean and adds a shift. Without both there is less to compute and to learn.",
    cases=_norm_cases,
    parts={"normalised": ("batch", "token", "feature")},
)
def rms_norm(x, gain, eps):
    """RMSNorm: every token of x (B, N, D) over its root mean square √(mean of x² + eps),
    taken over its D features, then times gain (D,)."""
    rms = (x.square().mean(dim=-1, keepdim=True) + eps).sqrt()
    return x / rms * gain


def _over(x, mean_square, gain, eps):
    return x / (mean_square + eps).sqrt() * gain


@rms_norm.mistake("That is LayerNorm without its shift: you subtracted the mean. Where does RMSNorm use a mean of x?")
def layer_norm(x, gain, eps):
    centred = x - x.mean(dim=-1, keepdim=True)
    return _over(centred, centred.square().mean(dim=-1, keepdim=True), gain, eps)


@rms_norm.mistake(
    "You divided by the standard deviation, which is taken about the mean. Which mean is there in a root mean square?"
)
def over_the_deviation(x, gain, eps):
    return _over(x, x.var(dim=-1, keepdim=True, correction=0), gain, eps)


def _length_for_mean(x, gain, eps, kept):
    return _over(x, x.square().sum(dim=-1, keepdim=True), gain, kept * eps)


for _kept in (1, 0):  # eps is often left for later
    rms_norm.mistake(
        "You divided by the length of each token's vector: √D times too much. Do the squares add up or average?"
    )(partial(_length_for_mean, kept=_kept))


@rms_norm.mistake("You took the mean over the tokens. Whose size should one token's vector be divided by?")
def over_tokens(x, gain, eps):
    return _over(x, x.square().mean(dim=1, keepdim=True), gain, eps)


@rms_norm.mistake("You took one mean over tokens and features. Should a token's result depend on its neighbours?")
def over_all(x, gain, eps):
    return _over(x, x.square().mean(dim=(1, 2), keepdim=True), gain, eps)


@rms_norm.mistake("The size is right and what is learned is missing. Where does gain come in?")
def no_gain(x, gain, eps):
    return _over(x, x.square().mean(dim=-1, keepdim=True), 1, eps)


@rms_norm.mistake("You divided by the mean square. In which unit is it, and in which is x?")
def no_root(x, gain, eps):
    return x / (x.square().mean(dim=-1, keepdim=True) + eps) * gain


@rms_norm.mistake(
    "You multiplied by the root mean square: every token got larger or smaller where it should come to one size. "
    "`rsqrt` is 1 / √ already: what does a division by it do?"
)
def multiplied_by_the_root(x, gain, eps):
    return x * (x.square().mean(dim=-1, keepdim=True) + eps).sqrt() * gain


@rms_norm.mistake(
    "Right where eps is tiny: yours does not depend on `eps`. Where does the number come in that the caller gives?"
)
def eps_not_used(x, gain, eps):
    return _over(x, x.square().mean(dim=-1, keepdim=True), gain, 1e-6)


@rms_norm.mistake(
    "You multiplied by 1 + gain, as Gemma does, whose gain is learned from 0 on. What does this formula multiply by?"
)
def one_plus_gain(x, gain, eps):
    return _over(x, x.square().mean(dim=-1, keepdim=True), 1 + gain, eps)


@rms_norm.mistake("You divided by gain. What does the formula do with it?")
def over_gain(x, gain, eps):
    return _over(x, x.square().mean(dim=-1, keepdim=True), 1 / gain, eps)


@rms_norm.mistake("Right where eps is tiny: you added it after the root. Where does the formula have it?")
def eps_after_the_root(x, gain, eps):
    return x / (x.square().mean(dim=-1, keepdim=True).sqrt() + eps) * gain


def _over_a_samples_deviation(x, gain, eps, inside):
    if inside:
        return _over(x, x.var(dim=-1, keepdim=True), gain, eps)
    return x / (x.std(dim=-1, keepdim=True) + eps) * gain


for _inside in (True, False):
    rms_norm.mistake(
        "You divided by torch's `std`, which is taken about the mean and divides by D − 1. What is averaged in a root "
        "mean square, and over how many numbers?"
    )(partial(_over_a_samples_deviation, inside=_inside))


def _over_the_whole_tensor(x, gain, eps, kept):
    return _over(x, x.square().mean(), gain, kept * eps)


for _kept in (1, 0):
    rms_norm.mistake(
        "You took one mean of the whole tensor, batch and all. Whose size should one token's vector be divided by?"
    )(partial(_over_the_whole_tensor, kept=_kept))


# ------------------------------------------------------------------------------------------------------- gated fusion


def _fusion_cases():
    shapes = [(2, 3, 4), (1, 5, 8), (3, 2, 6), (2, 4, 4), (1, 1, 12)]
    return [tuple(seeded(seed, (B, N, D), (D, D), (D, D))) for seed, (B, N, D) in enumerate(sized(shapes))]


@exercise(
    stars=2,
    minutes=10,
    hint="Both linear maps read the same c: which of the two results must lie between 0 and 1?",
    second_hint="nn.Linear multiplies by its weight transposed; do so with each of the two weights. Around the gate's "
    "result goes a sigmoid. Then multiply the two results number by number: that is no matrix product.",
    then="It costs d_model² more parameters. Whether that pays, only a run with as many parameters elsewhere can tell.",
    cases=_fusion_cases,
    parts={"fused": ("batch", "token", "feature")},
)
def gated_fusion(concat, output_weight, gate_weight):
    """A gated linear unit in place of W^O alone: σ(W^G c) ⊙ (W^O c) for every token c of
    concat (B, N, D). Both weights are (D, D), stored as nn.Linear stores them."""
    gate = (concat @ gate_weight.T).sigmoid()
    return gate * (concat @ output_weight.T)


@gated_fusion.mistake(
    "Your gate is missing its sigmoid: it can turn signs and grow. Between which numbers does a gate lie?"
)
def no_sigmoid(concat, output_weight, gate_weight):
    return (concat @ gate_weight.T) * (concat @ output_weight.T)


@gated_fusion.mistake("Gate and output changed places: σ stands around W^O c. Which of the two should lie from 0 to 1?")
def roles_swapped(concat, output_weight, gate_weight):
    return (concat @ output_weight.T).sigmoid() * (concat @ gate_weight.T)


@gated_fusion.mistake(
    "You multiplied by the weights as they are stored. nn.Linear stores (out, in): what does it do with its weight?"
)
def not_transposed(concat, output_weight, gate_weight):
    return (concat @ gate_weight).sigmoid() * (concat @ output_weight)


def _one_not_transposed(concat, output_weight, gate_weight, gate):
    inner, outer = (gate_weight, output_weight.T) if gate else (gate_weight.T, output_weight)
    return (concat @ inner).sigmoid() * (concat @ outer)


for _gate in (True, False):
    gated_fusion.mistake(
        "One of the two weights was multiplied as it is stored. nn.Linear stores (out, in), both of them: what does it "
        "do with its weight?"
    )(partial(_one_not_transposed, gate=_gate))


@gated_fusion.mistake(
    "Your gate is SiLU, x · σ(x), as in SwiGLU: it can grow beyond 1. Which function stays between 0 and 1?"
)
def silu_for_sigmoid(concat, output_weight, gate_weight):
    return torch.nn.functional.silu(concat @ gate_weight.T) * (concat @ output_weight.T)


@gated_fusion.mistake(
    "Your gate is a tanh: it lies from −1 to 1, and turns signs. Which function stays between 0 and 1?"
)
def tanh_for_sigmoid(concat, output_weight, gate_weight):
    return (concat @ gate_weight.T).tanh() * (concat @ output_weight.T)


@gated_fusion.mistake(
    "Your gate stands before W^O: it opens and shuts the features of the heads. What does the formula multiply with it?"
)
def gate_before_output(concat, output_weight, gate_weight):
    return ((concat @ gate_weight.T).sigmoid() * concat) @ output_weight.T


@gated_fusion.mistake("Your gate reads W^O c instead of c. What are the inputs of both linear maps?")
def gate_reads_the_output(concat, output_weight, gate_weight):
    output = concat @ output_weight.T
    return (output @ gate_weight.T).sigmoid() * output


@gated_fusion.mistake(
    "Your gates share a softmax: if one opens, others must shut. Which function opens each by itself?"
)
def softmax_for_sigmoid(concat, output_weight, gate_weight):
    return (concat @ gate_weight.T).softmax(dim=-1) * (concat @ output_weight.T)


@gated_fusion.mistake(
    "What your gate shuts out is replaced by c itself, as in a highway network. What does a GLU put there?"
)
def highway(concat, output_weight, gate_weight):
    gate = (concat @ gate_weight.T).sigmoid()
    return gate * (concat @ output_weight.T) + (1 - gate) * concat


@gated_fusion.mistake("That is W^O alone. What does the gate do to each feature of it?")
def no_gate(concat, output_weight, gate_weight):
    return concat @ output_weight.T
