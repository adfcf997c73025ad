"""Exercises of lesson 08, on images and long documents: which patches are a half, and what a window can still see."""

from functools import partial

import torch

from mha_lab.checks.engine import exercise


@exercise(
    stars=1,
    minutes=10,
    hint="Patch p stands in row `p // columns` and column `p % columns`. Compare the column with `columns // 2`.",
    then="Draw such a mask over the image once, before you trust a share of weight on it.",
    cases=lambda: [(torch.tensor(word), rows, columns) for word, rows, columns in _HALVES],
    parts={"mask": ("word", "patch")},
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


@asked_half.mistake(
    "You divided by the number of rows where columns was meant. How many patches stand in one row of the image?"
)
def rows_for_columns(words, rows, columns):
    column = torch.arange(rows * columns) % rows
    return (column >= columns // 2) == (words[:, None] == 1)


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


# ------------------------------------------------------------------------------------------------------ window reach


def _reach_cases():
    cases = []
    for seed, (n, width) in enumerate([(6, 3), (8, 1), (9, 4), (12, 20), (7, 7)]):
        generator = torch.Generator().manual_seed(seed)
        back = torch.rand(n, generator=generator) * (torch.arange(n) + 1)
        target = torch.arange(n) - back.long()  # somewhere in the past, or the token itself
        right = torch.arange(n) == target[:, None]
        right[torch.arange(0, n, 4)] = False  # tokens that ask nothing
        right[n - 1] = torch.arange(n) == max(0, n - width)  # the last token that a window reaches
        right[n - 2] = torch.arange(n) == max(0, n - 2 - width)  # and the first that it does not
        cases.append((right, width))
    return cases


@exercise(
    stars=2,
    minutes=15,
    hint="How far back is token j from query i? `i[:, None] - i`. The window holds the distances 0 to width − 1. Only "
    "queries whose row of right holds something count in the denominator.",
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
