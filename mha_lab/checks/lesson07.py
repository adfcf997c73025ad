"""Exercises of lesson 07: a head's name, a head switched off in the weights, importance from a gradient."""

from functools import partial

import torch

from mha_lab.checks.compare import difference
from mha_lab.checks.engine import exercise, seeded


def _name_heads_cases():
    cases = []
    for seed, (R, H, least) in enumerate([(2, 4, 0.5), (3, 2, 0.4), (4, 4, 0.6), (2, 6, 0.7), (3, 3, 0.5)]):
        (scores,) = seeded(seed, (R + 1, H), spread=2.0)  # one row more: weight that lies nowhere of interest
        shares = scores.softmax(dim=0)[:R]
        if least == 0.5:  # head 0 lies exactly on the threshold, on pattern 1
            shares[:, 0] = 0.25 / (R - 1)
            shares[1, 0] = 0.5
        cases.append((shares, least))
    several = [  # patterns at `least` or above, the largest of them first, last and between; and none, by a little
        [0.50, 0.31, 0.32, 0.28, 0.35],
        [0.35, 0.32, 0.45, 0.26, 0.05],
        [0.10, 0.36, 0.05, 0.20, 0.33],
    ]
    return cases + [(torch.tensor(several), 0.3), (torch.tensor([[0.46, 0.54, 0.1], [0.1, 0.44, 0.46]]), 0.5)]


def _names_gap(yours, target, shares, least):
    """What a list can be indexed with; then as everywhere."""
    gap = difference(yours, target, ("head",))
    if gap is None and yours.dtype.kind == "f":
        return (
            f"the names are right, and they are fractions ({yours.dtype.name}): no list takes `names[1.0]`. A name is "
            "the number of a pattern: how do you make it a whole number?"
        )
    return gap


@exercise(
    stars=1,
    minutes=10,
    hint="`shares.max(dim=0)` gives both: the largest share of each head and the pattern it belongs to. Then "
    "`torch.where(condition, names, -1)`.",
    then="A name is a measurement with a threshold. Say both when you use it: “looks one back, .91 of its weight”.",
    cases=_name_heads_cases,
    parts={"name": ("head",)},
    gap=_names_gap,
)
def name_heads(shares, least):
    """shares (R, H): the share of its weight that head h lays where pattern r says → (H,):
    the number of the pattern with the head's largest share, or -1 where that is below `least`."""
    largest, names = shares.max(dim=0)
    return torch.where(largest >= least, names, -1)


@name_heads.mistake(
    "You named for each pattern its best head. Over which axis of (R, H) does one head choose its name?"
)
def best_head_of_each_pattern(shares, least):
    largest, names = shares.max(dim=1)
    return torch.where(largest >= least, names, -1)


@name_heads.mistake(
    "You named for each pattern its best head, and `least` is not used. Over which axis of (R, H) does one head choose?"
)
def best_head_and_no_threshold(shares, least):
    return shares.argmax(dim=1)


@name_heads.mistake("Every head got a name, even one that spreads its weight everywhere. Where does `least` come in?")
def nobody_without_a_name(shares, least):
    return shares.argmax(dim=0)


@name_heads.mistake(
    "Right, but for a head whose largest share is exactly `least`: it lost its name. Which side of the comparison does "
    "“below” leave to the names?"
)
def the_threshold_itself_left_out(shares, least):
    largest, names = shares.max(dim=0)
    return torch.where(largest > least, names, -1)


@name_heads.mistake("A head without a name got the number 0. Is 0 not the first pattern?")
def unnamed_is_0(shares, least):
    largest, names = shares.max(dim=0)
    return torch.where(largest >= least, names, 0)


@name_heads.mistake(
    "You took the shares themselves. A name is the number of a pattern: which function gives the place?"
)
def share_for_name(shares, least):
    largest = shares.amax(dim=0)
    return torch.where(largest >= least, largest, -1)


@name_heads.mistake("Your -1 stands at the heads that do have a name, and the others got one. Which way round is it?")
def threshold_turned_round(shares, least):
    largest, names = shares.max(dim=0)
    return torch.where(largest >= least, -1, names)


@name_heads.mistake("You took the first pattern that reaches `least`. Which one has the largest share?")
def first_that_reaches(shares, least):
    reaches = shares >= least
    return torch.where(reaches.any(dim=0), reaches.int().argmax(dim=0), -1)


@name_heads.mistake("You took the last pattern that reaches `least`. Which one has the largest share?")
def last_that_reaches(shares, least):
    numbers = torch.arange(len(shares))[:, None]
    return torch.where(shares >= least, numbers, -1).amax(dim=0)


@name_heads.mistake(
    "A head with two patterns at `least` or above got no name. Does a second large share make the largest one smaller?"
)
def only_where_one_reaches(shares, least):
    return torch.where((shares >= least).sum(dim=0) == 1, shares.argmax(dim=0), -1)


@name_heads.mistake(
    "You rounded the shares before you compared them, so that .46 reaches .5. Which number is it that `least` judges?"
)
def rounded_first(shares, least):
    return name_heads.solution(shares.round(decimals=1), least)


def _from_1(shares, least, unnamed):
    largest, names = shares.max(dim=0)
    return torch.where(largest >= least, names + 1, unnamed)


for _unnamed in (-1, 0):
    name_heads.mistake("You counted the patterns from 1. Which number has the first row of shares?")(
        partial(_from_1, unnamed=_unnamed)
    )


# ------------------------------------------------------------------------------------------------------ without head


def _without_head_cases():
    sizes = [(8, 1, 2), (12, 2, 4), (6, 0, 3), (12, 2, 3), (16, 1, 8)]
    return [(*seeded(seed, (D, D)), head, num_heads) for seed, (D, head, num_heads) in enumerate(sizes)]


@exercise(
    stars=2,
    minutes=15,
    hint="nn.Linear computes x @ weight.T, so weight[i, j] leads from input j to output i. The heads lie side by side "
    "in the *input* of W^O, K = D / num_heads columns each. Work on `weight.clone()`.",
    then="So switching off needs no hook and no mask: a head is heard through these columns and through nothing else.",
    cases=_without_head_cases,
    parts={"weight": ("output", "input")},
)
def without_head(weight, head, num_heads):
    """weight (D, D) of the nn.Linear behind Concat, out_proj.weight → a copy (D, D) in which
    head `head`, counted from 0, is not heard any more."""
    K = weight.shape[1] // num_heads
    silent = weight.clone()
    silent[:, head * K : (head + 1) * K] = 0
    return silent


@without_head.mistake(
    "You emptied rows: some features of the output are gone, for all heads alike. In nn.Linear's weight (out, in), on "
    "which side do the heads come in?"
)
def rows_for_columns(weight, head, num_heads):
    K = weight.shape[0] // num_heads
    silent = weight.clone()
    silent[head * K : (head + 1) * K] = 0
    return silent


@without_head.mistake(
    "You emptied every num_heads-th column, so each head lost a little. Does Concat lay the heads side by side, or "
    "shuffled together?"
)
def shuffled_columns(weight, head, num_heads):
    silent = weight.clone()
    silent[:, head::num_heads] = 0
    return silent


@without_head.mistake("You began at column `head`. How many columns belong to the heads before it?")
def begins_at_the_heads_number(weight, head, num_heads):
    K = weight.shape[1] // num_heads
    silent = weight.clone()
    silent[:, head : head + K] = 0
    return silent


@without_head.mistake("You counted the heads from 1. Which columns belong to head 0?")
def counted_from_1(weight, head, num_heads):
    return without_head.solution(weight, head - 1, num_heads)


@without_head.mistake("You emptied one column. How wide is a head?")
def one_column(weight, head, num_heads):
    silent = weight.clone()
    silent[:, head] = 0
    return silent


@without_head.mistake("You kept this head and silenced the others. Which one should go?")
def only_this_head(weight, head, num_heads):
    K = weight.shape[1] // num_heads
    alone = torch.zeros_like(weight)
    alone[:, head * K : (head + 1) * K] = weight[:, head * K : (head + 1) * K]
    return alone


@without_head.mistake("You took the head's columns out, and the next layer still expects D inputs. What adds nothing?")
def columns_cut_out(weight, head, num_heads):
    K = weight.shape[1] // num_heads
    return torch.cat([weight[:, : head * K], weight[:, (head + 1) * K :]], dim=1)


@without_head.mistake("−∞ in a weight silences nothing, it makes the output ∞ or NaN. What adds nothing?")
def filled_with_minus_infinity(weight, head, num_heads):
    K = weight.shape[1] // num_heads
    silent = weight.clone()
    silent[:, head * K : (head + 1) * K] = -torch.inf
    return silent


@without_head.mistake(
    "The last column of the head is still heard: a slice ends *before* its second number. Where does the next head "
    "begin?"
)
def one_column_short(weight, head, num_heads):
    K = weight.shape[1] // num_heads
    silent = weight.clone()
    silent[:, head * K : (head + 1) * K - 1] = 0
    return silent


@without_head.mistake(
    "You emptied one column too many, the first of the next head: a slice ends *before* its second number. How many "
    "columns has a head?"
)
def one_column_too_long(weight, head, num_heads):
    K = weight.shape[1] // num_heads
    silent = weight.clone()
    silent[:, head * K : (head + 1) * K + 1] = 0
    return silent


# ---------------------------------------------------------------------------------------------------- head importance


def _head_importance_cases():
    sizes = [(3, 4, 8, 2), (5, 3, 12, 4), (2, 6, 6, 3), (4, 2, 12, 3), (6, 5, 16, 8)]
    return [(*seeded(seed, (B, N, D), (B, N, D)), num_heads) for seed, (B, N, D, num_heads) in enumerate(sizes)]


@exercise(
    stars=3,
    minutes=15,
    hint="A factor in front of a head multiplies all of its K columns at all N tokens. By the chain rule the slope is "
    "the sum, over those columns and tokens, of concat · gradient: one number for each example and head. Only then "
    "take the size, and the mean over examples. `unflatten(-1, (num_heads, -1))` cuts the columns into heads.",
    then="This is heads.importance, and Michel 2019, equation 2: one backward pass judges all heads at once.",
    cases=_head_importance_cases,
    parts={"importance": ("head",)},
    sizes=lambda concat, gradient, num_heads: {
        "B": concat.shape[0],
        "N": concat.shape[1],
        "K": concat.shape[2] / num_heads,
        "num_heads": num_heads,
    },
)
def head_importance(concat, gradient, num_heads):
    """concat (B, N, D), the heads side by side as W^O reads them, and the gradient (B, N, D)
    of each example's loss by them → (H,): mean over examples of |∂loss/∂factor|, for a
    factor (now 1) in front of the head."""
    slopes = (concat * gradient).unflatten(-1, (num_heads, -1)).sum(dim=(1, 3))  # (B, H)
    return slopes.abs().mean(dim=0)


def _by_head(columns, num_heads):
    """(B, N, H, K)"""
    return columns.unflatten(-1, (num_heads, -1))


@head_importance.mistake(
    "You averaged over the examples first, so that a head that helps one example and hurts another counts for nothing. "
    "Where does | | stand?"
)
def examples_cancel(concat, gradient, num_heads):
    return _by_head(concat * gradient, num_heads).sum(dim=(1, 3)).mean(dim=0).abs()


@head_importance.mistake(
    "You took | | of each single product. The factor moves all columns at once, and their effects may cancel: what is "
    "summed before the size is taken?"
)
def size_too_early(concat, gradient, num_heads):
    return _by_head(concat * gradient, num_heads).abs().sum(dim=(1, 3)).mean(dim=0)


@head_importance.mistake(
    "You used the gradient alone: how the loss would move if a constant were *added* to the head's columns. What does "
    "a factor do to them?"
)
def gradient_alone(concat, gradient, num_heads):
    return _by_head(gradient, num_heads).sum(dim=(1, 3)).abs().mean(dim=0)


@head_importance.mistake(
    "Your numbers are the sum over the examples. Would ten times the examples make a head matter more?"
)
def summed_over_examples(concat, gradient, num_heads):
    return _by_head(concat * gradient, num_heads).sum(dim=(1, 3)).abs().sum(dim=0)


@head_importance.mistake("You averaged over the tokens. The factor stands before the head at all tokens: sum, or mean?")
def averaged_over_tokens(concat, gradient, num_heads):
    return _by_head(concat * gradient, num_heads).sum(dim=3).mean(dim=1).abs().mean(dim=0)


@head_importance.mistake(
    "Your heads are every num_heads-th column. In Concat, do the K columns of a head lie side by side?"
)
def shuffled_heads(concat, gradient, num_heads):
    return (concat * gradient).unflatten(-1, (-1, num_heads)).sum(dim=(1, 2)).abs().mean(dim=0)


@head_importance.mistake(
    "Your heads are whole tokens: (B, H, N, K) was made by `view` all at once. Which dimension has to be cut first, so "
    "that each head gets its K columns of every token?"
)
def heads_of_a_plain_view(concat, gradient, num_heads):
    B, N, _ = concat.shape
    return (concat * gradient).reshape(B, num_heads, N, -1).sum(dim=(2, 3)).abs().mean(dim=0)


@head_importance.mistake(
    "Some of your numbers are negative: the slopes of the examples cancel. A head matters whichever way the loss "
    "moves: where does | | stand in the formula?"
)
def without_the_size(concat, gradient, num_heads):
    return _by_head(concat * gradient, num_heads).sum(dim=(1, 3)).mean(dim=0)


@head_importance.mistake(
    "You took | | of each token. One factor stands before the head at all tokens, and their effects may cancel: what "
    "is summed before the size is taken?"
)
def size_of_each_token(concat, gradient, num_heads):
    return _by_head(concat * gradient, num_heads).sum(dim=3).abs().sum(dim=1).mean(dim=0)
