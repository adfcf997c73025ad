"""Exercises of lesson 14: more than one choice passes, and each wrong one is told which limit it misses, by how much.

The wrong choices are written here as a learner would make them."""

import math

import pytest
import torch

from mha_lab import checks, choosing
from mha_lab.checks import lesson14
from mha_lab.choosing import pruned
from mha_lab.models import AttentionClassifier

DESK = {"model": "relative", "d_model": 64, "steps": 2000, "ordinals": "rule"}
CHAT = {"kv_heads": 8, "pattern": "LLLG", "window": 1024, "bits": 16, "split": "heads"}
READER = {"kv_heads": 4, "pattern": "LLLLLG", "window": 1024, "bits": 8, "kernel": "fused"}
EXERCISES = {"support_desk": DESK, "ten_thousand_users": CHAT, "long_reader": READER}

WRONG = [
    ("support_desk", {"ordinals": "model"}, "reads_numbers_itself"),
    ("support_desk", {"d_model": 256}, "wider_for_safety"),
    ("support_desk", {"model": "learned"}, "absolute_positions"),
    ("support_desk", {"model": "no places", "steps": 500}, "absolute_positions"),
    ("support_desk", {"steps": 500}, "stopped_early"),
    ("support_desk", {"model": "BiLSTM", "steps": 500}, "stopped_early"),
    ("support_desk", {"model": "rotary"}, "rotary_on_little_data"),
    ("support_desk", {"model": "from zero"}, "bias_from_zero"),
    ("support_desk", {"model": "1 head, back then ahead"}, "one_head"),
    ("support_desk", {"model": "ALiBi"}, "nobody_trained_it"),
    ("support_desk", {"model": "gentle"}, "nobody_trained_it"),
    ("support_desk", {"model": "1 head"}, "nobody_trained_it"),
    ("support_desk", {"model": "8 heads", "steps": 500}, "nobody_trained_it"),
    ("support_desk", {"model": "no places"}, "nobody_trained_it"),
    ("support_desk", {"model": "8 heads"}, "nobody_timed_it"),
    ("support_desk", {"model": "GLU"}, "nobody_timed_it"),
    ("ten_thousand_users", {"pattern": "L"}, "chat_of_windows_alone"),
    ("ten_thousand_users", {"pattern": "G", "window": 0, "bits": 4}, "chat_in_4_bits"),
    ("ten_thousand_users", {"kv_heads": 32}, "chat_without_sharing"),
    ("ten_thousand_users", {"kv_heads": 1, "pattern": "G", "window": 0}, "fewer_heads_than_gpus"),
    ("ten_thousand_users", {"kv_heads": 2}, "fewer_heads_than_gpus"),
    ("ten_thousand_users", {"kv_heads": 4, "pattern": "G", "window": 0}, "too_few_groups"),
    ("ten_thousand_users", {"pattern": "G", "window": 0}, "chat_all_global"),
    ("ten_thousand_users", {"pattern": "G", "window": 0, "bits": 8}, "chat_all_global"),
    ("ten_thousand_users", {"window": 8192, "pattern": "L"}, "chat_all_global"),
    ("ten_thousand_users", {"pattern": "LLG", "split": "texts"}, "a_whole_model_on_each"),
    ("ten_thousand_users", {"pattern": "LG"}, "windows_too_wide"),
    ("ten_thousand_users", {"window": 1}, "no_such_windows"),
    ("ten_thousand_users", {"pattern": "LLLLLLLG"}, "no_such_windows"),
    ("ten_thousand_users", {"pattern": "LLLLLG", "window": 8}, "no_such_windows"),
    ("long_reader", {"window": 127}, "no_such_windows"),
    ("long_reader", {"pattern": "LLLLLLLLLLLG"}, "no_such_windows"),
    ("long_reader", {"kernel": "explicit"}, "stores_all_scores"),
    ("long_reader", {"pattern": "L"}, "reader_of_windows_alone"),
    ("long_reader", {"bits": 4}, "reader_in_4_bits"),
    ("long_reader", {"kv_heads": 1}, "reader_shares_too_much"),
    ("long_reader", {"kv_heads": 2}, "reader_shares_too_much"),
    ("long_reader", {"pattern": "G", "window": 0}, "reader_all_global"),
    ("long_reader", {"kv_heads": 16, "bits": 16}, "reader_without_sharing"),
    ("long_reader", {"pattern": "LG"}, "reader_too_heavy"),
]


def question(task, slip):
    (found,) = [said for is_it, said in task.slips if is_it.__name__ == slip]
    return found


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes_and_says_how_it_meets_each_limit(name):
    task = getattr(checks, name)
    result = task(task.solution())
    needs = task.brief(**task.solution()).needs
    assert result.passed and result.verdict == f"passes: all {len(needs)} needs hold"
    assert [line for line in result.lines if line.endswith("holds.")] == [f"{need}." for need in needs]


@pytest.mark.parametrize(
    "name, changed",
    [
        ("support_desk", {"model": "BiLSTM"}),
        ("ten_thousand_users", {"kv_heads": 16, "bits": 8}),
        ("ten_thousand_users", {"split": "texts"}),
        ("ten_thousand_users", {"pattern": "LG", "bits": 8}),
        ("long_reader", {"kv_heads": 8}),
        ("long_reader", {"pattern": "LLLG"}),
    ],
)
def test_another_right_choice_passes_too(name, changed):
    task = getattr(checks, name)
    assert task(EXERCISES[name] | changed).passed


@pytest.mark.parametrize("name, changed, slip", WRONG)
def test_a_named_wrong_choice_gets_its_question_and_the_limits_that_it_misses(name, changed, slip):
    task = getattr(checks, name)
    choice = EXERCISES[name] | changed
    result, missed = task(choice), task.brief(**choice).missed
    assert not result.passed and missed
    assert result.lines == (question(task, slip), *[f"{need}." for need in missed])
    assert result.lines[0].endswith("?") and all(str(need.limit)[:2] or True for need in missed)


@pytest.mark.parametrize("name", EXERCISES)
def test_every_slip_has_its_own_question_and_a_choice_that_makes_it(name):
    task = getattr(checks, name)
    questions = [said for _, said in task.slips]
    assert len(set(questions)) == len(questions) and all("?" in said for said in questions)
    made = {slip for each, _, slip in WRONG if each == name}
    assert {is_it.__name__ for is_it, _ in task.slips} == made


def test_by_how_much_a_limit_is_missed_is_said():
    lines = "\n".join(checks.ten_thousand_users(CHAT | {"pattern": "G", "window": 0}).lines)
    assert "memory of each GPU: 138 GB, and at most 72.0 GB is wanted: 1.92 times too much." in lines
    assert "tokens a second for each user: 23.1, and at least 50.0 is wanted: 2.16 times too little." in lines
    assert "nobody measured this" in "\n".join(checks.support_desk(DESK | {"d_model": 512}).lines)


@pytest.mark.parametrize("name", EXERCISES)
def test_an_open_choice_is_no_attempt_and_what_is_no_choice_is_told(name):
    task = getattr(checks, name)
    right = EXERCISES[name]
    first = next(iter(right))
    assert task(right | {first: None}).state == task(None).state == task(right | {first: ...}).state == "untouched"
    assert "this is one with nothing" in task({}).lines[0]
    assert "The answer is a dictionary with" in task([1, 2]).lines[0]
    assert f"this is one with {first}" in task({first: right[first]}).lines[0]
    result = task(right | {first: "nonsense"})
    assert not result.passed and first in result.lines[0] and len(result.lines) == 1


# the heads that may go -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classifier():
    return pruned.loaded()


def test_heads_that_go_together_pass(classifier):
    result = checks.heads_that_go([(0, 3), (0, 4), (0, 6), (1, 4), (0, 0)], classifier)
    assert result.passed, result.lines


@pytest.mark.parametrize(
    "gone, words",
    [
        ([(0, 3), (0, 4)], "You let fewer go than were asked for."),
        ([(0, 2), (0, 3), (0, 4), (0, 6), (1, 4)], "Head 0.2 is among them: without it alone, 0.33 of the 'none'"),
        ([(0, 3), (0, 4), (0, 6), (1, 0), (1, 1)], "Alone, each of these heads seems to cost next to nothing"),
    ],
)
def test_a_wrong_set_of_heads_gets_its_question(classifier, gone, words):
    result = checks.heads_that_go(gone, classifier)
    assert not result.passed and result.lines[0].startswith(words) and result.lines[0].endswith("?")
    assert "is wanted" in result.lines[-1]


@pytest.mark.parametrize("gone", [3, "0.3", [(0, 9)], [(2, 0)], [1, 2], [(0, 1, 2)]])
def test_what_is_no_list_of_heads_is_told(classifier, gone):
    assert "a list of heads such as [(0, 3), (1, 5)]" in checks.heads_that_go(gone, classifier).lines[0]


def test_without_the_model_the_check_asks_for_it():
    result = checks.heads_that_go([(0, 3)] * 5, None)
    assert "judged by running the model" in result.lines[0]
    assert checks.heads_that_go(None, None).state == "untouched"


def test_the_shown_solution_lets_the_cheapest_head_go_five_times(monkeypatch):
    cost = torch.rand(2, 8, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(pruned, "right", lambda model, gone=(): {"all": 1 - sum(float(cost[h]) for h in gone)})
    cheapest = cost.flatten().argsort()[:5].tolist()
    assert checks.heads_that_go.solution(None) == [divmod(head, 8) for head in cheapest]


def test_no_sentence_stands_in_both_samples_and_none_is_an_ordinal():
    parts = [pruned.sample(part) for part in ("validation", "test")]
    texts = [
        {
            tuple(row[:n])
            for batch in part.batches
            for row, n in zip(batch.inputs[..., 0].tolist(), batch.lengths.tolist())
        }
        for part in parts
    ]
    assert all(texts) and not texts[0] & texts[1]
    assert all("ordinal" not in part.kinds for part in parts)
    assert all(int(sum(part.kinds.values()).max()) == 1 for part in parts), "each sentence is of one kind"


def test_a_head_alone_is_told_by_the_kind_that_suffers_most(monkeypatch):
    model = AttentionClassifier(5, 3, d_model=8, num_heads=2, num_layers=1)
    left = {(): {"all": 1.0, "plain": 1.0, "none": 0.9}, ((0, 0),): {"all": 0.9, "plain": 0.8, "none": 0.9}}
    left[((0, 1),)] = {"all": 1.0, "plain": 1.0, "none": 0.5}
    monkeypatch.setattr(pruned, "right", lambda model, gone=(): left[tuple(gone)])
    alone = pruned.alone(model)
    assert alone[0, 1]["kind"] == "none" and math.isclose(alone[0, 1]["worst"], 0.4)
    assert alone[0, 0]["kind"] == "plain" and math.isclose(alone[0, 0]["all"], 0.1)


def test_the_hints_tell_no_line_of_the_solution():
    for task in [*(getattr(checks, name) for name in EXERCISES), checks.heads_that_go]:
        code = [line.strip() for line in task.source.splitlines()[2:] if len(line.strip()) > 12]
        assert task.hint.endswith("?") and task.second_hint
        assert not any(line in task.hint + task.second_hint for line in code)
    assert lesson14.pruned.PRUNED["gone"] == 5 and choosing.CHAT["users"] == 10_000
