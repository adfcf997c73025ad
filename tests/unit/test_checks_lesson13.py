"""Exercises of lesson 13: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from exercise_promises import promises
from torch.nn import functional as F

from mha_lab import checks, communication
from mha_lab.checks import lesson13_paper

EXERCISES = {name: getattr(checks, name) for name in ("rank_share", "kv_heads_held", "merge")}


def dealt(H, rank, ranks):
    """The heads of a rank as a slice."""
    heads = torch.arange(H).tensor_split(ranks)[rank].tolist()
    return heads[0], heads[-1] + 1


def share(
    x,
    W,
    b_o,
    H,
    rank,
    ranks,
    *,
    deal=dealt,
    rows=None,
    width=None,
    cut=None,
    see=None,
    bias=lambda b, rank, R: b * (rank == 0),
):
    """An answer in which one thing is done otherwise: deal, the rows of W_o, the width in the scale, the heads that the
    rank's columns are cut into, what they see of x, and who adds the bias."""
    B, N, D = x.shape
    K = D // H
    first, last = deal(H, rank, ranks)
    columns = slice(first * K, last * K)
    heads = cut(last - first) if cut else last - first
    seen = see(x, columns) if see else x
    q, k, v = (torch.stack((seen @ w[:, columns]).chunk(heads, -1), 1) for w in W[:3])
    scale = width(last - first, K) if width else q.shape[-1]
    found = torch.cat((torch.softmax(q @ k.transpose(2, 3) / scale**0.5, -1) @ v).unbind(1), -1)
    return found @ (rows(W[3], columns) if rows else W[3][columns]) + bias(b_o, rank, ranks)


def otherwise(**how):
    return lambda x, W, b_o, num_heads, rank, ranks: share(x, W, b_o, num_heads, rank, ranks, **how)


def whole(x, W, b_o, num_heads, rank, ranks):
    return share(x, W, b_o, num_heads, 0, 1)


def only_own_columns(x, columns):
    return torch.cat(
        [torch.zeros_like(x[..., : columns.start]), x[..., columns], torch.zeros_like(x[..., columns.stop :])], -1
    )


def all_heads_again(x, W, b_o, num_heads, rank, ranks):
    count = len(range(*dealt(num_heads, rank, ranks)))
    width = x.shape[-1] // num_heads * count
    heads = count if width % num_heads else num_heads
    return share(x, W, b_o, num_heads, rank, ranks, cut=lambda _: heads)


def in_turns(x, W, b_o, num_heads, rank, ranks):
    total = b_o * (rank == 0)
    for head in range(num_heads):
        if head % ranks == rank:
            total = total + share(x, W, 0 * b_o, num_heads, head, num_heads)
    return total


def query_heads(H, rank, ranks):
    return [head for head in range(H) if head * ranks // H == rank]


def weighed(one, other, lse=torch.logaddexp):
    """A merge in which the outputs are weighed as told."""
    return lambda output, lse_1, more, lse_2: (
        output * one(lse_1, lse_2)[:, None] + more * other(lse_1, lse_2)[:, None],
        lse(lse_1, lse_2),
    )


def first_share(a, b):
    return torch.sigmoid(a - b)


def second_share(a, b):
    return torch.sigmoid(b - a)


WRONG = {
    ("rank_share", "bias_on_every_rank"): otherwise(bias=lambda b, rank, ranks: b),
    ("rank_share", "no_bias"): otherwise(bias=lambda b, rank, ranks: 0),
    ("rank_share", "bias_in_equal_parts"): otherwise(bias=lambda b, rank, ranks: b / ranks),
    ("rank_share", "columns_of_w_o"): otherwise(rows=lambda W_o, mine: W_o.T[mine]),
    ("rank_share", "first_rows_of_w_o"): otherwise(rows=lambda W_o, mine: W_o[: mine.stop - mine.start]),
    ("rank_share", "the_rest_forgotten"): otherwise(deal=lambda H, r, R: (r * (H // R), (r + 1) * (H // R))),
    ("rank_share", "the_rest_on_the_last"): otherwise(
        deal=lambda H, r, R: (r * (H // R), H if r == R - 1 else (r + 1) * (H // R))
    ),
    ("rank_share", "cut_into_all_heads_again"): all_heads_again,
    ("rank_share", "columns_of_x"): otherwise(see=only_own_columns),
    ("rank_share", "one_wide_head"): otherwise(cut=lambda count: 1),
    ("rank_share", "scaled_by_the_ranks_width"): otherwise(width=lambda count, K: count * K),
    ("rank_share", "the_whole_layer"): whole,
    ("rank_share", "the_whole_layer_divided"): lambda x, W, b_o, num_heads, rank, ranks: (
        whole(x, W, b_o, num_heads, rank, ranks) / ranks
    ),
    ("rank_share", "every_rth_head"): in_turns,
    ("kv_heads_held", "cut_as_the_queries"): lambda H, G, rank, ranks: list(range(G))[G // ranks * rank :][
        : G // ranks
    ],
    ("kv_heads_held", "one_each_by_number"): lambda H, G, rank, ranks: (
        [rank] if G < ranks else list(range(rank * (G // ranks), (rank + 1) * (G // ranks)))
    ),
    ("kv_heads_held", "in_turns"): lambda H, G, rank, ranks: (
        [rank % G] if G < ranks else list(range(rank * (G // ranks), (rank + 1) * (G // ranks)))
    ),
    ("kv_heads_held", "never_two_groups"): lambda H, G, rank, ranks: (
        [rank * G // ranks + i for i in range(max(G // ranks, 1))]
    ),
    ("kv_heads_held", "the_query_heads"): lambda H, G, rank, ranks: query_heads(H, rank, ranks),
    ("kv_heads_held", "once_for_each_query"): lambda H, G, rank, ranks: [
        head * G // H for head in query_heads(H, rank, ranks)
    ],
    ("kv_heads_held", "all_of_them"): lambda H, G, rank, ranks: list(range(G)),
    ("merge", "plain_mean"): weighed(lambda a, b: 0 * a + 0.5, lambda a, b: 0 * b + 0.5),
    ("merge", "plain_sum"): weighed(lambda a, b: 0 * a + 1, lambda a, b: 0 * b + 1),
    ("merge", "only_the_second_rescaled"): weighed(lambda a, b: 0 * a + 1, second_share),
    ("merge", "shares_exchanged"): weighed(second_share, first_share),
    ("merge", "nothing_taken_out"): weighed(
        lambda a, b: a.exp() / (a.exp() + b.exp()),
        lambda a, b: b.exp() / (a.exp() + b.exp()),
        lambda a, b: (a.exp() + b.exp()).log(),
    ),
    ("merge", "logarithms_added"): weighed(first_share, second_share, lambda a, b: a + b),
    ("merge", "the_larger_lse"): weighed(first_share, second_share, torch.maximum),
    ("merge", "lse_kept"): weighed(first_share, second_share, lambda a, b: a),
    ("merge", "weighed_by_logarithms"): weighed(lambda a, b: a / (a + b), lambda a, b: b / (a + b)),
    ("merge", "one_share_for_all"): weighed(
        lambda a, b: torch.sigmoid(a.mean() - b.mean()).expand_as(a),
        lambda a, b: torch.sigmoid(b.mean() - a.mean()).expand_as(a),
    ),
    ("merge", "not_divided"): weighed(
        lambda a, b: (a - torch.max(a, b)).exp(), lambda a, b: (b - torch.max(a, b)).exp()
    ),
}


def term_by_term(x, W, b_o, num_heads, rank, ranks):
    """Head by head, as lesson 03 adds them up."""
    K, total = x.shape[-1] // num_heads, torch.zeros_like(x)
    for head in range(*dealt(num_heads, rank, ranks)):
        q, k, v = (x @ w[:, head * K : (head + 1) * K] for w in W[:3])
        total = total + F.scaled_dot_product_attention(q, k, v) @ W[3][head * K : (head + 1) * K]
    return total + b_o if rank == 0 else total


def by_exponentials_of_the_difference(output, lse, more, more_lse):
    share = 1 / (1 + (more_lse - lse).exp())[:, None]
    return share * output + (1 - share) * more, lse + F.softplus(more_lse - lse)


def distinct(num_heads, num_kv_heads, rank, ranks):
    groups = torch.tensor(query_heads(num_heads, rank, ranks)).div(num_heads // num_kv_heads, rounding_mode="floor")
    return groups.unique()


RIGHT = [
    ("rank_share", term_by_term),
    ("rank_share", otherwise()),
    ("kv_heads_held", distinct),
    ("merge", weighed(first_share, second_share)),
    ("merge", by_exponentials_of_the_difference),
]  # fmt: skip

TestExercises = promises(EXERCISES, WRONG, RIGHT)


# inside a model ------------------------------------------------------------------------------------------------------


def test_a_right_share_adds_up_in_minilms_layer_for_any_number_of_ranks():
    text = "\n".join(checks.rank_share(lambda *given: term_by_term(*given)).lines)
    assert "whose layer has 12 heads, your shares add up to the layer's output on 2, 3, 4 and 5 ranks" in text
    assert "With our function it does the same." in text


def test_a_share_that_is_right_on_the_shapes_of_the_check_only_is_found_out_in_minilm():
    def up_to_three_heads(x, W, b_o, num_heads, rank, ranks):
        first, last = dealt(num_heads, rank, ranks)
        return share(x, W, b_o, num_heads, rank, ranks, deal=lambda *_: (first, min(last, first + 3)))

    result = checks.rank_share(up_to_three_heads)
    assert not result.passed and "output on 4 and 5 ranks" in result.lines[0]


# on paper ------------------------------------------------------------------------------------------------------------

RIGHT_SIZES = 134, 235, 0.52, 4.7, 42


def test_the_papers_numbers_are_those_of_the_model_of_communication():
    size, sent, nvlink, network, token = checks.all_reduce_on_paper.solution()
    tensor = 8192 * 8192 * 2
    assert sent * 1e6 == communication.all_reduce_bytes(tensor, 8) and size * 1e6 == tensor
    fast, slow = communication.NVLINK, communication.INFINIBAND
    assert network == pytest.approx(1e3 * sent * 1e6 / slow.bytes_per_second)
    assert nvlink == pytest.approx(1e3 * sent * 1e6 / fast.bytes_per_second)
    assert token == pytest.approx(1e6 * communication.all_reduce_seconds(fast, 8192 * 2, 8))


@pytest.mark.parametrize("sizes", [RIGHT_SIZES, (130, 230, 0.5, 4.6, 42.1), list(RIGHT_SIZES)])
def test_a_pencil_may_be_a_little_off(sizes):
    assert checks.all_reduce_on_paper(sizes).passed


@pytest.mark.parametrize(
    "place, slip, question",
    [(at, slip, said) for at, slips in enumerate(lesson13_paper.SLIPS.values()) for slip, said in slips.items()],
)
def test_each_slip_of_the_pencil_gets_its_question(place, slip, question):
    result = checks.all_reduce_on_paper([*RIGHT_SIZES[:place], slip, *RIGHT_SIZES[place + 1 :]])
    assert not result.passed and question.endswith("?") and result.lines[0].endswith(question)


def test_other_sizes_are_told_by_how_much_they_are_off():
    assert "that is 3 times too large" in checks.all_reduce_on_paper((402.6, *RIGHT_SIZES[1:])).lines[0]
    assert "times too small" in checks.all_reduce_on_paper((*RIGHT_SIZES[:4], 1)).lines[0]


@pytest.mark.parametrize("answer", [(1, 2), "five", (1, 2, 3, 4, "x"), (1, 2, 3, 4, float("nan")), 7])
def test_what_is_no_five_numbers_is_told(answer):
    assert "Five numbers were asked for" in checks.all_reduce_on_paper(answer).lines[0]


def test_the_right_axes_pass_and_every_other_gets_a_question_of_its_own():
    right = list(lesson13_paper.CASES.values())
    assert checks.which_axis(right).passed and checks.which_axis(tuple(right)).passed
    said = set()
    for case, target in enumerate(right):
        for other in set(lesson13_paper.WAYS) - {target}:
            result = checks.which_axis([*right[:case], other, *right[case + 1 :]])
            assert not result.passed and "3 of 4" in result.verdict and result.lines[0].endswith("?")
            said.add(result.lines[0].partition(": ")[2])
    assert len(said) >= 11  # two of them ask the same


@pytest.mark.parametrize("answer", [("text", "texts"), ("a", "b", "c", "d"), "text", 3, ("text", "texts", "heads", 4)])
def test_what_is_no_four_axes_is_told(answer):
    assert "four of the words heads, text, layers, texts" in checks.which_axis(answer).lines[0]


def test_untouched_answers_are_no_attempt():
    assert checks.which_axis(None).state == checks.all_reduce_on_paper(None).state == "untouched"


def test_the_lesson_tells_the_cases_as_they_are_judged():
    lesson = Path(__file__).parents[2] / "notebooks/13_heads_across_machines.ipynb"
    text = "\n".join(cell.source for cell in nbformat.read(lesson, as_version=4).cells)
    told = re.findall(r"^\| [abcd] \| (.+) \|$", text, re.M)
    assert [words.lower() for words in told] == [words.lower() for words in lesson13_paper.CASES]
