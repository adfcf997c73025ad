"""Lesson 04's exercises: the solutions agree with mha_lab.cost, and each wrong count that we know gets its question,
in SmolLM2's layers too and for numbers from a pencil.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import pytest
import torch
from exercise_promises import as_a_learner, no_two_mistakes_are_one

from mha_lab import MultiHeadAttention, checks, cost, pretrained, published
from mha_lab.checks.lesson04_paper import ASKED, SLIPS
from mha_lab.pretrained import ModelMissing, counted

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
    for solution in as_a_learner(task.solution), shown[exercise]:
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


# ------------------------------------------------------------------------------------------------------- in SmolLM2

IN_A_LAYER = 337_093_632  # FLOPs of one attention layer on the recorded 158 tokens


@pytest.fixture
def absent(monkeypatch):
    def load():
        raise ModelMissing("not here")

    monkeypatch.setattr(counted.SmolLM2, "load", load)


@pytest.fixture(scope="module")
def layers():
    try:
        pretrained.SmolLM2.load()
    except ModelMissing as missing:
        pytest.skip(str(missing))
    return pretrained.counted_smollm2()


def test_what_torch_counts_in_smollm2_is_what_its_published_sizes_give(layers):
    assert layers.flops == [checks.count_flops.solution(*layers.sizes)] * 30 == [IN_A_LAYER] * 30


def test_the_learners_count_stands_beside_what_torch_saw_in_the_model(layers):
    result = checks.count_flops(lambda *sizes: 2 * sum(products(*sizes).values()), layers)
    assert result.passed and "one text of 158 tokens, which looks at itself" in result.lines[0]
    assert "in each of its 30 attention layers" in result.lines[0]
    assert "337,093,632 FLOPs: your number, to the last digit." in result.lines[0]
    wrong = checks.count_flops(lambda *sizes: sum(products(*sizes).values()), layers)
    assert wrong.state == "wrong" and wrong.lines[0] == messages(checks.count_flops)["multiply_add_as_one"]
    assert "yours says 168,546,816 FLOPs; torch's counter saw in the model 337,093,632." in wrong.lines[-1]
    assert wrong.picture().axes[0].get_title(loc="left").startswith("A layer of SmolLM2")


def test_without_the_model_its_published_sizes_judge(absent):
    layers = pretrained.counted_smollm2()
    assert layers.flops is None and layers.sizes == (1, 158, 158, 576, 9, 3)
    result = checks.count_flops(lambda *sizes: 2 * sum(products(*sizes).values()), layers)
    assert result.passed and "does 337,093,632 FLOPs on 158 tokens, as you say" in result.lines[0]
    assert "make models" in result.lines[0] and result.picture()
    wrong = checks.count_flops(lambda *sizes: 0, layers)
    assert "yours says 0 FLOPs; its published sizes give 337,093,632." in wrong.lines[-1] and wrong.picture()


def test_a_count_that_is_right_on_small_sizes_alone_does_not_pass(absent):
    def small_only(B, N, S, *sizes):
        return (2 if N < 100 else 1) * sum(products(B, N, S, *sizes).values())

    result = checks.count_flops(small_only, pretrained.counted_smollm2())
    assert result.state == "wrong" and "and inside the model: " in result.lines[0]
    assert checks.count_flops(small_only).passed


def test_a_function_that_raises_or_is_none_is_judged_as_without_the_model(absent):
    def stub(B, N, S, d_model, num_heads, num_kv_heads):
        """sizes"""

    layers = pretrained.counted_smollm2()
    assert checks.count_flops(stub, layers).state == "untouched"
    assert checks.count_flops(lambda *sizes: 1 / 0, layers).state == "wrong"


def test_another_second_argument_is_named():
    result = checks.count_flops(as_a_learner(checks.count_flops.solution), pretrained.counted_smollm2)
    assert result.state == "wrong" and "Are the brackets at its end missing?" in result.lines[0]


# ---------------------------------------------------------------------------------------------------------- on paper

ON_PAPER = (1e8, 5e9, 1.3, 1.7e7, 2048)


@pytest.mark.parametrize("answer", [ON_PAPER, list(ON_PAPER), torch.tensor(ON_PAPER), (7e7, 8e9, 2, 1e7, 2000)])
def test_an_order_of_magnitude_is_enough_on_paper(answer):
    result = checks.cost_on_paper(answer)
    assert result.passed and "parameters, 1.007e+08; FLOPs of one layer, 5.369e+09 FLOPs" in result.lines[0]


def test_the_paper_is_about_a_layer_as_the_package_counts_it():
    parameters, one_layer, seconds, scores, meet = checks.cost_on_paper.solution()
    assert parameters == 24 * cost.parameters(1024, 16, bias=False)
    assert one_layer == sum(cost.flops(1, 512, 1024, 16).values()) and seconds == 24 * one_layer / 1e11
    assert scores == 4 * cost.stored_scores(1, 512, 16)
    at = cost.flops(1, meet, 1024, 16)
    assert at["QKᵀ"] + at["AV"] == sum(at.values()) / 2


@pytest.mark.parametrize("at, slip", [(at, slip) for at, name in enumerate(ASKED) for slip in SLIPS[name]])
def test_a_slip_on_paper_gets_its_own_question(at, slip):
    result = checks.cost_on_paper([*ON_PAPER[:at], slip, *ON_PAPER[at + 1 :]])
    assert result.state == "wrong" and result.verdict == "not yet: 4 of 5 are within a factor of two"
    (line,) = result.lines
    name = list(ASKED)[at]
    assert line.startswith(ASKED[name].partition("{}")[0]) and line.endswith(SLIPS[name][slip]) and "?" in line


def test_the_questions_about_one_number_differ_and_no_slip_is_taken_for_another():
    for slips in SLIPS.values():
        assert len(set(slips.values())) == len(slips)
        near = sorted(slips)
        assert all(b / a > 1.25 for a, b in zip(near, near[1:]))


def test_each_number_on_paper_is_told_in_words_with_its_unit():
    (line,) = checks.cost_on_paper([*ON_PAPER[:4], 1024]).lines
    assert line.startswith("the terms meet at 1,024 tokens: that is D.")
    (line,) = checks.cost_on_paper([*ON_PAPER[:3], 4.19e6, ON_PAPER[4]]).lines
    assert line.startswith("scores of one layer, 4.19e+06 bytes: those are numbers.")


def test_one_factor_on_paper_is_told_and_other_numbers_are_told_their_side():
    (line,) = checks.cost_on_paper([1e8 / 1e6, 5e9 / 1e6, 1.3, 1.7e7 / 1e6, 2048]).lines
    assert line == "3 of your numbers are off by one factor, about 1e-06. Which unit, or which size?"
    large, small = checks.cost_on_paper([1e12, 1e5, *ON_PAPER[2:]]).lines
    assert "times too large" in large and "times too small" in small


@pytest.mark.parametrize("answer", [(1e8,), "1e8", 1e8, (1, 2, 3, 4, "many"), (1, 2, 3, 4, float("nan"))])
def test_what_is_no_five_numbers_is_named(answer):
    result = checks.cost_on_paper(answer)
    assert result.state == "wrong" and result.lines[0].startswith("Five numbers were asked for (parameters,")


@pytest.mark.parametrize(
    "at, thing, said",
    [
        (3, "16 MB", "the one for scores of one layer is the str '16 MB'."),
        (4, float("inf"), "the one for the length where the terms meet is the float inf."),
        (0, [1e8], "the one for parameters is the list [100000000.0]."),
    ],
)
def test_of_five_things_the_one_that_is_no_number_is_named(at, thing, said):
    (line,) = checks.cost_on_paper([*ON_PAPER[:at], thing, *ON_PAPER[at + 1 :]]).lines
    assert f", and {said}" in line


@pytest.mark.parametrize("answer", [None, (None,) * 5, ...])
def test_paper_without_numbers_is_not_wrong(answer):
    assert checks.cost_on_paper(answer).state == "untouched"


def test_smollm2_is_in_the_published_table_once():
    assert sum(m.name == counted.NAME for m in published.MODELS) == 1
