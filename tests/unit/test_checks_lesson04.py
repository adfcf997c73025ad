"""Lesson 04's exercises: the solutions agree with mha_lab.cost, and each wrong count that we know gets its question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import pytest
import torch
from exercise_promises import no_two_mistakes_are_one

from mha_lab import MultiHeadAttention, checks, cost

EXERCISES = {task.__name__: task for task in (checks.count_parameters, checks.count_flops, checks.peak_scores)}
WRONG = {}  # (exercise, mistake) -> learners' functions, each on the way to this mistake


def wrong(exercise, mistake):
    def register(function):
        WRONG.setdefault((exercise, mistake), []).append(function)
        return function

    return register


def messages(task):
    return {getattr(f, "__name__", None) or f.func.__name__: message for f, message in task.mistakes}


# ----------------------------------------------------------------------------------------------------- parameters


@wrong("count_parameters", "full_matrices_for_each_head")
def _(d_model, num_heads, num_kv_heads):
    return num_heads * (4 * d_model**2)


@wrong("count_parameters", "full_matrices_for_each_head")
def _(d_model, num_heads, num_kv_heads):
    return sum(4 * (d_model**2 + d_model) for _ in range(num_heads))


@wrong("count_parameters", "full_matrices_for_each_head")
def _(d_model, num_heads, num_kv_heads):
    matrix = torch.nn.Linear(d_model, d_model)
    return (2 * num_heads + 2 * num_kv_heads) * sum(p.numel() for p in matrix.parameters())


@wrong("count_parameters", "w_o_forgotten")
def _(d_model, num_heads, num_kv_heads):
    d_head = d_model / num_heads
    query = d_model * d_model + d_model
    key = value = d_model * (num_kv_heads * d_head) + num_kv_heads * d_head
    return query + key + value


@wrong("count_parameters", "biases_forgotten")
def _(d_model, num_heads, num_kv_heads):
    return 2 * d_model**2 * (1 + num_kv_heads / num_heads)


@wrong("count_parameters", "sharing_ignored")
def _(d_model, num_heads, num_kv_heads):
    return sum(p.numel() for p in MultiHeadAttention(d_model, num_heads).parameters())


@wrong("count_parameters", "queries_shared_too")
def _(d_model, num_heads, num_kv_heads):
    narrow = d_model // num_heads * num_kv_heads
    q_k_v = [torch.nn.Linear(d_model, narrow) for _ in range(3)]
    return sum(p.numel() for m in [*q_k_v, torch.nn.Linear(d_model, d_model)] for p in m.parameters())


@wrong("count_parameters", "the_textbooks_formula")
def _(d_model, num_heads, num_kv_heads):
    return 4 * d_model**2


@wrong("count_parameters", "biases_of_full_width")
def _(d_model, num_heads, num_kv_heads):
    narrow = d_model // num_heads * num_kv_heads
    return 2 * d_model**2 + 2 * d_model * narrow + 4 * d_model


@wrong("count_parameters", "one_column_for_each_kv_head")
def _(d_model, num_heads, num_kv_heads):
    return 2 * (d_model**2 + d_model) + 2 * (d_model * num_kv_heads + num_kv_heads)


@wrong("count_parameters", "bias_of_w_o_forgotten")
def _(d_model, num_heads, num_kv_heads):
    narrow = d_model // num_heads * num_kv_heads
    return (d_model + 1) * (d_model + 2 * narrow) + d_model**2


@wrong("count_parameters", "one_head_only")
def _(d_model, num_heads, num_kv_heads):
    d_head = d_model // num_heads
    return 3 * (d_model * d_head + d_head) + d_model * d_model + d_model


# ---------------------------------------------------------------------------------------------------------- FLOPs


def products(B, N, S, d, h, g, *, kv=None):
    """Multiply-adds by name, written as a learner would."""
    k = d // h
    kv = g * k if kv is None else kv
    return {"q": B * N * d * d, "k": B * S * d * kv, "v": B * S * d * kv, "qk": B * h * N * k * S} | {
        "av": B * h * N * S * k,
        "o": B * N * d * d,
    }


@wrong("count_flops", "multiply_add_as_one")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    return sum(products(B, N, S, d_model, num_heads, num_kv_heads).values())


@wrong("count_flops", "blind_as_hooks")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    layer, counted = MultiHeadAttention(d_model, num_heads, num_kv_heads), []
    for linear in (m for m in layer.modules() if isinstance(m, torch.nn.Linear)):
        linear.register_forward_hook(lambda m, args, out: counted.append(2 * out.numel() * m.in_features))
    layer(torch.zeros(B, N, d_model), torch.zeros(B, S, d_model), need_weights=True)
    return sum(counted)


@wrong("count_flops", "attention_alone")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    return 2 * B * (N * S * d_model + N * S * d_model)


@wrong("count_flops", "w_o_not_counted")
def _(*sizes):
    counted = products(*sizes)
    del counted["o"]
    return 2 * sum(counted.values())


@wrong("count_flops", "values_not_weighted")
def _(*sizes):
    counted = products(*sizes)
    del counted["av"]
    return 2 * sum(counted.values())


@wrong("count_flops", "values_not_weighted")
def _(*sizes):
    counted = products(*sizes)  # halved, as if a causal mask saved the other half
    return 2 * sum((counted | {"qk": counted["qk"] / 2, "av": counted["av"] / 2}).values())


@wrong("count_flops", "_in_thousands")
def _(*sizes):
    return 2 * sum(products(*sizes).values()) / 1e9


@wrong("count_flops", "_as_in_the_lesson")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    return 8 * N * d_model**2 + 4 * N**2 * d_model


@wrong("count_flops", "_as_in_the_lesson")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    return B * (8 * N * d_model**2 + 4 * N * S * d_model)


@wrong("count_flops", "full_width_for_each_head")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    counted = products(B, N, S, d_model, num_heads, num_kv_heads)
    counted |= {"qk": num_heads * B * N * d_model * S, "av": num_heads * B * N * S * d_model}
    return 2 * sum(counted.values())


@wrong("count_flops", "batch_forgotten")
def _(B, *sizes):
    return 2 * sum(products(1, *sizes).values())


@wrong("count_flops", "keys_counted_as_queries")
def _(B, N, S, *sizes):
    counted, of_queries = products(B, N, S, *sizes), products(B, N, N, *sizes)
    return 2 * sum((counted | {"k": of_queries["k"], "v": of_queries["v"]}).values())


@wrong("count_flops", "square_scores")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    kv = d_model // num_heads * num_kv_heads
    return B * (4 * N * d_model**2 + 4 * S * d_model * kv + 4 * N * N * d_model)


@wrong("count_flops", "every_n_alike")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    kv = d_model // num_heads * num_kv_heads
    return B * (4 * N * d_model**2 + 4 * N * d_model * kv + 4 * N**2 * d_model)


@wrong("count_flops", "narrow_keys_ignored")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    return 2 * sum(products(B, N, S, d_model, num_heads, num_kv_heads, kv=d_model).values())


@wrong("count_flops", "sharing_saves_products")
def _(B, N, S, d_model, num_heads, num_kv_heads):
    k = d_model // num_heads
    counted = products(B, N, S, d_model, num_heads, num_kv_heads)
    return 2 * sum((counted | {"qk": B * num_kv_heads * N * k * S, "av": B * num_kv_heads * N * S * k}).values())


# --------------------------------------------------------------------------------------------------------- scores


@wrong("peak_scores", "one_tensor")
def _(B, N, S, num_heads, num_kv_heads):
    return torch.zeros(B, num_heads, N, S).nbytes


@wrong("peak_scores", "one_tensor")
def _(B, N, S, num_heads, num_kv_heads):
    return 2 * torch.zeros(B, num_heads, N, S, dtype=torch.bfloat16).nbytes


@wrong("peak_scores", "numbers_for_bytes")
def _(B, N, S, num_heads, num_kv_heads):
    return 2 * torch.zeros(B, num_heads, N, S).numel()


@wrong("peak_scores", "numbers_of_one_tensor")
def _(B, N, S, num_heads, num_kv_heads):
    return B * num_heads * N * S


@wrong("peak_scores", "_in_larger_units")
def _(B, N, S, num_heads, num_kv_heads):
    return 2 * torch.zeros(B, num_heads, N, S).nbytes / 2**30


@wrong("peak_scores", "bits_for_bytes")
def _(B, N, S, num_heads, num_kv_heads):
    return 2 * B * num_heads * N * S * 32


@wrong("peak_scores", "maps_shared")
def _(B, N, S, num_heads, num_kv_heads):
    return 2 * torch.zeros(B, num_kv_heads, N, S).nbytes


@wrong("peak_scores", "one_map_for_all_heads")
def _(B, N, S, num_heads, num_kv_heads):
    return 2 * torch.zeros(B, N, S).nbytes


@wrong("peak_scores", "_square")
def _(B, N, S, num_heads, num_kv_heads):
    return 2 * B * num_heads * N**2 * 4


@wrong("peak_scores", "_square")
def _(B, N, S, num_heads, num_kv_heads):
    return 2 * B * num_heads * S**2 * 4


@wrong("peak_scores", "one_sentence")
def _(B, N, S, num_heads, num_kv_heads):
    return 2 * num_heads * N * S * 4


# ------------------------------------------------------------------------------------------------- the promises


@pytest.mark.parametrize("exercise, mistake", WRONG)
def test_a_wrong_count_gets_the_question_that_leads_on(exercise, mistake):
    task = EXERCISES[exercise]
    for learners in WRONG[exercise, mistake]:
        result = task(learners)
        assert result.state == "wrong"
        assert result.lines[0] == messages(task)[mistake]
        assert "the target" in result.lines[1]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_known_mistake_has_its_own_message_and_a_learner_who_makes_it(exercise):
    named = messages(EXERCISES[exercise])
    no_two_mistakes_are_one(EXERCISES[exercise])
    assert len(named) >= 3 and len(set(named.values())) == len(named)
    assert all("?" in message for message in named.values())
    assert set(named) == {mistake for name, mistake in WRONG if name == exercise}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_solution_passes_as_it_is_shown(exercise):
    task, shown = EXERCISES[exercise], {}
    exec(task.source, shown)  # what a reader copies out of the card, and nothing else
    for solution in task.solution, shown[exercise]:
        result = task(solution)
        assert result.passed and result.verdict == f"passes on {len(task.cases())} shapes"


def test_the_solutions_are_what_the_package_counts():
    assert checks.count_parameters(lambda d, h, g: cost.parameters(d, h, g)).passed
    assert checks.count_parameters(
        lambda d, h, g: sum(p.numel() for p in MultiHeadAttention(d, h, g).parameters())
    ).passed
    assert checks.count_flops(lambda B, N, S, d, h, g: sum(cost.flops(B, N, d, h, g, S=S).values())).passed
    assert checks.peak_scores(lambda B, N, S, h, g: 8 * cost.stored_scores(B, N, h, S=S)).passed


def test_a_count_may_be_a_float_or_a_tensor_and_must_be_exact():
    right = checks.count_flops.solution
    assert checks.count_flops(lambda *sizes: float(right(*sizes))).passed
    assert checks.count_flops(lambda *sizes: torch.tensor(right(*sizes))).passed
    assert not checks.count_flops(lambda *sizes: right(*sizes) + 1).passed


def test_a_factor_that_nobody_foresaw_is_told_as_a_factor():
    result = checks.peak_scores(lambda *sizes: 3 * checks.peak_scores.solution(*sizes))
    assert result.lines == (
        "Called with B = 1, N = 16, S = 16, num_heads = 4, num_kv_heads = 4: "
        "yours is 24,576, the target 8,192: yours is 3 times the target.",
        "Yours is 3 times the target, in every call. Where does this factor come in?",
    )


def test_a_term_that_nobody_foresaw_is_told_as_a_difference():
    right = checks.count_parameters.solution
    one_more = checks.count_parameters(lambda *sizes: right(*sizes) + 1)
    assert "yours is 16,641, the target 16,640: yours is 1 more than the target." in one_more.lines[0]
    assert one_more.lines[1].startswith("Yours is 1 more than the target, in every call.")
    a_bias_more = checks.count_parameters(lambda d_model, *heads: right(d_model, *heads) + 2 * d_model)
    assert a_bias_more.lines[1].startswith("Yours is 2·d_model more than the target, in every call.")


def test_more_than_one_number_is_told_with_its_shape():
    line = checks.count_flops(lambda *sizes: [1, 2]).lines[0]
    assert "yours has shape (2,), and one number was asked for." in line
