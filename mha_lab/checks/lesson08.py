"""Exercises of lesson 08: attention over another sequence, and the share of weight that a head gets for nothing."""

from collections.abc import Callable
from functools import partial
from operator import itemgetter

import torch

from mha_lab.checks import pictures
from mha_lab.checks.class_key import generator, sized
from mha_lab.checks.engine import exercise, seeded
from mha_lab.checks.in_model import whole_model_exercise

SENTENCES = "my sister's black cat often sees them", "my neighbour sees her"


def _translated(function) -> tuple[str, Callable]:
    """What the recorded translator writes with a function in all eight heads, and the map of the best one."""
    from mha_lab import models, tasks

    corpus, model = tasks.translation(), models.recorded_translators().translation
    for block in model.cross:
        block.attention.forward = partial(_by_function, block.attention, function)
    source = corpus.read(*SENTENCES)
    target = model.write(source)
    with torch.no_grad():
        _, maps = model(source, target, need_weights=True)
    said = " and ".join(f"“{one}” as “{other}”" for one, other in zip(SENTENCES, corpus.write(target)))
    asked, written = corpus.source.decode(source[0]), corpus.target.decode(target[0])
    weights = maps[0, 1, 1, : len(written)]
    line = f"In the translator of section 3 it now does the work of all eight cross-attention heads: it writes {said}."
    return line, partial(_drawn, weights, written, asked)


def _drawn(weights, written, asked):
    from mha_lab import plots

    title = "Your function in head 1.1 of a trained translator: rows are what it writes"
    figure = pictures.bare_figure(title, 6.4, 5.0)
    plots.attention_map(weights, written, asked, numbers=False, title=title, ax=figure.subplots())
    return figure


def _by_function(layer, function, x, context, *, mask, need_weights=False):
    """What a cross-attention layer gives whose heads are all this function: each gets its columns of the matrices."""
    matrices = (p.weight.detach().T.chunk(layer.num_heads, dim=1) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
    lengths = mask[:, 0].sum(dim=-1)
    each = [function(x, context, lengths, *columns) for columns in zip(*matrices)]
    output = layer.out_proj(torch.cat([output for output, _ in each], dim=-1))
    return (output, torch.stack([weights for _, weights in each], dim=1)) if need_weights else output


def _cross_cases():
    cases = []
    sizes = [(2, 3, 6, 4, 2), (1, 5, 4, 3, 4), (3, 4, 4, 6, 3), (2, 2, 5, 4, 1), (2, 6, 6, 5, 5)]
    for seed, (B, N, S, D, K) in enumerate(sized(sizes)):
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


@whole_model_exercise(
    stars=2,
    minutes=15,
    hint="Which of the two sequences asks, and which is looked at: of which are queries made, and of which keys?",
    second_hint="Make the query of x, the key and the value of context. The mask is a row for each example: its places "
    "0 to lengths[b] − 1 are words. Give it an axis for the queries, and set the scores of all other places to −∞ "
    "before the softmax.",
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
    inside=_translated,
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


def _made_of(x, context, lengths, w_q, w_k, w_v, keys, values, masked):
    """The key, the value and the mask's length of x or of context: torch refuses it where the two differ in length."""
    key, value, places = ({"x": x, "context": context}[name] for name in (keys, values, masked))
    weights = _scores(x, key, w_q, w_k).masked_fill(~_seen(lengths, places.shape[1]), -torch.inf).softmax(dim=-1)
    return weights @ (value @ w_v), weights


def _everything_from_x(*case, masked):
    return _made_of(*case, keys="x", values="x", masked=masked)


for _masked in ("x", "context"):
    cross_attention.mistake(
        "Your tokens look at each other: key and value are made of x. Whose words should be looked at here?"
    )(partial(_everything_from_x, masked=_masked))


@cross_attention.mistake(
    "Your value is made of x, and your key of context. A weight says how much is fetched of a key's token: of which "
    "sequence is that token?"
)
def values_of_x(*case):
    return _made_of(*case, keys="context", values="x", masked="context")


@cross_attention.mistake(
    "Your key is made of x, and your value of context. A key is what is looked at: in which sequence should that be?"
)
def keys_of_x(*case):
    return _made_of(*case, keys="x", values="context", masked="context")


@cross_attention.mistake(
    "Your mask hides rows of the scores (B, N, S), and a row is a query. The padding is in context: which axis are its "
    "places?"
)
def rows_masked(x, context, lengths, w_q, w_k, w_v):
    rows = _seen(lengths, context.shape[1]).mT  # (B, S, 1)
    weights = _scores(x, context, w_q, w_k).masked_fill(~rows, -torch.inf).softmax(dim=-1)
    return weights @ (context @ w_v), weights


@cross_attention.mistake(
    "Your mask has the shape (B, S), and the scores have (B, N, S): torch takes the last axis as S and the one before "
    "it as N. Which axis does the mask lack, and where?"
)
def mask_without_queries(x, context, lengths, w_q, w_k, w_v):
    seen = _seen(lengths, context.shape[1])[:, 0]  # (B, S)
    weights = _scores(x, context, w_q, w_k).masked_fill(~seen, -torch.inf).softmax(dim=-1)
    return weights @ (context @ w_v), weights


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
    for seed, (B, N, S) in enumerate(sized([(3, 5, 7), (2, 4, 4), (1, 6, 5), (4, 3, 9), (2, 7, 7)])):
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
    hint="Among how many words does such a head share out its weight, and how many are right for target token n?",
    second_hint="Each of the lengths[b] words gets the same weight. Count the right words of each target token, take "
    "that many of these weights, and average over the tokens that have a right word at all.",
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
    "You took one right word for every token: 1 / lengths. What does a token get that stands for two words, or for the "
    "four digits of a year?"
)
def one_word_each(right, lengths):
    return 1 / lengths


@uniform_share.mistake("You added up over the target tokens. What is the most that a share can be?")
def summed_over_tokens(right, lengths):
    return (right.sum(dim=-1) / lengths[:, None]).sum(dim=-1)


@uniform_share.mistake(
    "You averaged over all N · S cells. Some columns hold padding, and some rows stand for nothing: which cells should "
    "count?"
)
def all_cells(right, lengths):
    return right.float().mean(dim=(1, 2))


def _one_number(right, lengths, rows):
    """The mean over the sentences, or over all their rows at once."""
    share = right.sum(dim=-1) / lengths[:, None]
    aligned = right.any(dim=-1)
    return share[aligned].mean() if rows == "all" else (share.sum(dim=-1) / aligned.sum(dim=-1)).mean()


for _rows in ("all", "by sentence"):
    uniform_share.mistake(
        "You averaged over the sentences as well: one number. Which of the two axes of (B, N) should be left?"
    )(partial(_one_number, rows=_rows))


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


# ---------------------------------------------------------------------------------------------------- share by place


def _place_cases():
    cases = []
    sizes = [(40, 3, 4, 6), (30, 2, 5, 5), (50, 1, 3, 7), (40, 4, 6, 4), (60, 3, 7, 7)]
    for seed, (T, B, N, S) in enumerate(sized(sizes)):
        dice = generator(seed)
        home = torch.randperm(max(N, S), generator=dice)[:N] % S  # where each row's answer stands most often
        right = torch.rand(T + B, N, S, generator=dice) < 0.25
        moved = torch.rand(T + B, N, generator=dice) < 0.4
        right |= (torch.arange(S) == home[:, None]) & ~moved[..., None]
        right[:, -1] = False  # the end stands for nothing
        right[-1, 0, (home[0] + 1) % S] = True
        cases.append((right[:T], right[T:]))
    return cases


@exercise(
    stars=2,
    minutes=10,
    hint="A head that reads nothing knows only which token it is about to write: at which one place would it look for "
    "token n, and which of the two parts may tell it?",
    second_hint="For each of the N rows, count over the training pairs how often each source place is right, and take "
    "the place with the largest count. On the test, row n gets 1 where that place is right and 0 where it is not. "
    "Average over the rows that have a right place.",
    then="A finding is what is left above the strongest simple rule. It is the rule's best case that counts, not its "
    "worst.",
    cases=_place_cases,
    parts={"share": ("sentence",)},
    sizes=lambda training, test: {"N": test.shape[1], "S": test.shape[2]},
)
def share_by_place(training, test):
    """training (pairs, N, S) and test (B, N, S), boolean: the places of the source that each target
    token stands for. A rule that reads no token lays all of its weight for row n on one place:
    the one that is right most often for row n in training. The share of its weight (B,) that
    lies on right places of the test: the mean over those rows for which any place is right."""
    place = training.sum(dim=0).argmax(dim=-1)  # (N,)
    found = test[:, torch.arange(test.shape[1]), place]  # (B, N): is that place right?
    return found.sum(dim=-1) / test.any(dim=-1).sum(dim=-1)


def _at(place, test):
    found = test[:, torch.arange(test.shape[1]), place]
    return found.sum(dim=-1) / test.any(dim=-1).sum(dim=-1)


@share_by_place.mistake(
    "You chose the places on the test itself, so the rule has seen its answers. From which part does a fair opponent "
    "learn?"
)
def chosen_on_the_test(training, test):
    return _at(test.sum(dim=0).argmax(dim=-1), test)


@share_by_place.mistake(
    "You laid weight on every place, in proportion to how often it is right. A rule that wants the largest share puts "
    "all of it on one: on which?"
)
def spread_in_proportion(training, test):
    often = training.sum(dim=0) / training.sum(dim=(0, 2))[:, None].clamp(min=1)
    return (often * test).sum(dim=(1, 2)) / test.any(dim=-1).sum(dim=-1)


@share_by_place.mistake("You took one place for all rows. Does the third token stand where the first one does?")
def one_place_for_all(training, test):
    return _at(training.sum(dim=(0, 1)).argmax().expand(test.shape[1]), test)


@share_by_place.mistake(
    "That is the rule of the same place: row n looks at place n. It reads no token either, but is it the strongest "
    "that training can teach?"
)
def the_same_place(training, test):
    return _at(torch.arange(test.shape[1]).clamp(max=test.shape[2] - 1), test)


@share_by_place.mistake(
    "You averaged over all N rows. A token that stands for nothing has no right place: should it count as a failure?"
)
def nothing_counted_as_failure(training, test):
    return _at(training.sum(dim=0).argmax(dim=-1), test) * test.any(dim=-1).sum(dim=-1) / test.shape[1]


@share_by_place.mistake(
    "You averaged over the sentences as well: one number. Which of the axes of (B, N) should be left?"
)
def one_share_for_all(training, test):
    return share_by_place.solution(training, test).mean()


@share_by_place.mistake("You counted the rows in which the rule is right. Of how many rows is the share asked for?")
def rows_counted(training, test):
    return test[:, torch.arange(test.shape[1]), training.sum(dim=0).argmax(dim=-1)].sum(dim=-1)


def _by_target_place(training, test):
    """For each source place the row that it is right for most often: the other axis."""
    row = training.sum(dim=0).argmax(dim=0)  # (S,)
    weights = torch.zeros(test.shape[1:]).index_put((row, torch.arange(len(row))), torch.tensor(1.0))
    return (weights * test).sum(dim=(1, 2)) / test.any(dim=-1).sum(dim=-1)


share_by_place.mistake(
    "You asked each place for its row. The rule is asked the other way: for row n, which of the S places? Over which "
    "axis does `argmax` run?"
)(_by_target_place)
