"""Exercises of lesson 01: one query, the causal mask, attention under a mask, one head of a trained layer, and a
temperature for a wanted entropy."""

import math
from functools import partial

import torch

from mha_lab import pretrained
from mha_lab.checks import pictures
from mha_lab.checks.class_key import generator, sized, some
from mha_lab.checks.engine import exercise, seeded


def one_query_cases():
    # No two of S, K, V agree, but for one case in which all do.
    sizes = [(3, 4, 2), (5, 16, 3), (7, 2, 4), (1, 5, 3), (4, 4, 4)]
    return [tuple(seeded(seed, (K,), (S, K), (S, V), spread=1.5)) for seed, (S, K, V) in enumerate(sized(sizes))]


@exercise(
    stars=1,
    minutes=5,
    hint="How many scores are there, and what makes of them weights that sum to 1?",
    second_hint="Three steps. First a dot product of each key with the query, divided by the root of the query's "
    "length: a matrix times a vector gives all S of them at once. Then softmax over the keys. Then the rows of "
    "`values`, added up, each as much as its weight says: a vector times a matrix.",
    then="The output lies between the values: an attention weight never exceeds 1 and is never negative.",
    cases=one_query_cases,
    parts={"output": ("feature",)},
    sizes=lambda query, keys, values: {"K": len(query), "S": len(keys), "V": values.shape[1]},
    at_scale=lambda scale, query, keys, values: (keys @ query / scale).softmax(0) @ values,
)
def one_query(query, keys, values):
    """query (K,), keys (S, K), values (S, V) → output (V,): the average of the values,
    weighted by softmax(keys · query / √K)."""
    scores = keys @ query / query.shape[0] ** 0.5
    weights = scores.softmax(dim=0)
    return weights @ values


@one_query.mistake(
    "Your largest weight is larger than it should be, as if the scores had not been scaled. "
    "By what does the formula divide them?"
)
def no_scale(query, keys, values):
    return (keys @ query).softmax(0) @ values


@one_query.mistake("Your weights are too even: the scores were divided by K itself. What of K stands in the formula?")
def scaled_by_k(query, keys, values):
    return (keys @ query / len(query)).softmax(0) @ values


@one_query.mistake(
    "Your weights are sharper than with no scale at all: the scores grew. Does 1/√K multiply the scores, or divide "
    "them?"
)
def scale_upside_down(query, keys, values):
    return (keys @ query * len(query) ** 0.5).softmax(0) @ values


@one_query.mistake(
    "Your weights are the scaled scores themselves: some are negative, and they do not sum to 1. "
    "What turns any numbers into weights for an average?"
)
def no_softmax(query, keys, values):
    return keys @ query / len(query) ** 0.5 @ values


@one_query.mistake(
    "Your weights sum to 1, but some are negative: the scores were divided by their sum. "
    "Which function makes every score positive before the division?"
)
def no_exponential(query, keys, values):
    scores = keys @ query / len(query) ** 0.5
    return scores / scores.sum() @ values


@one_query.mistake(
    "Your output is the plain sum of the values: every weight is 1. "
    "Over which axis did softmax run, and how many numbers were there to share the 1?"
)
def softmax_over_the_wrong_axis(query, keys, values):
    return (keys @ query / len(query) ** 0.5)[None].softmax(0)[0] @ values


@one_query.mistake(
    "The scores were divided by 2 in every call. √4 is 2, and right for K = 4 alone: what gives the length of the "
    "query?"
)
def root_of_four(query, keys, values):
    return (keys @ query / 2).softmax(0) @ values


@one_query.mistake(
    "The scale is the root of the number of keys. Over how many products does one dot product sum: over the keys, or "
    "over their features?"
)
def scaled_by_the_number_of_keys_here(query, keys, values):
    return (keys @ query / len(keys) ** 0.5).softmax(0) @ values


@one_query.mistake(
    "The scores were divided by 2·K. Did you write `/ K**1/2`? Python reads it as (… / K¹) / 2: how do you write the "
    "exponent ½ so that it stays one?"
)
def half_of_k(query, keys, values):
    return (keys @ query / len(query) / 2).softmax(0) @ values


@one_query.mistake(
    "The scores were divided by K / 2. Did you write `K**1/2`? Python reads it as (K¹) / 2: how do you write the root?"
)
def k_over_two(query, keys, values):
    return (keys @ query / (len(query) / 2)).softmax(0) @ values


@one_query.mistake(
    "Your scores are K times too small: the products of query and key were averaged, or divided by K besides √K. Does "
    "a dot product add up or average?"
)
def mean_for_the_dot_product(query, keys, values):
    return (keys @ query / len(query) ** 1.5).softmax(0) @ values


@one_query.mistake(
    "Your output is S times too small: the weighted values were averaged. The weights sum to 1 already: is there still "
    "something to divide by?"
)
def averaged_once_more(query, keys, values):
    return one_query.solution(query, keys, values) / len(keys)


@one_query.mistake(
    "Your output is the value of the best key alone: all weight lies on it. What lets the other keys have a say, each "
    "by its score?"
)
def only_the_best(query, keys, values):
    return values[(keys @ query).argmax()]


def _not_shared_out(query, keys, values, scaled):
    return (keys @ query / (len(query) ** 0.5 if scaled else 1)).exp() @ values


for _scaled in (True, False):
    one_query.mistake(
        "Your weights are exp(score): positive, and they do not sum to 1. By what does softmax divide them?"
    )(partial(_not_shared_out, scaled=_scaled))


@one_query.mistake(
    "Your output is the plain mean of the values, whatever query and keys are. Where does the query come in?"
)
def all_weights_alike(query, keys, values):
    return values.mean(0)


@one_query.mistake(
    "Your output is an average of the keys. A key says where to look: what is it that gets fetched?",
)
def weights_on_the_keys(query, keys, values):
    return (keys @ query / len(query) ** 0.5).softmax(0) @ keys


@one_query.mistake(
    "You returned the S weights. They say how much of each value is wanted: which step takes it and adds it up?"
)
def weights_for_the_output(query, keys, values):
    return (keys @ query / len(query) ** 0.5).softmax(0)


@one_query.mistake(
    "Your output is √K times too small: the weights were divided by √K after the softmax, and sum to 1/√K. Which "
    "numbers does the scale belong to, the scores or the weights?"
)
def scaled_after_the_softmax(query, keys, values):
    return (keys @ query).softmax(0) / len(query) ** 0.5 @ values


@one_query.mistake(
    "Your scores are right, and the weights were divided by √K once more, after the softmax. What do weights have to "
    "sum to?"
)
def scaled_twice(query, keys, values):
    return one_query.solution(query, keys, values) / len(query) ** 0.5


@exercise(
    stars=1,
    minutes=5,
    hint="Take n = 3 and write down the rows: which words may word 0, word 1 and word 2 see?",
    second_hint="A key is allowed where its number is not larger than the query's. `torch.arange` numbers the "
    "words; as a row and as a column, compared, it gives all n × n answers at once. `torch.tril` is another way: it "
    "keeps the lower triangle of a square.",
    then="Row 0 has one True. In a causal model the first word can only look at itself.",
    cases=lambda: [(n + some(0, 12),) for n in (6, 1, 2, 3, 9)],
    parts={"mask": ("query", "key")},
    picture=lambda yours, target, n: pictures.mask_maps(yours[0], target[0]),
    draw_pass=True,
)
def causal_mask(n):
    """n → boolean (n, n), True where the query (row) may attend to the key (column):
    itself and everything before it."""
    position = torch.arange(n)
    return position[None, :] <= position[:, None]


@causal_mask.mistake(
    "Everything is the wrong way round: the past is False and the future True. "
    "What does True mean in this course, and in F.scaled_dot_product_attention: may attend, or is hidden?"
)
def inverted(n):
    return torch.ones(n, n, dtype=torch.bool).triu(1)


@causal_mask.mistake(
    "Each word sees itself and what comes after it. A row is a query, a column a key: which of the two has to be "
    "earlier?"
)
def future_instead_of_past(n):
    return torch.ones(n, n, dtype=torch.bool).triu()


@causal_mask.mistake(
    "Every word sees every word. Which of them stand after it, and are not written yet?",
)
def nothing_hidden(n):
    return torch.ones(n, n, dtype=torch.bool)


@causal_mask.mistake(
    "The diagonal is False, so no word sees itself and row 0 is empty. What would softmax do with a row of nothing?"
)
def without_itself(n):
    return torch.ones(n, n, dtype=torch.bool).tril(-1)


@causal_mask.mistake(
    "Your mask holds the numbers 0 and 1, in the right places. Adding it to the scores would run and hide nothing: "
    "how do you make it boolean?"
)
def zeros_and_ones(n):
    return torch.ones(n, n).tril()


@causal_mask.mistake(
    "Your mask holds 0 and −∞, ready to be added to the scores. That is how it is used; here the question is only "
    "who may look. Which places would be True?"
)
def zeros_and_minus_infinity(n):
    return torch.full((n, n), -math.inf).triu(1)


@causal_mask.mistake(
    "Each word sees one word of the future: `tril(1)` keeps one diagonal too many. Which number names the main "
    "diagonal?"
)
def one_diagonal_too_many(n):
    return torch.ones(n, n, dtype=torch.bool).tril(1)


def masked_attention_cases():
    cases = []
    sizes = [(4, 6, 8, 3), (3, 5, 2, 4), (6, 4, 5, 2), (5, 5, 3, 3), (7, 3, 16, 6)]
    for seed, (N, S, K, V) in enumerate(sized(sizes)):
        query, key, value = seeded(seed, (N, K), (S, K), (S, V), spread=1.5)
        cases.append((query, key, value, _some_allowed(seed, N, S)))
    return cases


def _some_allowed(seed, N, S):
    """A random mask (N, S) in which every row and every column has a True and a False: nothing is fully masked."""
    dice = generator(seed)
    while True:
        mask = torch.rand(N, S, generator=dice) < 0.6
        if all(side.any(axis).all() for side in (mask, ~mask) for axis in (0, 1)):
            return mask


@exercise(
    stars=2,
    minutes=10,
    hint="When must the hidden keys drop out, so that the others share the whole weight, before softmax or after it?",
    second_hint="Between the scale and softmax: each score whose mask is False becomes −∞, and exp(−∞) is 0. A "
    "tensor's method `masked_fill` puts a number wherever a boolean tensor is True, and `~` exchanges True and False.",
    then="This is mha_lab.attention, but for two things: any number of dimensions in front, and rows that may see "
    "nothing.",
    cases=masked_attention_cases,
    parts={"output": ("query", "feature"), "weights": ("query", "key")},
    blame=("weights", "output"),
    sizes=lambda query, key, value, mask: {"d_head": query.shape[1], "queries": len(query), "keys": len(key)},
    picture=lambda yours, target, query, key, value, mask: pictures.weight_maps(yours[1], target[1], mask.numpy()),
)
def masked_attention(query, key, value, mask):
    """query (N, K), key (S, K), value (S, V), boolean mask (N, S), True = may attend
    → output (N, V), weights (N, S). Every query may attend to at least one key."""
    scores = query @ key.mT / query.shape[-1] ** 0.5
    weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    return weights @ value, weights


def _scores(query, key):
    return query @ key.mT / query.shape[-1] ** 0.5


def _finish(scores, value, mask, dim=-1):
    weights = scores.masked_fill(~mask, -torch.inf).softmax(dim)
    return weights @ value, weights


@masked_attention.mistake(
    "All your weight is on the keys that are hidden, and none on the allowed ones. "
    "True = may attend: which scores should become −∞, those at True or those at False?"
)
def mask_inverted(query, key, value, mask):
    return _finish(_scores(query, key), value, ~mask)


@masked_attention.mistake(
    "Hidden keys get weight 0, but your rows sum to less than 1: the mask came after softmax had shared the weight "
    "out. What if the hidden keys were out of the game before the sharing?"
)
def masked_after_softmax(query, key, value, mask):
    weights = _scores(query, key).softmax(-1) * mask
    return weights @ value, weights


@masked_attention.mistake(
    "Hidden keys still get weight: their score is 0, and exp(0) is 1. Which score gives a weight of 0?"
)
def score_zero(query, key, value, mask):
    weights = (_scores(query, key) * mask).softmax(-1)
    return weights @ value, weights


@masked_attention.mistake(
    "Your weights are NaN: 0 · −∞ is not 0. How can −∞ be put where the mask is False without multiplying by it?"
)
def multiplied_by_infinity(query, key, value, mask):
    weights = (_scores(query, key) + ~mask * -torch.inf).softmax(-1)
    return weights @ value, weights


@masked_attention.mistake(
    "Your columns sum to 1, and your rows do not: the queries share each key. Over which axis should softmax run, "
    "so that each query shares its weight among the keys?"
)
def softmax_over_queries(query, key, value, mask):
    return _finish(_scores(query, key), value, mask, dim=0)


@masked_attention.mistake(
    "The mask was added to the scores as 0 and 1: a hidden key has a score only 1 lower than before. Which number, "
    "added to a score, leaves a weight of 0?"
)
def mask_added_as_numbers(query, key, value, mask):
    weights = (_scores(query, key) + mask).softmax(-1)
    return weights @ value, weights


@masked_attention.mistake(
    "The mask was turned: a query may see what its key should have seen. In mask (N, S), is a row a query or a key?"
)
def mask_transposed(query, key, value, mask):
    return _finish(_scores(query, key), value, mask.T)


@masked_attention.mistake("Your hidden keys get weight, as if there were no mask. Where does `mask` enter your code?")
def mask_forgotten(query, key, value, mask):
    return _finish(_scores(query, key), value, torch.ones_like(mask))


@masked_attention.mistake(
    "The mask is right and the weights are too sharp: these are softmax weights of unscaled scores. "
    "By what does equation 1 of Attention Is All You Need divide?"
)
def masked_without_scale(query, key, value, mask):
    return _finish(query @ key.mT, value, mask)


@masked_attention.mistake(
    "The mask is right and the weights are too even: the scores were divided by K. "
    "Is it the variance or the spread of q·k that you want to bring back to 1?"
)
def masked_and_scaled_by_k(query, key, value, mask):
    return _finish(query @ key.mT / query.shape[-1], value, mask)


@masked_attention.mistake(
    "The mask is right, and the scale follows the number of keys instead of their width. "
    "Over how many products does one dot product sum?"
)
def scaled_by_the_number_of_keys(query, key, value, mask):
    return _finish(query @ key.mT / len(key) ** 0.5, value, mask)


@masked_attention.mistake("Both results are right and come in the other order. Which one does the task name first?")
def weights_first(query, key, value, mask):
    return _finish(_scores(query, key), value, mask)[::-1]


def _scores_as_weights(query, key, value, mask, log):
    output, weights = masked_attention.solution(query, key, value, mask)
    if log:
        return output, weights.log()
    return output, _scores(query, key).masked_fill(~mask, -torch.inf)


masked_attention.mistake(
    "You returned the scores after the mask; the weights are their softmax. Which of your variables holds numbers that "
    "sum to 1?"
)(partial(_scores_as_weights, log=False))


@masked_attention.mistake(
    "Your weights are logarithms, as `log_softmax` gives them: −∞ where a weight is 0. Which function gives the "
    "weights themselves?"
)
def log_weights(query, key, value, mask):
    return _scores_as_weights(query, key, value, mask, log=True)


@masked_attention.mistake(
    "You used the logarithms of the weights, as `log_softmax` gives them, to average the values. Which function gives "
    "weights that sum to 1?"
)
def averaged_with_log_weights(query, key, value, mask):
    weights = masked_attention.solution(query, key, value, mask)[1].log()
    return weights @ value, weights


HEADS, HEAD = 12, 3  # of the recorded layer; head 3 of layer 1 in lesson 00


def head_weights_cases():
    """The trained layer first, whose map is drawn; then random ones, no head as wide as there are heads."""
    query, key, _ = pretrained.recorded_projection()
    sizes = sized([(5, 6, 1, 2), (4, 8, 2, 3), (6, 2, 0, 4), (3, 3, 2, 5)])
    sizes = [(N, K * H, head % H, H) for N, K, head, H in sizes]
    random = [(*seeded(i, (N, D), (N, D), spread=1.5), head, H) for i, (N, D, head, H) in enumerate(sizes)]
    return [(query, key, HEAD, HEADS), *random]


def _head_picture(yours, target, query, key, head, num_heads):
    return pictures.sentence_maps(yours[0], target[0], pretrained.recorded_projection()[2])


def _cut(tensor, head, num_heads):
    """The columns (N, K) of one head."""
    return tensor.chunk(num_heads, dim=1)[head]


def _weights_of(query, key, K):
    return (query @ key.mT / K**0.5).softmax(-1)


@exercise(
    stars=2,
    minutes=10,
    hint="How many columns has one head, and how many stand before those of the head that is asked for?",
    second_hint="A head is D / H columns wide; head 0 has the first of them, head 1 the next, and so on. Cut the "
    "head's columns out of Q and out of K. The rest is attention without its last step: every query meets every key, "
    "the scores are divided by the root of the head's own width, and softmax runs along each row.",
    then="MiniLM did with your function what it did with its own: the map is drawn from your weights, and is that of "
    'head 3 of layer 1 in lesson 00. "it" looks most at *suitcase*, with 0.27 of its weight, as was recorded.',
    cases=head_weights_cases,
    parts={"weights": ("query", "key")},
    sizes=lambda query, key, head, num_heads: {
        "d_head": query.shape[1] // num_heads,
        "d_model": query.shape[1],
        "heads": num_heads,
        "tokens": len(query),
    },
    picture=_head_picture,
    draw_pass=True,
)
def head_weights(query, key, head, num_heads):
    """query (N, D), key (N, D), all heads' columns side by side, head 0 first
    → the weights (N, N) of the head with the number `head`"""
    K = query.shape[1] // num_heads
    columns = slice(head * K, (head + 1) * K)
    scores = query[:, columns] @ key[:, columns].mT / K**0.5
    return scores.softmax(dim=-1)


@head_weights.mistake(
    "The scores were divided by √D, the width of all heads together, so that your weights are too even. How many "
    "products does one head add up for a score?"
)
def scaled_by_d_model(query, key, head, num_heads):
    return _weights_of(_cut(query, head, num_heads), _cut(key, head, num_heads), query.shape[1])


@head_weights.mistake(
    "Your weights are sharper than the model's: the scores were not scaled. By the root of which width did it divide "
    "them?"
)
def head_without_scale(query, key, head, num_heads):
    return _weights_of(_cut(query, head, num_heads), _cut(key, head, num_heads), 1)


@head_weights.mistake(
    "The scores were divided by the head's width, and not by its root: your weights are too even. Does the spread of a "
    "dot product grow like the width, or like its root?"
)
def head_scaled_by_its_width(query, key, head, num_heads):
    return _weights_of(*(_cut(each, head, num_heads) for each in (query, key)), (query.shape[1] // num_heads) ** 2)


def _of_all_columns(query, key, head, num_heads, heads_width):
    return _weights_of(query, key, query.shape[1] // num_heads if heads_width else query.shape[1])


for _width in (False, True):
    head_weights.mistake(
        "All columns were used, as if the layer had one head. Which of them belong to the head that is asked for?"
    )(partial(_of_all_columns, heads_width=_width))


@head_weights.mistake(
    "You took every H-th column. The heads lie side by side, each in one piece: at which column does yours begin?"
)
def every_nth_column(query, key, head, num_heads):
    return _weights_of(query[:, head::num_heads], key[:, head::num_heads], query.shape[1] // num_heads)


@head_weights.mistake("Your map is that of head 0, whichever head is asked for. Where does `head` enter your code?")
def always_the_first_head(query, key, head, num_heads):
    return head_weights.solution(query, key, 0, num_heads)


def _next_head(query, key, head, num_heads, shift):
    K = query.shape[1] // num_heads
    columns = slice((head + shift) * K, (head + shift + 1) * K)
    return _weights_of(query[:, columns], key[:, columns], K)


for _shift in (-1, 1):
    head_weights.mistake(
        "You took the columns of the head beside the one that was asked for. Heads are counted from 0: how many "
        "columns stand before those of head 3?"
    )(partial(_next_head, shift=_shift))


def _as_many_columns_as_heads(query, key, head, num_heads, own_width):
    columns = slice(head * num_heads, (head + 1) * num_heads)
    return _weights_of(query[:, columns], key[:, columns], num_heads if own_width else query.shape[1] // num_heads)


for _own in (True, False):
    head_weights.mistake(
        "You cut out H columns. A layer has H heads: how many of its D columns are left for each of them?"
    )(partial(_as_many_columns_as_heads, own_width=_own))


def _as_wide_as_minilms(query, key, head, num_heads, fixed, own_width):
    start = 32 * (HEAD if fixed else head)
    columns = slice(start, start + 32)
    return _weights_of(query[:, columns], key[:, columns], query.shape[1] // num_heads if own_width else 32)


for _fixed, _own in ((True, True), (True, False), (False, True), (False, False)):
    head_weights.mistake(
        "Right for MiniLM alone: you cut out 32 columns in every call. The other layers are of other sizes: which "
        "arguments say how wide a head is, and where it begins?"
    )(partial(_as_wide_as_minilms, fixed=_fixed, own_width=_own))


@head_weights.mistake(
    "Your columns sum to 1, and your rows do not: softmax ran over the queries. Which word shares out its look?"
)
def head_softmax_over_queries(query, key, head, num_heads):
    q, k = (_cut(each, head, num_heads) for each in (query, key))
    return (q @ k.mT / q.shape[1] ** 0.5).softmax(0)


@head_weights.mistake(
    "Queries and keys have changed places: your row shows how a word is found, and not where it looks. Which of the "
    "two stands on the left of the product?"
)
def looked_at_for_looking(query, key, head, num_heads):
    return head_weights.solution(key, query, head, num_heads)


@head_weights.mistake(
    "You returned the scaled scores: some are negative, and a row does not sum to 1. What turns a row of scores into "
    "weights?"
)
def head_scores(query, key, head, num_heads):
    q, k = (_cut(each, head, num_heads) for each in (query, key))
    return q @ k.mT / q.shape[1] ** 0.5


def temperature_cases():
    shares = [(3, 0.5), (4, 0.2), (6, 0.9), (5, 0.7), (12, 0.4)]  # number of scores, share of the highest entropy
    cases = [(*seeded(seed, (S,), spread=2.0), share * math.log(S)) for seed, (S, share) in enumerate(sized(shares))]
    return [*cases, (torch.tensor([0.0, 40.0, 80.0]), 1.0)]  # widely spread scores take a temperature of 71


def _entropy(weights):
    return float(torch.special.entr(weights).sum())


def _entropy_gap(yours, target, scores, target_entropy):
    """Judges the entropy that a temperature gives, so that any way of finding it is welcome."""
    if yours.size != 1:
        return f"yours has shape {yours.shape}, and one number was asked for."
    found = yours.item()
    if not 0 < found < math.inf:
        return f"yours is {found:.4g}, and a temperature is a positive number. Can your search step below 0?"
    entropy = _entropy((scores.double() / found).softmax(0))
    if abs(entropy - target_entropy) < 0.01:
        return None
    seen = f"your temperature {found:.4g} gives an entropy of {entropy:.3f} nats; {target_entropy:.3f} was asked for."
    if entropy < 0.01:
        return f"{seen} That is next to 0: did the search keep the wrong half, or meet 0 · log 0?"
    if math.log(len(scores)) - entropy < 0.01:
        return f"{seen} That is the most {len(scores)} scores can have: did the search keep the wrong half?"
    end = round(found)
    if entropy < target_entropy and end and abs(found - end) < 1e-3 * end:
        return f"{seen} Should the temperature be higher? A search that ends at {end} cannot get there."
    return f"{seen} Should the temperature be {'higher' if entropy < target_entropy else 'lower'}?"


@exercise(
    stars=2,
    minutes=15,
    hint="Entropy grows with temperature, from 0 (all weight on one key) to log S (all equal). If you know the entropy "
    "in the middle of an interval, in which half does the answer lie?",
    second_hint="Halve an interval again and again: try the middle; if its entropy is too high, the answer is below, "
    "else above. Let it reach from very cold to very hot, a thousandth to a thousand; forty halvings are plenty. Very "
    "cold weights underflow to 0, and 0 · log 0 is NaN: `torch.special.entr` knows that it should be 0.",
    then="√K is a temperature too, chosen once and for all, so that training starts with weights it can still change.",
    cases=temperature_cases,
    parts={"temperature": ()},
    gap=_entropy_gap,
    rtol=0.02,
)
def temperature(scores, target_entropy):
    """scores (S,), target_entropy in nats, between 0 and log S → the temperature at which
    softmax(scores / temperature) has that entropy, −Σ w log w, to within 0.01."""
    low, high = 0.001, 1000.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        weights = (scores / middle).softmax(dim=0)
        entropy = torch.special.entr(weights).sum()
        low, high = (low, middle) if entropy > target_entropy else (middle, high)
    return middle


@temperature.mistake(
    "At your temperature the entropy in *bits* is the number asked for. One bit is 0.693 nats: which logarithm "
    "counts nats?"
)
def entropy_in_bits(scores, target_entropy):
    return temperature.solution(scores, target_entropy * math.log(2))


@temperature.mistake(
    "Yours is 1 divided by the temperature asked for. Does a high temperature make weights sharper or more even, "
    "and so does it divide the scores or multiply them?"
)
def temperature_multiplies(scores, target_entropy):
    return 1 / temperature.solution(scores, target_entropy)


@temperature.mistake(
    "You returned the entropy itself, which the caller already knew. Which quantity was your search moving?",
)
def entropy_returned(scores, target_entropy):
    return target_entropy


def _search_that_ends(scores, target_entropy, limit):
    return min(limit, temperature.solution(scores, target_entropy))


for _limit in (1, 2, 3, 4, 8, 10, 15, 16, 20, 25, 30, 32, 40, 50, 60, 64, 5):
    temperature.mistake(
        f"Your search ends at {_limit}, and the answer lies higher. How far up can it go, where scores lie far apart?"
    )(partial(_search_that_ends, limit=float(_limit)))


def _search_that_begins(scores, target_entropy, first):
    return max(first, temperature.solution(scores, target_entropy))


def _search_between(scores, target_entropy, first, last):
    return min(last, max(first, temperature.solution(scores, target_entropy)))


for _first in (0.05, 0.5, 1, 0.1):
    temperature.mistake(
        f"Your search begins at {_first}, and the answer lies lower. How cold may it get, where the best two scores "
        "lie close together?"
    )(partial(_search_that_begins, first=float(_first)))
    for _last in (2, 3, 10, 20, 50, 5):
        temperature.mistake(
            f"Your search runs from {_first} to {_last}, and some answers lie outside. How wide an interval costs a "
            "search that halves it only a few steps more?"
        )(partial(_search_between, first=float(_first), last=float(_last)))
