"""Exercises of lesson 06: the spread over seeds, which head serves which pointer, a head count that fits."""

import torch

from mha_lab.checks.engine import exercise, seeded


@exercise(
    stars=1,
    minutes=5,
    hint="`quality.mean(dim=1)` is one number for each head count. `quality.std(dim=1)` divides by seeds − 1, which is "
    "right for a sample; the mean of n numbers is √n times less uncertain than one of them.",
    then="An error bar tells how well the mean is known, not how far one training may fall. For that, draw the dots.",
    cases=lambda: [tuple(seeded(seed, shape)) for seed, shape in enumerate([(7, 5), (3, 4), (2, 9), (4, 4), (5, 2)])],
    parts={"mean": ("head count",), "standard error": ("head count",)},
    sizes=lambda quality: {"(number of seeds)": quality.shape[1], "(number of head counts)": quality.shape[0]},
)
def error_bars(quality):
    """quality (C, seeds) → the mean over seeds (C,), and its standard error (C,):
    the standard deviation (of a sample, with seeds − 1) over √seeds."""
    seeds = quality.shape[1]
    return quality.mean(dim=1), quality.std(dim=1) / seeds**0.5


@error_bars.mistake(
    "Your mean is right and your bar is the standard deviation: how far one seed falls from the mean. How far does the "
    "mean of all seeds fall?"
)
def spread_of_one_seed(quality):
    return quality.mean(dim=1), quality.std(dim=1)


@error_bars.mistake(
    "You divided by the number of seeds. A mean of n numbers is how many times less uncertain than one of them?"
)
def divided_by_seeds(quality):
    return quality.mean(dim=1), quality.std(dim=1) / quality.shape[1]


@error_bars.mistake(
    "Your standard deviation divides by the number of seeds, which is right only where these seeds are all there are. "
    "What stands in its place for a sample?"
)
def seeds_are_all_there_are(quality):
    return quality.mean(dim=1), quality.std(dim=1, correction=0) / quality.shape[1] ** 0.5


@error_bars.mistake(
    "Your bar is std / √(seeds − 1). The −1 belongs into the standard deviation, and torch's `std` has it already: by "
    "which root is the mean better known than one seed?"
)
def one_seed_less(quality):
    return quality.mean(dim=1), quality.std(dim=1) / (quality.shape[1] - 1) ** 0.5


@error_bars.mistake(
    "You divided by the root of the number of head counts. Over which axis did you take the mean: how many numbers "
    "went into it?"
)
def root_of_the_head_counts(quality):
    return quality.mean(dim=1), quality.std(dim=1) / quality.shape[0] ** 0.5


@error_bars.mistake(
    "You gave the variance over the number of seeds, the square of the standard error. In which unit should a bar be?"
)
def variance_for_deviation(quality):
    return quality.mean(dim=1), quality.var(dim=1) / quality.shape[1]


@error_bars.mistake("You averaged over the head counts: one number for each seed. Which axis holds the seeds, 0 or 1?")
def over_head_counts(quality):
    return quality.mean(dim=0), quality.std(dim=0) / quality.shape[0] ** 0.5


@error_bars.mistake(
    "You gave the variance over √seeds. Of which of the two, variance or standard deviation, is the unit that of the "
    "quality?"
)
def variance_over_the_root(quality):
    return quality.mean(dim=1), quality.var(dim=1) / quality.shape[1] ** 0.5


# ------------------------------------------------------------------------------------------------------------ served


def _served_cases():
    cases = []
    for seed, (B, H, R, N) in enumerate([(2, 3, 4, 5), (1, 4, 2, 3), (3, 2, 2, 4), (2, 1, 3, 6), (2, 4, 4, 4)]):
        scores, place = seeded(seed, (B, H, N, N), (B, R, N, N))
        right = place == place.amax(dim=-1, keepdim=True)  # one key for each query
        cases.append((scores.softmax(dim=-1), right))
    return cases


@exercise(
    stars=2,
    minutes=15,
    hint="Give weights an axis for the pointers and right one for the heads: `weights[:, None]`, `right[:, :, None]`. "
    "Their product is (B, R, H, N, N) and holds only the weight on right keys. Then add up over keys, and average "
    "over queries and examples.",
    then="This is what makes a map more than a picture: you said where it should look before you looked.",
    cases=_served_cases,
    parts={"share": ("pointer", "head")},
    sizes=lambda weights, right: {
        "(number of examples)": weights.shape[0],
        "(number of heads)": weights.shape[1],
        "(number of pointers)": right.shape[1],
        "N": weights.shape[2],
    },
)
def served(weights, right):
    """weights (B, H, N, N), right (B, R, N, N) boolean with one key in each row → (R, H):
    the share of its weight that head h lays on the right key of pointer r,
    mean over examples and queries."""
    on_right = weights[:, None] * right[:, :, None]  # (B, R, H, N, N)
    return on_right.sum(dim=-1).mean(dim=(0, 3))


def _share(weights, right):
    return torch.einsum("bhnm,brnm->brhn", weights, right.to(weights.dtype))  # of each query


@served.mistake("Your numbers are right and lie the other way. Which axis comes first in (R, H)?")
def heads_first(weights, right):
    return _share(weights, right).mean(dim=(0, 3)).T


@served.mistake(
    "You averaged over the keys too, so every share is N times too small. Over the keys of one query, do weights add "
    "up or average?"
)
def averaged_over_keys(weights, right):
    return _share(weights, right).mean(dim=(0, 3)) / weights.shape[-1]


@served.mistake("You added up over the queries. How many queries has one example, and what is the most a share can be?")
def summed_over_queries(weights, right):
    return _share(weights, right).sum(dim=3).mean(dim=0)


@served.mistake("You added up over the examples. What is the most a share of the weight can be?")
def summed_over_examples(weights, right):
    return _share(weights, right).mean(dim=3).sum(dim=0)


@served.mistake("You added up over examples and queries. What is the most a share of the weight can be?")
def summed_over_everything(weights, right):
    return _share(weights, right).sum(dim=(0, 3))


@served.mistake(
    "Your map is turned: the weight that lies on query n from key m. In weights[b, h, n, m], which of n and m asks?"
)
def keys_and_queries_swapped(weights, right):
    return _share(weights.mT, right).mean(dim=(0, 3))


@served.mistake(
    "You counted how often a head's largest weight is on the right key. That hides how sure it was: how much weight "
    "lies there?"
)
def largest_weight_only(weights, right):
    return _share((weights == weights.amax(dim=-1, keepdim=True)).to(weights.dtype), right).mean(dim=(0, 3))


@served.mistake("You looked at example 0 alone. What do the others of the batch say?")
def first_example_only(weights, right):
    return _share(weights, right)[0].mean(dim=-1)


# -------------------------------------------------------------------------------------------------------- most heads


@exercise(
    stars=1,
    minutes=10,
    hint="Go down from d_model // d_head until a head count divides d_model. Fewer heads are wider heads.",
    then="It says the most, not the best: how wide a head must be, no formula knows. That took training.",
    cases=lambda: [(512, 64), (768, 64), (100, 16), (384, 100), (7, 3), (64, 2), (8, 1), (1024, 8)],
    parts={"heads": ()},
)
def most_heads(d_model, d_head):
    """The largest number of heads that divides d_model and leaves each head at least
    d_head wide (d_head ≤ d_model)."""
    num_heads = d_model // d_head
    while d_model % num_heads:
        num_heads -= 1
    return num_heads


@most_heads.mistake(
    "Right where d_head divides d_model. Your answer for 100 columns and heads of at least 16 is 6: can 100 columns be "
    "cut into 6 equal heads?"
)
def not_a_divisor(d_model, d_head):
    return d_model // d_head


@most_heads.mistake("You went up to the next divisor, so that your heads are too narrow. Which way are they wider?")
def rounded_up(d_model, d_head):
    num_heads = d_model // d_head
    while d_model % num_heads:
        num_heads += 1
    return num_heads


@most_heads.mistake(
    "That is h = √(d_model / 16), a rule in circulation. It gives 5.66 for 512 columns. Where does the width that was "
    "asked for come in?"
)
def root_rule(d_model, d_head):
    return (d_model / 16) ** 0.5


@most_heads.mistake("You gave the width of a head. How many heads of that width are there?")
def width_for_number(d_model, d_head):
    num_heads = d_model // d_head
    while d_model % num_heads:
        num_heads -= 1
    return d_model // num_heads


@most_heads.mistake(
    "Your heads are all wider than d_head. A width of exactly d_head is wide enough: is it < or ≤ that you compare "
    "with?"
)
def strictly_wider(d_model, d_head):
    return max((h for h in range(1, d_model + 1) if d_model % h == 0 and d_model // h > d_head), default=1)


@most_heads.mistake("You divided without rounding. Can there be 6.25 heads?")
def a_part_of_a_head(d_model, d_head):
    return d_model / d_head


@most_heads.mistake(
    "Your heads are the largest number, up to d_head, that divides d_model. Is d_head a number of heads, or a width?"
)
def width_taken_for_heads(d_model, d_head):
    return max(h for h in range(1, d_head + 1) if d_model % h == 0)


def _largest_below(d_model, d_head, bound):
    return max((h for h in range(1, bound) if d_model % h == 0 and d_model // h >= d_head), default=1)


@most_heads.mistake(
    "Your search stops before d_model itself: `range(1, d_model)` leaves its end out. How many heads of width 1 does a "
    "d_model of 8 have?"
)
def d_model_left_out(d_model, d_head):
    return _largest_below(d_model, d_head, d_model)


@most_heads.mistake(
    "Your search stops before d_model // d_head itself: `range` leaves its end out. How many heads of width 64 fit "
    "into 512 columns?"
)
def the_bound_left_out(d_model, d_head):
    return _largest_below(d_model, d_head, d_model // d_head)


@most_heads.mistake(
    "Your search stops at the root of d_model. 64 = 2 · 32, and only one of the two is below the root: which one is "
    "the number of heads?"
)
def up_to_the_root(d_model, d_head):
    return _largest_below(d_model, d_head, int(d_model**0.5) + 1)


@most_heads.mistake(
    "Your search stops at 64 heads, and 1024 columns with heads of 8 have room for more. What is the most there can be "
    "room for?"
)
def up_to_64(d_model, d_head):
    return _largest_below(d_model, d_head, 65)
