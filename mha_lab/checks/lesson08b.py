"""Exercises of lesson 08b: which patches are a half, a gap between pairs of seeds, and what a window can still see."""

from functools import partial

import torch

from mha_lab.checks.class_key import generator, sized
from mha_lab.checks.engine import exercise, seeded
from mha_lab.checks.in_model import whole_model_exercise


def _masked(function) -> tuple[str, None]:
    """What the trained reader of digits answers when each word may look at its half only, and at the rest only."""
    from mha_lab import models, tasks

    model = models.digit_reader()
    model.load_state_dict(tasks.recorded_digit_readers().weights["apart"])
    batch = tasks.two_digits("test").draw(500, torch.Generator().manual_seed(1))
    half = function(batch.question.flatten(), 4, 8).view(batch.right.shape)
    inside, outside = (model.right(batch._replace(allowed=allowed)).float().mean().item() for allowed in (half, ~half))
    return (
        "In the trained reader of section 1 your mask now says where each word may look: looking inside it only, "
        f"{inside:.2f} of its answers are right, and outside it {outside:.2f} (a guess: 0.10).",
        None,
    )


@whole_model_exercise(
    stars=1,
    minutes=8,
    hint="Patches are numbered row by row: in which column of the image does patch p stand?",
    second_hint="The column is what is left of p after division by the number of columns; the first half of the "
    "columns is the left one. A patch is asked for where it lies on the right and the word says so, and where neither "
    "is true.",
    then="Draw such a mask over the image once, before you trust a share of weight on it.",
    cases=lambda: [(torch.tensor(word), rows, columns) for word, rows, columns in sized(_HALVES, fixed=(2,))],
    parts={"mask": ("word", "patch")},
    inside=_masked,
)
def asked_half(words, rows, columns):
    """words (N,): 0 for "left", 1 for "right". An image is cut into rows × columns patches,
    numbered row by row; columns is even. The boolean (N, rows * columns): which patches lie
    in the half that each word asks for?"""
    column = torch.arange(rows * columns) % columns
    return (column >= columns // 2) == (words[:, None] == 1)


_HALVES = [([0, 1], 4, 8), ([1], 2, 4), ([0, 0, 1], 3, 6), ([1, 0], 6, 4), ([0, 1, 1, 0], 5, 2)]


@asked_half.mistake("Your halves are exchanged. Which word is 0, and which columns are on the left?")
def exchanged(words, rows, columns):
    column = torch.arange(rows * columns) % columns
    return (column >= columns // 2) == (words[:, None] == 0)


@asked_half.mistake(
    "You cut the list of patches in the middle. Numbered column by column, that would be left and right; row by "
    "row, it is the upper and the lower half. Which patch stands below patch 0?"
)
def upper_and_lower(words, rows, columns):
    patch = torch.arange(rows * columns)
    return (patch >= rows * columns // 2) == (words[:, None] == 1)


def _rows_for_columns(words, rows, columns, half):
    column = torch.arange(rows * columns) % rows
    return (column >= (rows if half == "of the rows" else columns) // 2) == (words[:, None] == 1)


for _half in ("of the rows", "of the columns"):
    asked_half.mistake(
        "You divided by the number of rows where columns was meant. How many patches stand in one row of the image?"
    )(partial(_rows_for_columns, half=_half))


@asked_half.mistake('"right" gets its half, and "left" gets no patch at all. Where should a patch be True for word 0?')
def only_the_right_word(words, rows, columns):
    column = torch.arange(rows * columns) % columns
    return (column >= columns // 2) & (words[:, None] == 1)


@asked_half.mistake("Every second patch is yours. Does the column number grow to `columns - 1`, or change 0, 1, 0, 1?")
def every_second(words, rows, columns):
    column = torch.arange(rows * columns) % 2
    return (column == 1) == (words[:, None] == 1)


@asked_half.mistake(
    "Your left half is one column too wide: the first column on the right has the number columns // 2. Is it > or ≥ "
    "that takes it in?"
)
def one_column_too_far(words, rows, columns):
    column = torch.arange(rows * columns) % columns
    return (column > columns // 2) == (words[:, None] == 1)


@asked_half.mistake(
    "Your right half is one column too wide. Columns count from 0: which number has the first one on the right, of 8?"
)
def one_column_too_early(words, rows, columns):
    column = torch.arange(rows * columns) % columns
    return (column >= columns // 2 - 1) == (words[:, None] == 1)


# -------------------------------------------------------------------------------------------------------- paired gap


def _paired_cases():
    cases = []
    for seed, (n,) in enumerate(sized([(5,), (3,), (8,), (4,), (6,)])):
        level, one, other = seeded(seed, (n,), (n,), (n,))  # a seed is good or bad for both
        cases.append((1.2 * level + 0.5 * one + 0.4, 1.2 * level + 0.5 * other))
    return cases


@exercise(
    stars=1,
    minutes=5,
    hint="Both recipes had the same seeds, so a lucky seed is lucky for both: of which n numbers do you want the mean?",
    second_hint="Subtract seed by seed first. Then it is lesson 06's error bar, of the differences: their standard "
    "deviation (of a sample, with n − 1) over the root of n.",
    then="Where the seeds differ much and the pairs little, only the paired error shows what there is to see.",
    cases=_paired_cases,
    parts={"gap": (), "standard error": ()},
    sizes=lambda one, other: {"(number of seeds)": len(one)},
    blame=("gap", "standard error"),
)
def paired_gap(one, other):
    """one, other (n,): what two recipes reached, each with the same n seeds in the same order.
    Return by how much one is above other on average, and the standard error of that gap."""
    gaps = one - other
    return gaps.mean(), gaps.std() / len(gaps) ** 0.5


@paired_gap.mistake(
    "Your gap is right, and your error is that of two unpaired samples: it counts the luck of a seed twice, though it "
    "is the same for both recipes. Of which numbers should you take the standard deviation?"
)
def unpaired(one, other):
    n = len(one)
    return one.mean() - other.mean(), ((one.var() + other.var()) / n) ** 0.5


@paired_gap.mistake(
    "Your gap is right, and your error is the spread of one pair. How well is the mean of n pairs known?"
)
def spread_of_one_pair(one, other):
    return (one - other).mean(), (one - other).std()


@paired_gap.mistake(
    "You divided the variance of the gaps by the root of n. In which unit is a variance, and in which is a gap?"
)
def variance_for_deviation(one, other):
    return (one - other).mean(), (one - other).var() / len(one) ** 0.5


@paired_gap.mistake(
    "Your gap is right, and your error is the sum of the two recipes' own errors. The luck of a seed is in both, and "
    "the gap does not hold it: of which n numbers is the gap the mean?"
)
def errors_added(one, other):
    return (one - other).mean(), (one.std() + other.std()) / len(one) ** 0.5


def _error_of_a_recipe(one, other, which):
    return (one - other).mean(), which(one, other).std() / len(one) ** 0.5


for _which in (lambda one, other: one, lambda one, other: other):
    paired_gap.mistake(
        "Your gap is right, and your error is that of one recipe alone. Of which n numbers is the gap the mean?"
    )(partial(_error_of_a_recipe, which=_which))


@paired_gap.mistake("You divided by n. A mean of n numbers is how many times less uncertain than one of them?")
def divided_by_n(one, other):
    return (one - other).mean(), (one - other).std() / len(one)


@paired_gap.mistake(
    "Your standard deviation divides by n, which is right only where these seeds are all there are. What stands in its "
    "place for a sample?"
)
def pairs_are_all_there_are(one, other):
    return (one - other).mean(), (one - other).std(correction=0) / len(one) ** 0.5


@paired_gap.mistake("Your gap has the other sign: other above one. Which is taken from which?")
def the_other_way(one, other):
    return (other - one).mean(), (other - one).std() / len(one) ** 0.5


@paired_gap.mistake(
    "You took the gaps without their signs. What becomes of two seeds that speak against each other, +0.02 and −0.02?"
)
def without_signs(one, other):
    gaps = (one - other).abs()
    return gaps.mean(), gaps.std() / len(gaps) ** 0.5


@paired_gap.mistake(
    "You sorted both first: then the best seed of one meets the best of other, whichever they are. What makes a pair?"
)
def sorted_first(one, other):
    gaps = one.sort().values - other.sort().values
    return gaps.mean(), gaps.std() / len(gaps) ** 0.5


# ------------------------------------------------------------------------------------------------------ window reach


def _reach_cases():
    cases = []
    for seed, (n, width) in enumerate(sized([(6, 3), (8, 1), (9, 4), (12, 20), (7, 7)])):
        back = torch.rand(n, generator=generator(seed)) * (torch.arange(n) + 1)
        target = torch.arange(n) - back.long()  # somewhere in the past, or the token itself
        right = torch.arange(n) == target[:, None]
        right[torch.arange(0, n, 4)] = False  # tokens that ask nothing
        right[n - 1] = torch.arange(n) == max(0, n - width)  # the last token that a window reaches
        right[n - 2] = torch.arange(n) == max(0, n - 2 - width)  # and the first that it does not
        cases.append((right, width))
    return cases


@exercise(
    stars=2,
    minutes=12,
    hint="How far back may a token stand that a window of `width` still holds, the query itself included?",
    second_hint="Make an (N, N) table of how many tokens column j lies behind row i. The window holds the distances "
    "from 0 to width − 1. Count the answers that it holds, and divide by the number of answers that there are.",
    then="So the loss is known before any training, from where the answers stand and from nothing else.",
    cases=_reach_cases,
    parts={"share": ()},
)
def within_reach(right, width):
    """right (N, N) boolean marks at most one token in each row, never in the future: where the
    answer to that query stands. With a causal window a query sees its last `width` tokens,
    itself included. Of the queries that have an answer, what share can see it?"""
    i = torch.arange(len(right))
    seen = i[:, None] - i < width
    return (right & seen).sum() / right.sum()


def _back(right):
    i = torch.arange(len(right))
    return i[:, None] - i


@within_reach.mistake(
    "Your window is one token too wide. Width 1 is the token itself: how far back does a window of width reach?"
)
def one_too_wide(right, width):
    return (right & (_back(right) <= width)).sum() / right.sum()


@within_reach.mistake("Your window is one token too narrow. Does it hold the token that is width − 1 places back?")
def one_too_narrow(right, width):
    return (right & (_back(right) < width - 1)).sum() / right.sum()


@within_reach.mistake(
    "You divided by all N queries. Some ask nothing, and no window takes anything from them: should they count as lost?"
)
def over_all_queries(right, width):
    return (right & (_back(right) < width)).sum() / len(right)


@within_reach.mistake("You counted queries. The share of how many is asked for?")
def a_count(right, width):
    return (right & (_back(right) < width)).sum()


@within_reach.mistake("That is the share that the window loses. Which share was asked for?")
def what_is_lost(right, width):
    return (right & (_back(right) >= width)).sum() / right.sum()


@within_reach.mistake(
    "You divided by all the cells that the window shows. Most of them are no answer: the share of what is asked for?"
)
def of_the_window(right, width):
    seen = (_back(right) >= 0) & (_back(right) < width)
    return (right & seen).sum() / seen.sum()


@within_reach.mistake(
    "You kept the first columns of the map, the same ones for every query. A window moves along: which columns does "
    "query i see?"
)
def first_columns(right, width):
    return right[:, :width].sum() / right.sum()


@within_reach.mistake(
    "You averaged over all N × N cells of the map. How many answers has one query, and how many cells has its row?"
)
def over_all_cells(right, width):
    return (right & (_back(right) < width)).double().mean()


def _argmax_of_every_row(right, width, over):
    i = torch.arange(len(right))
    seen = i - right.int().argmax(dim=-1) < width
    return seen.sum() / (len(right) if over == "all" else right.sum())


for _over in ("all", "those that ask"):
    within_reach.mistake(
        "You took `argmax` of every row, and it gives 0 for a row without an answer, as if the answer stood at token "
        "0. Which rows have none?"
    )(partial(_argmax_of_every_row, over=_over))


@within_reach.mistake(
    "You subtracted i from j: the past lies at negative distances then, and all of it counts as near. Which of the two "
    "numbers is larger where a query looks back?"
)
def subtracted_the_other_way(right, width):
    return (right & (-_back(right) < width)).sum() / right.sum()
