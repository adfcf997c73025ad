"""Exercises of lesson 06: the spread over seeds, which head serves which pointer, an interval from pairs of seeds, what
another budget turns round, a head count that fits. Three of them go on in the recorded models of the sweep."""

from functools import partial

import numpy as np
import torch

from mha_lab import tasks
from mha_lab.checks import pictures
from mha_lab.checks.class_key import sized, some
from mha_lab.checks.engine import exercise, seeded
from mha_lab.checks.in_model import in_a_record, model_exercise


def _in_the_sweep(name, made):
    asked = f"the recorded sweep was asked for: `checks.{name}({name}, found)`. Which cell of section 1 has loaded it?"
    return in_a_record(tasks.HeadCounts, made, asked)


# -------------------------------------------------------------------------------------------------------- error bars


@exercise(
    stars=1,
    minutes=5,
    hint="How far does one seed fall from the mean of its row, and how much better than one seed is the mean of n "
    "known?",
    second_hint="Mean and standard deviation run over the same axis, the seeds. The seeds are a sample, so the "
    "deviation divides by seeds − 1, as torch's `std` does by itself. The mean of n numbers is as many times less "
    "uncertain than one of them as the root of n says.",
    then="An error bar tells how well the mean is known, not how far one training may fall. For that, draw the dots.",
    cases=lambda: [
        tuple(seeded(seed, shape)) for seed, shape in enumerate(sized([(7, 5), (3, 4), (2, 9), (4, 4), (5, 2)]))
    ],
    parts={"mean": ("head count",), "standard error": ("head count",)},
    sizes=lambda quality: {"(number of seeds)": quality.shape[1], "(number of head counts)": quality.shape[0]},
)
def error_bars(quality):
    """quality (counts, seeds) → the mean over seeds (counts,), and its standard error (counts,):
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
    sizes = [(2, 3, 4, 5), (1, 4, 2, 3), (3, 2, 2, 4), (2, 1, 3, 6), (2, 4, 4, 4)]
    for seed, (B, H, R, N) in enumerate(sized(sizes)):
        scores, place = seeded(seed, (B, H, N, N), (B, R, N, N))
        right = place == place.amax(dim=-1, keepdim=True)  # one key for each query
        cases.append((scores.softmax(dim=-1), right))
    return cases


BUDGETS = 800, 3000  # steps of the two trainings with 16 heads whose maps are compared
SURE = 0.9  # of its weight: the pointer has this head to itself


def _sixteen_heads_twice(found):
    """The call on both trainings of the model with 16 heads: its maps after 800 steps, then after 3,000."""
    return torch.cat([found.maps[16, steps] for steps in BUDGETS])[None], found.example.right


def _pointers_with_a_head(shares):
    """How many pointers have a head to themselves after each budget, from (R, 32)."""
    return [int((half > SURE).any(axis=1).sum()) for half in np.split(shares, 2, axis=1)]


def _who_is_served(yours, target, found):
    (mine, right) = (_pointers_with_a_head(shares[0]) for shares in (yours, target))
    said = "{} of 4 pointers have a head that lays more than {} of its weight on them after 800 steps, {} after 3,000"
    in_words = said.format(mine[0], SURE, mine[1])
    if np.allclose(yours[0], target[0], atol=1e-3):
        return (
            f"In the trained model with 16 heads, by your table, {in_words}. So longer training sharpens who does what."
        )
    return f"In the trained model with 16 heads, by your table, {in_words}; by ours, {right[0]} and {right[1]}."


def _shares_of_sixteen(yours, target, found):
    from mha_lab import plots

    figure = pictures.bare_figure("your shares of 16 heads, after 800 steps and after 3,000", 6.6, 4.6)
    pointers = [f"pointer {r}" for r in range(len(yours[0]))]
    for ax, half, steps in zip(figure.subplots(2, 1), np.split(yours[0], 2, axis=1), BUDGETS, strict=True):
        title = f"16 heads after {steps:,} steps, by your table"
        labels = [f"head {i}" for i in range(half.shape[1])]
        plots.attention_map(half.astype(np.float32).clip(0, 1), pointers, labels, numbers=False, title=title, ax=ax)
    return figure


@model_exercise(
    stars=2,
    minutes=10,
    hint="Which weights of a head are left if you keep only those on the right keys of one pointer, and what do they "
    "add up to for one query?",
    second_hint="Weights need an axis of length 1 for the pointers, and the right keys one for the heads, so that a "
    "product pairs every head with every pointer: (B, R, H, N, N). Within a query weights add up over its keys; "
    "queries and examples are averaged.",
    then="This is what makes a map more than a picture: you said where it should look before you looked.",
    cases=_served_cases,
    parts={"share": ("pointer", "head")},
    inside=_in_the_sweep("served", _sixteen_heads_twice),
    says=_who_is_served,
    shows=_shares_of_sixteen,
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


@served.mistake(
    "You counted the queries of which more than half the weight is on the right key. What share is it, if that is not "
    "rounded to 0 or 1?"
)
def rounded_to_0_or_1(weights, right):
    return (_share(weights, right) > 0.5).to(weights.dtype).mean(dim=(0, 3))


@served.mistake("You looked at example 0 alone. What do the others of the batch say?")
def first_example_only(weights, right):
    return _share(weights, right)[0].mean(dim=-1)


# ------------------------------------------------------------------------------------------------- an interval of pairs

STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 9: 2.306}
"""By the number of seeds: how many standard errors to each side hold the true mean in 95 of 100 cases (Student's t)."""


def _interval_cases():
    cases = []
    for seed, (counts, n) in enumerate(sized([(7, 5), (3, 4), (2, 9), (6, 3), (5, 2)], fixed=(1,))):
        luck, own, other = seeded(seed, (n,), (counts, n), (n,))  # what a seed does to all, and to each
        level = torch.linspace(1, -0.5, counts)[:, None]
        cases.append((level + luck + 0.5 * own, luck + 0.5 * other, STUDENT[n]))
    return cases


def _beside_eight(found):
    """The text models after 3,000 steps, each beside the one with eight heads: two seeds."""
    losses = found.characters_long
    return losses, losses[found.heads.index(8)], STUDENT[losses.shape[1]]


def _apart_from_0(parts, found):
    """The head counts whose interval leaves 0 out, in words."""
    apart = [h for h, low, high in zip(found.heads, *parts) if h != 8 and not low <= 0 <= high]
    return ", ".join(map(str, apart)) or "none"


def _what_two_seeds_tell(yours, target, found):
    at = found.heads.index(16)
    mine, right = _apart_from_0(yours, found), _apart_from_0(target, found)
    low, high = (part[at] for part in yours)
    line = (
        f"On the recorded text models after 3,000 steps, two seeds: 16 heads lie between {low:+.2f} and {high:+.2f} "
        f"nats beside eight by your interval, and the head counts whose interval leaves 0 out: {mine}"
    )
    if all(np.allclose(*pair, atol=1e-3) for pair in zip(yours, target)):
        return f"{line}. Two seeds are hardly a sample."
    ours = f"By ours they lie between {target[0][at]:+.2f} and {target[1][at]:+.2f}, and those that leave 0 out are"
    return f"{line}. {ours}: {right}."


def _intervals(yours, target, found):
    figure = pictures.bare_figure("your intervals beside ours", 6.8, 3.6)
    ax = figure.subplots()
    for shift, ((low, high), color, name) in enumerate([(yours, "#1F4E9C", "yours"), (target, "#B5541C", "ours")]):
        at = np.arange(len(found.heads)) + 0.2 * shift
        ax.vlines(at, low, high, color=color, linewidth=4 - 2 * shift, label=name)
    ax.axhline(0, color="#888888", linewidth=1)
    ax.set_xticks(np.arange(len(found.heads)) + 0.1, found.heads)
    ax.set_xlabel("heads")
    ax.set_ylabel("nats more than eight heads")
    ax.set_title("Which head counts differ from eight, by two seeds?")
    ax.legend(frameon=False)
    return figure


@model_exercise(
    stars=2,
    minutes=6,
    hint="A seed saw the same batches with every head count. Of which n numbers for each head count do you want the "
    "mean, and how well is it known?",
    second_hint="Take eight's loss with a seed from each other loss with the same seed; from here on there is one row "
    "of differences for each head count. Their standard error is 6.1's. The interval goes t standard errors to either "
    "side of their mean.",
    then="If 0 lies inside, these seeds do not tell the two apart: that is not the same as their being equal.",
    cases=_interval_cases,
    parts={"low": ("head count",), "high": ("head count",)},
    sizes=lambda losses, base, t: {"(number of seeds)": len(base), "t": t},
    inside=_in_the_sweep("paired_interval", _beside_eight),
    says=_what_two_seeds_tell,
    shows=_intervals,
)
def paired_interval(losses, base, t):
    """losses (counts, seeds), base (seeds,) with the same seeds → low (counts,), high (counts,):
    the mean difference losses − base over the pairs, t standard errors to either side."""
    gaps = losses - base
    mean, error = gaps.mean(dim=1), gaps.std(dim=1) / gaps.shape[1] ** 0.5
    return mean - t * error, mean + t * error


def _around(mean, error, t):
    return mean - t * error, mean + t * error


def _paired(losses, base, t, *, root=0.5, correction=1, sign=1):
    gaps = sign * (losses - base)
    return _around(gaps.mean(dim=1), gaps.std(dim=1, correction=correction) / gaps.shape[1] ** root, t)


@paired_interval.mistake(
    "Your middle is right, and your width is that of two unpaired samples: it counts the luck of a seed twice, though "
    "it is the same for both sides. Of which numbers should you take the standard deviation?"
)
def two_samples(losses, base, t):
    error = ((losses.var(dim=1) + base.var()) / len(base)) ** 0.5
    return _around(losses.mean(dim=1) - base.mean(), error, t)


@paired_interval.mistake(
    "Your middle is right, and you took the mean of the eight heads before you subtracted: then each seed's luck stays "
    "in the spread. What belongs to the loss with seed 3?"
)
def base_averaged_first(losses, base, t):
    return _paired(losses, base.mean(), t)


@paired_interval.mistake("That is an interval of the losses themselves. Beside what is each of them to be judged?")
def no_base(losses, base, t):
    return _paired(losses, 0, t)


@paired_interval.mistake(
    "Your interval is where the next *seed* may fall: t standard deviations. How well is the mean of all pairs known?"
)
def spread_of_a_pair(losses, base, t):
    return _paired(losses, base, t, root=0)


@paired_interval.mistake(
    "You divided the deviation by the number of seeds. A mean of n numbers is how many times less uncertain than one?"
)
def error_over_n(losses, base, t):
    return _paired(losses, base, t, root=1)


@paired_interval.mistake(
    "Your standard deviation divides by the number of seeds, which is right only where these seeds are all there are. "
    "What stands in its place for a sample?"
)
def seeds_taken_for_all(losses, base, t):
    return _paired(losses, base, t, correction=0)


@paired_interval.mistake(
    "Your interval is one standard error to either side, which holds the true mean in about two cases of three. Where "
    "does t come in?"
)
def one_error_wide(losses, base, t):
    return _paired(losses, base, 1)


def _errors_by_heart(losses, base, t, *, errors):
    return _paired(losses, base, errors)


for _errors in (1.96, 2):
    paired_interval.mistake(
        "You took 1.96 or 2 standard errors, as one does with many seeds. With few, the deviation itself is a guess: "
        "which number allows for that?"
    )(partial(_errors_by_heart, errors=_errors))


@paired_interval.mistake("Your two ends are right and have changed places. Which one comes first, low or high?")
def ends_exchanged(losses, base, t):
    return _paired(losses, base, t)[::-1]


@paired_interval.mistake(
    "Your interval is about base − losses. If 16 heads have the lower loss, which sign is asked for?"
)
def the_other_sign(losses, base, t):
    return _paired(losses, base, t, sign=-1)


@paired_interval.mistake(
    "You sorted the seeds first: then the best seed of one meets the best of the other, whichever they are. What makes "
    "a pair?"
)
def pairs_sorted(losses, base, t):
    return _paired(losses.sort(dim=1).values, base.sort().values, t)


@paired_interval.mistake("You gave the mean and what goes to either side of it. Where does the interval begin and end?")
def mean_and_margin(losses, base, t):
    low, high = _paired(losses, base, t)
    return (low + high) / 2, (high - low) / 2


# ------------------------------------------------------------------------------------------- the budget as a confound


def _budget_cases():
    cases = []
    sizes = [(4, 5, 2), (3, 2, 2), (5, 3, 4), (6, 4, 2), (2, 2, 3)]
    for seed, (counts, short, long) in enumerate(sized(sizes)):
        first, second, luck, later = seeded(seed + 20, (counts, 1), (counts, 1), (counts, short), (counts, long))
        cases.append((2.2 + 0.1 * first + 0.03 * luck, 2.0 - 0.05 * first + 0.08 * second + 0.03 * later))
    return cases


def _names_of_pairs(table, found):
    pairs = [f"{found.heads[i]} heads and {found.heads[j]}" for i, j in np.argwhere(table)]
    return ", ".join(pairs) or "none"


def _which_orders_turned(yours, target, found):
    mine, right = _names_of_pairs(yours[0], found), _names_of_pairs(target[0], found)
    line = f"On the recorded text models your function finds that the order turned between: {mine}"
    if np.array_equal(yours[0], target[0]):
        return (
            f"{line}. Somebody who had stopped after 1,000 steps would have reported a difference between heads, and "
            "it was one between budgets."
        )
    return f"{line}; ours: {right}."


def _turned_table(yours, target, found):
    from mha_lab import plots

    figure = pictures.bare_figure("which orders turned, by yours", 6.4, 4.4)
    names = [f"{h} head{'s' * (h > 1)}" for h in found.heads]
    title = "By yours: row better at 1,000 steps, column at 3,000"
    labels = [["turned" if cell else "·" for cell in row] for row in yours[0]]
    plots.label_grid(labels, rows=names, columns=found.heads, tint=0.5 * yours[0], title=title, ax=figure.subplots())
    return figure


@model_exercise(
    stars=2,
    minutes=8,
    hint="When would you say that 16 heads are better than eight after 3,000 steps, if you have two seeds of each?",
    second_hint="First make two tables, one for each budget: with every seed, is row i's loss below row j's? An axis "
    "of length 1 in one of the two makes all pairs at once. In the second table i and j change places. Then both must "
    "hold.",
    then="What a comparison says belongs to its budget: give it two, and look whether the order stays.",
    cases=_budget_cases,
    parts={"turned": ("i", "j")},
    inside=_in_the_sweep("turned", lambda found: (found.characters, found.characters_long)),
    says=_which_orders_turned,
    shows=_turned_table,
)
def turned(short, long):
    """Losses at two budgets, short (counts, seeds), long (counts, other seeds)
    → (counts, counts), boolean: True where the first of a pair has the lower loss
    with every seed at the short budget, and the second with every seed at the long one."""
    better_at_first = (short[:, None] < short).all(dim=-1)
    worse_later = (long[:, None] > long).all(dim=-1)
    return better_at_first & worse_later


def _below(losses):
    return losses[:, None] < losses


@turned.mistake(
    "You compared the means. They hide a seed that speaks against the others: does the order hold with *every* seed?"
)
def by_the_means(short, long):
    return _below(short.mean(dim=1)) & _below(long.mean(dim=1)).T


@turned.mistake("One seed that says so is enough for you. What if another seed says the opposite: how many must agree?")
def with_any_seed(short, long):
    return _below(short).any(dim=-1) & _below(long).any(dim=-1).T


@turned.mistake(
    "Yours is turned round: True where the first of a pair is better *later*. These are losses: is the lower one "
    "better, or the higher one?"
)
def better_later(short, long):
    return (_below(short).all(dim=-1) & _below(long).all(dim=-1).T).T


@turned.mistake("Yours is True both ways, for (i, j) and for (j, i). Can both be the one that was better at first?")
def either_way(short, long):
    table = _below(short).all(dim=-1) & _below(long).all(dim=-1).T
    return table | table.T


@turned.mistake("Your table knows the short budget only. Where does the long one come in?")
def short_alone(short, long):
    return _below(short).all(dim=-1)


@turned.mistake("Your table knows the long budget only. Where does the short one come in?")
def long_alone(short, long):
    return _below(long).all(dim=-1).T


@turned.mistake(
    "Yours is True where the same one is better at both budgets: there the order *stayed*. For which of the two tables "
    "must i and j change places?"
)
def order_stayed(short, long):
    return _below(short).all(dim=-1) & _below(long).all(dim=-1)


@turned.mistake(
    "At the long budget it is enough for you that the first no longer wins with *every* seed. Then the order may just "
    "be open: with how many seeds must the second be lower?"
)
def open_later(short, long):
    return _below(short).all(dim=-1) & ~_below(long).all(dim=-1)


@turned.mistake(
    "You compared the worst seed of one with the best of the other. The seeds are paired: with which seed does seed 0 "
    "belong together?"
)
def never_overlapping(short, long):
    def clear(losses):
        return losses.amax(dim=1)[:, None] < losses.amin(dim=1)

    return clear(short) & clear(long).T


# -------------------------------------------------------------------------------------------------------- most heads


@exercise(
    stars=1,
    minutes=5,
    hint="How many heads fit by their width alone? If that number does not divide d_model, are more heads wide enough, "
    "or fewer?",
    second_hint="Begin with as many heads as fit by width alone, rounded down, and go down one by one until d_model "
    "can be cut into equal heads: fewer heads are wider heads.",
    then="It says the most, not the best: how wide a head must be, no formula knows. That took training.",
    cases=lambda: [
        (some(1, 3) * d_model, d_head + some(0, 3))
        for d_model, d_head in [(512, 64), (768, 64), (100, 16), (384, 100), (7, 3), (64, 2), (8, 1), (1024, 8)]
    ],
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
