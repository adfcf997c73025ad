"""Exercises of lesson 11: a score for induction heads, key/value heads made one, rotary pairs in another order."""

from functools import partial

import torch

from mha_lab.checks.engine import exercise, seeded


def _said_twice():
    """Weights of heads on texts of L tokens said twice: rows that sum to 1."""
    shapes = [(3, 8, 8), (2, 12, 12), (4, 6, 6), (1, 10, 10), (2, 16, 16)]
    return [(seeded(seed, shape)[0].softmax(dim=-1),) for seed, shape in enumerate(shapes)]


def _diagonal(weights, back, start):
    """(H,): mean over the queries from `start` of the weight on the key `back` places before."""
    N = weights.shape[-1]
    return torch.stack([weights[:, i, i - back] for i in range(start, N)]).mean(dim=0)


@exercise(
    stars=2,
    minutes=15,
    hint="Query i of the second copy stands L places after its double, so what followed the double stands at "
    "i − L + 1. `weights.diagonal(offset, dim1=1, dim2=2)` takes all (i, i + offset) at once; the first of them is "
    "still in the first copy.",
    then="The score needs no sentence and no linguist: the text is random, and so only the repetition can be seen.",
    cases=_said_twice,
    parts={"score": ("head",)},
)
def induction_score(weights):
    """weights (H, 2L, 2L) of heads on L random tokens said twice → (H,):
    the share of its weight that a token of the second copy lays on the token that
    came *after* its double in the first copy, mean over the second copy."""
    length = weights.shape[-1] // 2
    on_following = weights.diagonal(1 - length, dim1=1, dim2=2)  # of queries length − 1 …
    return on_following[:, 1:].mean(dim=1)


@induction_score.mistake(
    "You measured the weight on the double itself. To say what comes next, which token after the double is wanted?"
)
def on_the_double(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length, length)


@induction_score.mistake(
    "You measured the weight on the token *before* the double. In the first copy, does the wanted token stand before "
    "or after?"
)
def before_the_double(weights):
    length = weights.shape[-1] // 2
    on_before = [weights[:, i, i - length - 1] for i in range(length + 1, 2 * length)]
    return torch.stack(on_before).mean(dim=0)


def _on_the_previous(weights, everywhere):
    return _diagonal(weights, 1, 1 if everywhere else weights.shape[-1] // 2)


for _everywhere in (True, False):
    induction_score.mistake("That is the previous-token score. Who says it first: the token before, or the double?")(
        partial(_on_the_previous, everywhere=_everywhere)
    )


@induction_score.mistake(
    "Your average runs from the last token of the first copy to the last but one of the second: one place too early. "
    "Which query is the first of the second copy?"
)
def one_query_too_early(weights):
    length = weights.shape[-1] // 2
    on_following = weights.diagonal(1 - length, dim1=1, dim2=2)
    return on_following[:, :-1].mean(dim=1)


@induction_score.mistake(
    "Your average has one query too many: the last token of the first copy. Has it seen its double yet?"
)
def from_the_first_copy_on(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length - 1, length - 1)


@induction_score.mistake("You divided by all queries. How many of them stand in the second copy?")
def over_all_queries(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length - 1, length) / 2


@induction_score.mistake("You added up over the queries. What is the most that a share can be?")
def added_up(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length - 1, length) * length


@induction_score.mistake("Your map is turned. In weights[h, i, j], which of i and j asks?")
def turned(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights.mT, length - 1, length)


@induction_score.mistake(
    "The last query is missing from your average. How many queries has the second copy, and which number has the last?"
)
def last_query_left_out(weights):
    length = weights.shape[-1] // 2
    return weights.diagonal(1 - length, dim1=1, dim2=2)[:, 1:-1].mean(dim=1)


@induction_score.mistake(
    "The first query of the second copy is missing from your average. At which number does the second copy begin?"
)
def first_query_left_out(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length - 1, length + 1)


# ---------------------------------------------------------------------------------------------------------- pool heads


def _pool_cases():
    cases = []
    sizes = [(6, 4, 5, 2), (9, 3, 4, 3), (4, 2, 6, 1), (8, 3, 3, 2), (12, 2, 4, 3)]
    for seed, (G, K, D, new) in enumerate(sizes):
        cases.append((seeded(seed, (G * K, D))[0], G, new))
    return cases


@exercise(
    stars=2,
    minutes=10,
    hint="Give the rows their axes first: new head, old head within it, row of a head: "
    "`weight.view(num_kv_heads, -1, K, D)`. Then average over one of them.",
    then="Ainslie's paper begins so, and then trains on: without that the averages are keys that no query ever asked "
    "for.",
    cases=_pool_cases,
    parts={"weight": ("row", "column")},
)
def pool_heads(weight, old_heads, num_kv_heads):
    """weight (old_heads·K, D) of a key projection → (num_kv_heads·K, D):
    each new head is the mean of the consecutive old heads that it stands for."""
    D = weight.shape[1]
    d_head = weight.shape[0] // old_heads
    by_head = weight.view(num_kv_heads, old_heads // num_kv_heads, d_head, D)
    return by_head.mean(dim=1).reshape(num_kv_heads * d_head, D)


@pool_heads.mistake("You kept the first head of each group. What becomes of what the others knew?")
def first_of_each(weight, old_heads, num_kv_heads):
    D = weight.shape[1]
    return weight.view(num_kv_heads, old_heads // num_kv_heads, -1, D)[:, 0].reshape(-1, D)


@pool_heads.mistake("You added the heads up. How large do the scores become?")
def sum_for_mean(weight, old_heads, num_kv_heads):
    D = weight.shape[1]
    return weight.view(num_kv_heads, old_heads // num_kv_heads, -1, D).sum(dim=1).reshape(-1, D)


@pool_heads.mistake(
    "You joined heads that lie far apart (0 with num_kv_heads, and so on). Which query heads share a key head: "
    "consecutive ones, or every n-th?"
)
def every_nth(weight, old_heads, num_kv_heads):
    D = weight.shape[1]
    return weight.view(old_heads // num_kv_heads, num_kv_heads, -1, D).mean(dim=0).reshape(-1, D)


@pool_heads.mistake(
    "Your heads are averages over neighbouring *rows*: numbers within one head are mixed. Row 0 of a new head should "
    "be the mean of which rows?"
)
def rows_for_heads(weight, old_heads, num_kv_heads):
    group = old_heads // num_kv_heads
    return weight.view(weight.shape[0] // group, group, -1).mean(dim=1)


# ----------------------------------------------------------------------------------------------------------- to halves


def _rotary_cases():
    sizes = [(2, 6, 4), (3, 8, 5), (1, 6, 6), (4, 10, 3), (2, 4, 8)]
    return [(seeded(seed, (H * K, D))[0], H) for seed, (H, K, D) in enumerate(sizes)]


@exercise(
    stars=3,
    minutes=20,
    hint="Within a head the rows stand as pair 0 first, pair 0 second, pair 1 first, … View them as (H, K/2, 2, D): "
    "which two axes must change places so that all the firsts come before all the seconds?",
    then="One line, and without it the model talks nonsense in perfect shapes. Checkpoints of Llama travel with one "
    "layout or the other: know which.",
    cases=_rotary_cases,
    parts={"weight": ("row", "column")},
)
def to_halves(weight, num_heads):
    """weight (H·K, D) of a query projection whose rotary pairs are rows 2i and 2i + 1 of
    each head → the same rows in the order in which rows i and i + K/2 are the pairs."""
    H, D = num_heads, weight.shape[1]
    return weight.view(H, -1, 2, D).transpose(1, 2).reshape(weight.shape)


@to_halves.mistake(
    "You went the other way, from halves to neighbours. In the given rows, which is the partner of row 0: 1, or K/2?"
)
def the_other_way(weight, num_heads):
    D = weight.shape[1]
    return weight.view(num_heads, 2, -1, D).transpose(1, 2).reshape(weight.shape)


@to_halves.mistake(
    "You reordered all rows at once, so that heads exchanged rows. Where do the first rows of head 1 belong?"
)
def across_heads(weight, num_heads):
    return torch.cat([weight[0::2], weight[1::2]])


@to_halves.mistake(
    "Your seconds come before your firsts. A rotation by the angle: which of a pair gets the minus sign?"
)
def seconds_first(weight, num_heads):
    D = weight.shape[1]
    return weight.view(num_heads, -1, 2, D).flip(2).transpose(1, 2).reshape(weight.shape)


@to_halves.mistake("The rows are as they were. With pairs i and i + K/2, what would row 1 be turned with?")
def left_as_it_was(weight, num_heads):
    return weight.clone()


@to_halves.mistake(
    "The shape is right and rows are mixed with columns. Did you `view` where axes should change places?"
)
def view_for_transpose(weight, num_heads):
    D = weight.shape[1]
    return weight.view(num_heads, -1, 2, D).permute(0, 2, 3, 1).reshape(weight.shape)
