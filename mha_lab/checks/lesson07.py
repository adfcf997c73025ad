"""Exercises of lesson 07: a head's name, a head switched off in the weights, importance from a gradient, a choice that
is reported on other examples. The last three go on in trained models."""

import copy
from functools import partial

import numpy as np
import torch

from mha_lab import heads, models, pretrained, tasks
from mha_lab.checks import pictures
from mha_lab.checks.class_key import sized, some
from mha_lab.checks.compare import difference
from mha_lab.checks.engine import exercise, seeded
from mha_lab.checks.in_model import model_exercise
from mha_lab.checks.returned import a_thing


def _trained_on_the_pair(given, layers, num_heads):
    """Whether this is a model of previous-and-match with so many layers of so many heads."""
    task = tasks.previous_and_match()
    return (
        isinstance(given, models.Encoder)
        and tuple(embed.num_embeddings for embed in given.embed) == tuple(task.vocabularies)
        and given.causal
        and [block.attention.num_heads for block in given.blocks] == [num_heads] * layers
    )


def _examples(count, seed):
    return tasks.previous_and_match().draw(count, torch.Generator().manual_seed(seed))


def _name_heads_cases():
    cases = []
    sizes = [(2, 4, 0.5), (3, 2, 0.4), (4, 4, 0.6), (2, 6, 0.7), (3, 3, 0.5)]
    for seed, (R, H, least) in enumerate(sized(sizes)):
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
    minutes=5,
    hint="Which of the two axes holds what one head can be named for, and what is the largest number along it?",
    second_hint="torch's `max` along that axis gives two things: the largest share of each head, and the place where "
    "it stands, which is the name. Keep the name where the share is large enough, and write −1 elsewhere: torch's "
    "`where` does both.",
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
    sizes = [(D * some(1, 3), (head + some(0, 7)) % heads, heads) for D, head, heads in sizes]
    return [(*seeded(seed, (D, D)), head, num_heads) for seed, (D, head, num_heads) in enumerate(sizes)]


def _first_of_two_heads(model):
    if _trained_on_the_pair(model, 1, 2):
        return model.blocks[0].attention.out_proj.weight.detach().clone(), 0, 2
    return (
        f"The second argument is {a_thing(model)}, and a model with one layer of two heads was asked for: "
        "`checks.without_head(without_head, trained(task, 2))`. Which cell of section 1 makes `trained`?"
    )


def _accuracy_with(weight, model):
    """(previous, match): the share of right answers with this weight behind Concat."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed.blocks[0].attention.out_proj.weight.copy_(torch.as_tensor(weight))
    return changed.accuracy(_examples(1000, 10_000)).tolist()


def _without_the_first(yours, target, model):
    said = "{:.2f} of the answers to “previous” are right, and {:.2f} of those to “match”"
    mine, right = (said.format(*_accuracy_with(weight, model)) for weight in (yours[0], target[0]))
    line = f"In the trained model of section 1, with your weight in place of its own: {mine}."
    return line if np.allclose(yours[0], target[0]) else f"{line} With ours: {right}."


def _emptied_columns(yours, target, model):
    from mha_lab import plots

    title = "Your weight behind Concat: which columns speak"
    figure = pictures.bare_figure(title, 5.2, 4.6)
    D = yours[0].shape[1]
    columns = [f"head {column // (D // 2)}" if column % (D // 2) == D // 4 else "" for column in range(D)]
    weight = np.nan_to_num(yours[0].astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    plots.score_map(weight, [""] * len(weight), columns, numbers=False, title=title, ax=figure.subplots())
    figure.axes[-1].set_ylabel("weight")  # the colour bar's
    return figure


@model_exercise(
    stars=2,
    minutes=10,
    hint="nn.Linear computes x @ weight.T, so weight[i, j] leads from input j to output i. On which side do the heads "
    "stand, and how many numbers does each of them hand over?",
    second_hint="The heads lie side by side in the *input* of W^O, so each has D / num_heads columns of its own. In a "
    "copy of the weight, put 0 where the columns of this head are.",
    then="So switching off needs no hook and no mask: a head is heard through these columns and through nothing else.",
    cases=_without_head_cases,
    parts={"weight": ("output", "input")},
    inside=_first_of_two_heads,
    says=_without_the_first,
    shows=_emptied_columns,
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


def _as_wide_as_in_the_model(weight, head, num_heads, fixed):
    start = 0 if fixed else 32 * head
    silent = weight.clone()
    silent[:, start : start + 32] = 0
    return silent


for _fixed in (True, False):
    without_head.mistake(
        "You emptied 32 columns, as wide as a head of section 1's model, in every call. Which of the arguments say how "
        "wide a head is here?"
    )(partial(_as_wide_as_in_the_model, fixed=_fixed))


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
    sizes = sized(sizes, together=(2, 3))
    return [(*seeded(seed, (B, N, D), (B, N, D)), num_heads) for seed, (B, N, D, num_heads) in enumerate(sizes)]


def _in_the_wide_model(model):
    if _trained_on_the_pair(model, 2, 8):
        return *_concat_and_gradient(model, _examples(500, 2)), 8
    return (
        f"The second argument is {a_thing(model)}, and a model with two layers of eight heads was asked for: "
        "`checks.head_importance(head_importance, wide)`. Which cell of section 6 has loaded it?"
    )


def _concat_and_gradient(model, batch):
    """Of layer 0, (B, N, D) each: what W^O reads, and the gradient of each example's loss by it."""
    kept = []
    handle = model.blocks[0].attention.out_proj.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    try:
        loss = model.losses(batch).sum()
    finally:
        handle.remove()
    return kept[0].detach(), torch.autograd.grad(loss, kept[0])[0]


@torch.no_grad()
def _cost_of_each_head(model):
    """(8,) thousandths of a nat that the loss grows without each head of layer 0."""
    batch, losses = _examples(500, 2), []
    for off in [], *([(0, head)] for head in range(8)):
        with heads.ablated(model, off):
            losses.append(model.losses(batch).mean().item())
    return [1000 * (loss - losses[0]) for loss in losses[1:]]


def _steepest_and_costliest(yours, target, model):
    steepest, cost = int(np.argmax(yours[0])), _cost_of_each_head(model)
    line = (
        f"In layer 0 of the trained model your steepest head is head {steepest}; without it the loss grows by "
        f"{cost[steepest]:.1f} thousandths of a nat."
    )
    if np.allclose(yours[0], target[0], rtol=1e-3):
        return f"{line} Without head {int(np.argmax(cost))} it grows most, by {max(cost):.1f}."
    return f"{line} By our numbers head {int(np.argmax(target[0]))} is the steepest."


def _slope_beside_cost(yours, target, model):
    from mha_lab import plots

    title = "Layer 0 of the trained model, thousandths of a nat"
    figure = pictures.bare_figure("your slope of each head, beside what its removal costs", 7.2, 2.2)
    rows = np.nan_to_num(np.stack([1000 * yours[0].astype(np.float64), _cost_of_each_head(model)])).round(1) + 0.0
    plots.label_grid(
        [[f"{number:.1f}" for number in row] for row in rows],
        rows=["your slope", "cost of removal"],
        columns=[f"head {head}" for head in range(8)],
        tint=np.clip(rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12), 0, 1),
        title=title,
        ax=figure.subplots(),
    )
    return figure


@model_exercise(
    stars=3,
    minutes=10,
    hint="A factor in front of a head multiplies all of its columns at all tokens. What does the chain rule say about "
    "the slope by one number that multiplies many?",
    second_hint="The slope is a sum of products, concat times gradient, over the head's K columns and all N tokens: "
    "one number for each example and head. Only then take its size, and the mean over examples. To cut the columns "
    "into heads, give them an axis of their own, as in lesson 02.",
    then="This is heads.importance, and Michel 2019, equation 2: one backward pass judges all heads at once.",
    cases=_head_importance_cases,
    parts={"importance": ("head",)},
    sizes=lambda concat, gradient, num_heads: {
        "B": concat.shape[0],
        "N": concat.shape[1],
        "K": concat.shape[2] / num_heads,
        "num_heads": num_heads,
    },
    inside=_in_the_wide_model,
    says=_steepest_and_costliest,
    shows=_slope_beside_cost,
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


def _norms_of_the_gradient(concat, gradient, num_heads, summed):
    norms = _by_head(gradient, num_heads).norm(dim=3)
    return (norms.sum(dim=1) if summed else norms.mean(dim=1)).mean(dim=0)


for _summed in (True, False):
    head_importance.mistake(
        "You measured how long the gradient is, and Concat does not enter. By how much does a factor move a column "
        "that is 0, and by how much a large one?"
    )(partial(_norms_of_the_gradient, summed=_summed))


@head_importance.mistake(
    "You took | | of each token, and their mean. One factor stands before the head at all tokens: what is summed "
    "before the size is taken?"
)
def mean_size_of_each_token(concat, gradient, num_heads):
    return _by_head(concat * gradient, num_heads).sum(dim=3).abs().mean(dim=(0, 1))


# --------------------------------------------------------------------------------------------- a choice, and its report

GONE = 36  # of MiniLM's 72 heads, in each of the twenty random sets
CHOSEN_ON = [0, 2, 4, 6]  # of the eight words; the other four report


def _choices():
    """Right answers, 1 or 0, of some sets of heads on two parts; no two sets are equally good on a part."""
    cases, seed = [], 0
    for sets, many, few in (5, 40, 30), (3, 60, 25), (8, 50, 50), (4, 30, 45), (6, 35, 60):
        while True:
            level, one, other = seeded(seed, (sets, 1), (sets, many), (sets, few))
            seed += 1
            parts = [(0.5 * level + noise > -0.8).float() for noise in (one, other)]
            best = [part.mean(dim=1).argmax().item() for part in parts]
            if all(len(part.sum(dim=1).unique()) == sets for part in parts) and best[0] != best[1]:
                break
        cases.append(tuple(parts))
    return cases


def _right_without(found, words):
    """(20, examples) of MiniLM's random sets with GONE heads off: on which side is each sentence of these words?"""
    margins = found.margin_random[:, found.removed.index(GONE)]
    return (margins[:, words] > 0).float().flatten(1)


def _twenty_sets(found):
    if isinstance(found, pretrained.Ablations):
        others = [word for word in range(len(found.words)) if word not in CHOSEN_ON]
        return _right_without(found, CHOSEN_ON), _right_without(found, others)
    return (
        f"The second argument is {a_thing(found)}, and the recorded ablations were asked for: "
        "`checks.choose_and_report(choose_and_report, encoder)`. Which cell of section 8 has loaded them?"
    )


def _what_you_would_report(yours, target, found):
    validation, _ = _twenty_sets(found)
    seen = validation.mean(dim=1).max().item()
    report = (
        f"MiniLM without {GONE} of its 72 heads, twenty random sets: the best one is right in {seen:.0%} of the "
        f"sentences on which it was chosen. You report {float(yours[0]):.0%}, beside {float(yours[1]):.0%} at random"
    )
    if np.allclose([*yours], [*target], atol=1e-4):
        return f"{report}: on words that it was not chosen on, this set is no better than chance."
    return f"{report}; we report {float(target[0]):.0%}, beside {float(target[1]):.0%}."


def _chosen_and_others(yours, target, found):
    from mha_lab import plots

    title = "Twenty random sets of heads: the best on four words is not the best on four others"
    figure = pictures.bare_figure(title, 6.4, 3.6)
    ax = figure.subplots()
    validation, test = (part.mean(dim=1).numpy() for part in _twenty_sets(found))
    best = validation.argmax()
    ax.plot(validation, test, "o", color=plots.INK, alpha=0.55)
    ax.plot(validation[best], test[best], "s", color=plots.KEY, markersize=9)
    ax.annotate(
        "the best on validation",
        (validation[best], test[best]),
        (-10, -3),
        textcoords="offset points",
        ha="right",
        va="top",
    )
    ax.axhline(float(yours[1]), color=plots.QUERY, linewidth=1.2)
    ax.annotate(
        "your number for a random set",
        (validation.min(), float(yours[1])),
        (0, -12),
        textcoords="offset points",
        color=plots.QUERY,
    )
    ax.set(xlabel="right on the four words of validation", ylabel="right on four other words")
    ax.set_xticks(np.arange(0.8, 1.01, 0.05))
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.set_title(title, loc="left", fontsize=9)
    return figure


@model_exercise(
    stars=2,
    minutes=5,
    hint="Which examples may decide, and which examples must not have decided anything? And what does somebody get who "
    "draws one of the sets blindly?",
    second_hint="The place of the largest mean on the validation examples is your choice. Report the mean of this row "
    "on the test examples. A blind draw gets each row as often as any other, so its expected share there is the mean "
    "of all rows.",
    then="The largest of twenty numbers is large by luck, too. On the examples that chose it, the luck is counted in.",
    cases=_choices,
    parts={"report": (), "blind draw": ()},
    inside=_twenty_sets,
    says=_what_you_would_report,
    shows=_chosen_and_others,
    sizes=lambda validation, test: {
        "(number of sets)": len(validation),
        "(validation examples)": validation.shape[1],
        "(test examples)": test.shape[1],
    },
)
def choose_and_report(validation, test):
    """validation (sets, examples), test (sets, other examples): 1 where a set of heads answers an
    example rightly, else 0. Choose one set. Return the share of right answers that you report
    for it, and the share that a set drawn blindly is expected to get on the same examples."""
    chosen = validation.mean(dim=1).argmax()
    return test[chosen].mean(), test.mean()


@choose_and_report.mistake(
    "You chose on the test examples, and report on them, too: the luck of the best set is in your number. Which "
    "examples are there to choose on?"
)
def chosen_on_the_test(validation, test):
    return test.mean(dim=1).max(), test.mean()


@choose_and_report.mistake(
    "Your choice is right, and your report is its share on the examples that chose it. Which examples have not "
    "decided anything yet?"
)
def reported_on_validation(validation, test):
    return validation.mean(dim=1).max(), test.mean()


@choose_and_report.mistake("Both of your numbers are from the validation examples. What are the test examples for?")
def all_on_validation(validation, test):
    return validation.mean(dim=1).max(), validation.mean()


@choose_and_report.mistake(
    "Your report is right. Your random set is judged on the validation examples: would you compare two runners on two "
    "different courses?"
)
def random_on_validation(validation, test):
    return test[validation.mean(dim=1).argmax()].mean(), validation.mean()


@choose_and_report.mistake(
    "You chose on all examples together, so the test has decided, too. Which examples must stay unseen until the end?"
)
def chosen_on_both(validation, test):
    both = torch.cat([validation, test], dim=1)
    return test[both.mean(dim=1).argmax()].mean(), test.mean()


@choose_and_report.mistake(
    "You report a mean over both parts. On one of them the set was chosen: what does that do to the mean?"
)
def reported_on_both(validation, test):
    chosen = validation.mean(dim=1).argmax()
    return torch.cat([validation[chosen], test[chosen]]).mean(), test.mean()


@choose_and_report.mistake("You took the set that is worst on the validation examples. Which one do you want to keep?")
def the_worst_one(validation, test):
    return test[validation.mean(dim=1).argmin()].mean(), test.mean()


@choose_and_report.mistake(
    "Your report is right. For the random set you took the best one there is. What does one get *on average* who draws "
    "blindly?"
)
def best_for_random(validation, test):
    return test[validation.mean(dim=1).argmax()].mean(), test.mean(dim=1).max()


@choose_and_report.mistake(
    "Your report is right. For the random set you left out the chosen one. Can somebody who draws blindly not draw it?"
)
def others_for_random(validation, test):
    chosen = validation.mean(dim=1).argmax()
    others = torch.arange(len(test)) != chosen
    return test[chosen].mean(), test[others].mean()
