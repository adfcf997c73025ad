"""Exercises of lesson 08: attention over another sequence, and the share of weight that a head gets for nothing."""

from functools import partial
from operator import itemgetter

import torch

from mha_lab.checks.engine import exercise, seeded


def _cross_cases():
    cases = []
    sizes = [(2, 3, 6, 4, 2), (1, 5, 4, 3, 4), (3, 4, 4, 6, 3), (2, 2, 5, 4, 1), (2, 6, 6, 5, 5)]
    for seed, (B, N, S, D, K) in enumerate(sizes):
        x, context, *projections = seeded(seed, (B, N, D), (B, S, D), (D, K), (D, K), (D, K))
        lengths = torch.arange(B) % 2 + S - 3  # at least one padded place everywhere
        cases.append((x, context, lengths, *projections))
    x, context, *projections = seeded(9, (3, 2, 4), (3, 5, 4), (4, 3), (4, 3), (4, 3))
    return [*cases, (x, context, torch.tensor([5, 1, 3]), *projections)]  # the first has no padding


def _scores(x, context, w_q, w_k):
    return (x @ w_q) @ (context @ w_k).mT / w_q.shape[1] ** 0.5


def _seen(lengths, num_keys):
    return (torch.arange(num_keys) < lengths[:, None])[:, None]  # (B, 1, S)


def _looked(x, context, lengths, w_q, w_k, w_v):
    seen = _seen(lengths, context.shape[1])
    weights = _scores(x, context, w_q, w_k).masked_fill(~seen, -torch.inf).softmax(dim=-1)
    return weights @ (context @ w_v), weights


@exercise(
    stars=2,
    minutes=15,
    hint="Only the query is made of x: `x @ w_q`. Key and value are made of context. The places that may be seen are "
    "`torch.arange(S) < lengths[:, None]`, (B, S); give it an axis for the queries, and fill the scores of all others "
    "with -torch.inf before the softmax.",
    then="Put context = x and this is lesson 01. Cross-attention is no other machine.",
    cases=_cross_cases,
    parts={"output": ("example", "query", "feature"), "weights": ("example", "query", "key")},
    blame=("weights", "output"),
    sizes=lambda x, context, lengths, w_q, w_k, w_v: {
        "d_head": w_q.shape[1],
        "d_model": w_q.shape[0],
        "keys": context.shape[1],
        "queries": x.shape[1],
    },
)
def cross_attention(x, context, lengths, w_q, w_k, w_v):
    """One head in which the tokens of x (B, N, D) look at those of context (B, S, D), of which
    only the first lengths[b] are words and the rest is padding. w_q, w_k, w_v (D, K).
    Return the output (B, N, K) and the weights (B, N, S)."""
    query, key, value = x @ w_q, context @ w_k, context @ w_v
    scores = query @ key.mT / w_q.shape[1] ** 0.5  # (B, N, S)
    words = torch.arange(context.shape[1]) < lengths[:, None]  # (B, S)
    weights = scores.masked_fill(~words[:, None], -torch.inf).softmax(dim=-1)
    return weights @ value, weights


@cross_attention.mistake(
    "Your tokens look at each other: key and value are made of x. Whose words should be looked at here?"
)
def everything_from_x(x, context, lengths, w_q, w_k, w_v):
    return _looked(x, x, lengths, w_q, w_k, w_v)


@cross_attention.mistake(
    "Your two sequences have changed places: the output has a row for each token of context. Who asks, x or context?"
)
def roles_swapped(x, context, lengths, w_q, w_k, w_v):
    return _looked(context, x, lengths, w_q, w_k, w_v)


@cross_attention.mistake(
    "Right, but for the padding: it gets weight too. Which keys of example b are words, and which only fill the row?"
)
def padding_seen(x, context, lengths, w_q, w_k, w_v):
    weights = _scores(x, context, w_q, w_k).softmax(dim=-1)
    return weights @ (context @ w_v), weights


@cross_attention.mistake(
    "You set the weights of the padding to 0 after the softmax, so that the rows no longer sum to 1. What must the "
    "score be for the softmax to give 0 by itself?"
)
def zeroed_too_late(x, context, lengths, w_q, w_k, w_v):
    weights = _scores(x, context, w_q, w_k).softmax(dim=-1) * _seen(lengths, context.shape[1])
    return weights @ (context @ w_v), weights


@cross_attention.mistake(
    "One padded place gets weight, the first after the words: lengths counts words, and places count from 0. Is the "
    "place with the number lengths[b] still a word?"
)
def one_place_too_many(x, context, lengths, w_q, w_k, w_v):
    return _looked(x, context, lengths + 1, w_q, w_k, w_v)


@cross_attention.mistake(
    "The last word of each example gets no weight: lengths counts words, and places count from 0. Which is the number "
    "of the last of lengths[b] words?"
)
def one_place_too_few(x, context, lengths, w_q, w_k, w_v):
    return _looked(x, context, lengths - 1, w_q, w_k, w_v)


@cross_attention.mistake(
    "The padding was set to 0 in context, so its score is 0, and it still gets its part of the weight: e⁰ is 1. What "
    "must the *score* of a padded place be?"
)
def context_zeroed(x, context, lengths, w_q, w_k, w_v):
    words = _seen(lengths, context.shape[1]).mT  # (B, S, 1)
    weights = _scores(x, context * words, w_q, w_k).softmax(dim=-1)
    return weights @ (context * words @ w_v), weights


@cross_attention.mistake(
    "The weights are right but for their scale: the scores were divided by √D, the width of x. Over how many products "
    "does one dot product sum?"
)
def scaled_by_d(x, context, lengths, w_q, w_k, w_v):
    return _looked(x, context, lengths, w_q * (w_q.shape[1] / w_q.shape[0]) ** 0.5, w_k, w_v)


@cross_attention.mistake(
    "A padded key has the score 0 in your softmax, and e⁰ is 1, not 0. What must be filled in for it to get nothing?"
)
def score_zero(x, context, lengths, w_q, w_k, w_v):
    seen = _seen(lengths, context.shape[1])
    weights = _scores(x, context, w_q, w_k).masked_fill(~seen, 0.0).softmax(dim=-1)
    return weights @ (context @ w_v), weights


def _words_masked(x, context, lengths, w_q, w_k, w_v, fill):
    seen = _seen(lengths, context.shape[1])
    weights = _scores(x, context, w_q, w_k).masked_fill(seen, fill).softmax(dim=-1)
    return weights @ (context @ w_v), weights


for _fill in (-torch.inf, -1e9):  # they differ where an example has no padding: NaN, or all alike
    cross_attention.mistake(
        "Your mask is the wrong way round: the weight lies on the padding alone. Does masked_fill fill where the mask "
        "is True, or where it is False?"
    )(partial(_words_masked, fill=_fill))


def _padding_from_the_end(x, context, lengths, w_q, w_k, w_v):
    """A slice of the last S − lengths[b] places, which is all of them where that is 0."""
    scores = _scores(x, context, w_q, w_k)
    for row, length in zip(scores, lengths, strict=True):
        row[:, -(context.shape[1] - int(length)) :] = -torch.inf
    weights = scores.softmax(dim=-1)
    return weights @ (context @ w_v), weights


cross_attention.mistake(
    "Right, but for an example without padding: there `[..., -0:]` is the whole row, and every word is hidden. How can "
    "you count from the front instead?"
)(_padding_from_the_end)


@cross_attention.mistake(
    "The scores are not divided by the square root of their head's width (lesson 01). How many columns has w_q?"
)
def unscaled(x, context, lengths, w_q, w_k, w_v):
    return _looked(x, context, lengths, w_q * w_q.shape[1] ** 0.5, w_k, w_v)


@cross_attention.mistake(
    "Your weights sum to 1 over the queries. Each query shares out its attention among keys: which axis of (B, N, S)?"
)
def softmax_over_queries(x, context, lengths, w_q, w_k, w_v):
    seen = _seen(lengths, context.shape[1])
    weights = _scores(x, context, w_q, w_k).masked_fill(~seen, -torch.inf).softmax(dim=1)  # NaN at the padding
    return weights @ (context @ w_v), weights


@cross_attention.mistake(
    "w_k and w_v have changed places: you look with the values and fetch the keys. Which of the two matrices makes "
    "what a query is compared with?"
)
def keys_and_values_exchanged(x, context, lengths, w_q, w_k, w_v):
    return _looked(x, context, lengths, w_q, w_v, w_k)


@cross_attention.mistake("The weights are right, and what is fetched are the keys. Which matrix makes a value?")
def keys_fetched(x, context, lengths, w_q, w_k, w_v):
    return _looked(x, context, lengths, w_q, w_k, w_k)


def _one_length(x, context, lengths, w_q, w_k, w_v, which):
    return _looked(x, context, which(lengths).expand(len(lengths)), w_q, w_k, w_v)


for _which in (torch.amax, torch.amin, itemgetter(0), itemgetter(-1)):
    cross_attention.mistake(
        "All your examples have one length, and the padding of some is seen or their words are hidden. Which axis of "
        "the mask tells the examples apart?"
    )(partial(_one_length, which=_which))


@cross_attention.mistake(
    "Your output is right, and you returned the scores after the mask; the weights are their softmax. Which of your "
    "variables holds numbers that sum to 1?"
)
def scores_for_weights(x, context, lengths, w_q, w_k, w_v):
    scores = _scores(x, context, w_q, w_k).masked_fill(~_seen(lengths, context.shape[1]), -torch.inf)
    return _looked(x, context, lengths, w_q, w_k, w_v)[0], scores


@cross_attention.mistake(
    "Your output is right, and your weights are logarithms, as `log_softmax` gives them: −∞ where a weight is 0. Which "
    "function gives the weights themselves?"
)
def log_weights(*case):
    output, weights = _looked(*case)
    return output, weights.log()


# ----------------------------------------------------------------------------------------------------- uniform share


def _share_cases():
    cases = []
    for seed, (B, N, S) in enumerate([(3, 5, 7), (2, 4, 4), (1, 6, 5), (4, 3, 9), (2, 7, 7)]):
        (dice,) = seeded(seed, (B, N, S))
        lengths = torch.arange(B) % 2 + S - 2  # at least one padded place everywhere
        right = (dice > 0.4) & (torch.arange(S) < lengths[:, None, None])
        right[:, 0, 0] = True  # at least one aligned word
        right[:, 0, 1] = True  # and one that stands for two
        right[:, -1] = False  # the end stands for nothing
        cases.append((right, lengths))
    return cases


@exercise(
    stars=2,
    minutes=10,
    hint="A head that looks everywhere alike gives each of the lengths[b] words 1 / lengths[b]. So token n gets "
    "`right.sum(dim=-1)` of these for nothing. Average over the tokens for which `right.any(dim=-1)` is true.",
    then="Every share of weight needs this number beside it. 0.8 of seven words is a find; 0.8 of one word is nothing.",
    cases=_share_cases,
    parts={"share": ("sentence",)},
)
def uniform_share(right, lengths):
    """right (B, N, S) boolean marks the source words that each target token stands for,
    lengths (B,) says how many source words there are (the rest of S is padding). The share of
    its weight (B,) that a head would lay on right words if it looked at all words alike: the
    mean over those target tokens for which any word is right."""
    share = right.sum(dim=-1) / lengths[:, None]  # (B, N)
    return share.sum(dim=-1) / right.any(dim=-1).sum(dim=-1)


@uniform_share.mistake(
    "You divided by S, padding included. A masked key gets no weight: among how many keys is it shared out?"
)
def padding_counted(right, lengths):
    return right.sum(dim=-1).sum(dim=-1) / right.shape[-1] / right.any(dim=-1).sum(dim=-1)


@uniform_share.mistake(
    "You averaged over all N target tokens. The end, and words that stand for nothing, have no right key: should they "
    "count as failures?"
)
def unaligned_counted(right, lengths):
    return (right.sum(dim=-1) / lengths[:, None]).mean(dim=-1)


@uniform_share.mistake(
    "You took one right word for every token: 1 / lengths. What does a word get that stands for two, as cherche for "
    "looks for?"
)
def one_word_each(right, lengths):
    return 1 / lengths


@uniform_share.mistake("You added up over the target tokens. What is the most that a share can be?")
def summed_over_tokens(right, lengths):
    return (right.sum(dim=-1) / lengths[:, None]).sum(dim=-1)


@uniform_share.mistake(
    "You averaged over the sentences as well: one number. Which of the two axes of (B, N) should be left?"
)
def one_number(right, lengths):
    share = right.sum(dim=-1) / lengths[:, None]
    return (share.sum(dim=-1) / right.any(dim=-1).sum(dim=-1)).mean()


def _one_length_for_all(right, lengths, which):
    return uniform_share.solution(right, which(lengths).expand(len(lengths)))


for _which in (torch.amax, torch.amin):
    uniform_share.mistake(
        "You divided by the number of words of one sentence, in all of them. Which axis of lengths (B,) tells the "
        "sentences apart?"
    )(partial(_one_length_for_all, which=_which))


@uniform_share.mistake(
    "You divided with `//`, which rounds down to a whole number: a share of 2/5 becomes 0. Which division keeps what "
    "is behind the point?"
)
def whole_number_division(right, lengths):
    return (right.sum(dim=-1) // lengths[:, None]).sum(dim=-1) / right.any(dim=-1).sum(dim=-1)
