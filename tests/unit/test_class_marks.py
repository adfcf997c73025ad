"""What a grader and a class get from a check: points, records, hidden cases, and nothing for the lab's own code."""

import json
import subprocess
import sys

import pytest
import torch
from exercise_promises import as_a_learner

import mha_lab
from mha_lab import checks
from mha_lab.checks import class_key, classroom, marks
from mha_lab.checks.question import Question, key_of

KEY = "a key that no repository holds"
FUNCTIONS = [task for task in checks._TASKS if isinstance(task, Question)]


def by_hand(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def plain(x, num_heads):
    return x.view(x.shape[0], num_heads, x.shape[1], -1)


@pytest.fixture
def in_class(monkeypatch):
    monkeypatch.setenv(classroom.MODE, "1")
    monkeypatch.delenv(classroom.OPENED, raising=False)
    return monkeypatch


# require, points, records ------------------------------------------------------------------------------------------


def test_a_grader_gets_the_result_or_an_error_with_the_verdict():
    assert checks.split_heads(by_hand).require().points == 1
    with pytest.raises(AssertionError, match="split_heads: not yet.*\n.*your heads took whole tokens"):
        checks.split_heads(plain).require()


def test_points_are_all_the_stars_or_none():
    def right_with_as_many_words_as_heads(x, num_heads):
        return by_hand(x, num_heads) if x.shape[1] == num_heads else x

    half = checks.split_heads(right_with_as_many_words_as_heads)
    assert 0 < half.right < half.of and half.points == 0
    assert checks.multi_head_scores(as_a_learner(checks.multi_head_scores.solution)).points == 2
    assert checks.split_heads(lambda x, num_heads: ...).points == 0


def test_a_record_is_short_json_with_the_key_of_the_mistake():
    record = checks.split_heads(plain).as_dict()
    assert json.loads(json.dumps(record)) == record
    want = {"exercise": "split_heads", "state": "wrong", "mistake": "plain_view", "right": 1, "of": 5, "points": 0}
    assert record == want
    passed = checks.split_heads(by_hand).as_dict()
    assert (passed["state"], passed["mistake"], passed["right"], passed["of"]) == ("passed", None, 5, 5)
    assert checks.layer_on_paper((48, 2359296, 3145728, 160000, 6.93)).as_dict()["right"] == 1


@pytest.mark.parametrize(
    "answer, key",
    [
        (3, "not_a_function"),
        (lambda x: x, "wrong_arguments"),
        (lambda x, num_heads: None or print(end=""), "returns_nothing"),
        (lambda x, num_heads: "heads", "returns_no_numbers"),
        (lambda x, num_heads: x.nothing, "raises"),
        (lambda x, num_heads: 3 * by_hand(x, num_heads), "unnamed"),
        (lambda x, num_heads: by_hand(x, num_heads).mul_(1).add_(1).sub_(1), "unnamed"),
    ],
)
def test_every_kind_of_wrong_answer_has_a_key(answer, key):
    found = checks.split_heads(answer)
    assert found.state == "passed" or found.as_dict()["mistake"] == key


@pytest.mark.parametrize("task", FUNCTIONS, ids=lambda task: task.__name__)
def test_keys_of_mistakes_are_short_names_and_one_question_each_or_one_kind(task):
    keys = {key_of(mistake) for mistake, _ in task.mistakes}
    assert all(key.isidentifier() and len(key) <= 45 for key in keys)


# the lab's own code ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [checks.split_heads.solution, checks.split_heads.ours, mha_lab.split_heads],
    ids=["solution", "ours", "lab"],
)
def test_the_labs_own_code_is_noticed_kindly_and_counts_nothing(answer, monkeypatch, tmp_path):
    monkeypatch.setenv("MHA_LAB_HOME", str(tmp_path))
    result = checks.split_heads(answer)
    assert (
        result.state == "ours" and not result.passed and result.points == 0 and "nothing is counted" in result.lines[0]
    )
    assert "#B3541E" not in result._repr_html_() and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, num_heads: mha_lab.split_heads(x, num_heads),
        lambda x, num_heads: checks.split_heads.ours(x, num_heads),
        lambda x, num_heads: checks.split_heads.ours(x, num_heads) * 1,
    ],
)
def test_in_a_class_it_is_noticed_behind_a_function_of_ones_own(answer, in_class):
    assert checks.split_heads(answer).state == "ours"
    in_class.delenv(classroom.MODE)
    assert checks.split_heads(answer).passed  # alone one may; the card says who did the work


def test_in_a_class_helpers_of_the_lab_may_be_used_on_the_way(in_class):
    def scores(query, key, num_heads):
        q, k = mha_lab.split_heads(query, num_heads), mha_lab.split_heads(key, num_heads)
        return q @ k.mT / q.shape[-1] ** 0.5

    assert checks.multi_head_scores(scores).passed


# class mode --------------------------------------------------------------------------------------------------------


def test_a_class_waits_for_solutions_and_second_hints_until_they_are_opened(in_class, tmp_path):
    result, shut = checks.split_heads(plain), "lecturer opens it"
    for shown in repr(result), result._repr_html_():
        assert shut in shown and "Second hint" not in shown and "A second hint" not in shown
        assert "Hint" in shown
    for name in "solution", "source", "second_hint":
        with pytest.raises(classroom.Withheld, match=f"checks.split_heads.{name}: your lecturer has not opened it"):
            getattr(checks.split_heads, name)
    with pytest.raises(classroom.Withheld):
        checks.layer_on_paper.ours  # noqa: B018
    opened = tmp_path / "opened.txt"
    in_class.setenv(classroom.OPENED, str(opened))
    assert checks.split_heads.withheld  # the file is not there yet
    opened.write_text("01, 02\n")
    assert "def split_heads" in checks.split_heads.source and not checks.layer_on_paper.withheld
    assert checks.output_as_a_sum.withheld
    in_class.setenv(classroom.OPENED, "all")
    assert not checks.output_as_a_sum.withheld


def test_in_a_class_lessons_go_on_with_ours_and_every_check_works(in_class):
    x = torch.arange(24.0).view(1, 4, 6)
    assert torch.equal(checks.split_heads.ours(x, 2), by_hand(x, 2))
    for task in FUNCTIONS:
        with pytest.raises(classroom.Withheld):
            task.solution  # noqa: B018
        assert task(as_a_learner(task.ours)).state == "ours"
        assert task(task.mistakes[0][0]).state == "wrong"


def test_class_mode_is_set_in_a_cell():
    code = "from mha_lab import checks; checks.class_mode(); checks.split_heads.solution"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "Withheld" in said


# the class key -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [KEY, "another one of the next term"])
@pytest.mark.parametrize("task", FUNCTIONS, ids=lambda task: task.__name__)
def test_hidden_cases_differ_and_judge_as_ours_do(task, key, monkeypatch):
    def seen(cases):
        return [[each.tolist() if isinstance(each, torch.Tensor) else each for each in case] for case in cases]

    assert task.held_back() == []
    monkeypatch.setenv(class_key.NAME, key)
    held = task.held_back()
    assert held and seen(held) == seen(task.held_back())
    assert sum(case in seen(task.cases()) for case in seen(held)) <= len(held) // 2
    result = task(as_a_learner(task.solution))
    assert result.passed and result.of == len(task.cases()) + len(held)


def test_an_answer_made_for_the_known_cases_fails_the_hidden_test(monkeypatch):
    known = {tuple(case[0].shape): case[1] for case in checks.split_heads.cases()}

    def table(x, num_heads):
        return by_hand(x, num_heads) if known.get(tuple(x.shape)) == num_heads else x

    assert checks.split_heads(table).passed
    monkeypatch.setenv(class_key.NAME, KEY)
    assert marks.hidden("split_heads", by_hand).points == 1
    result = marks.hidden("split_heads", table)
    assert result.state == "wrong" and 5 <= result.right < result.of == 10


def test_a_hidden_test_without_a_key_says_so(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="No class key is set: MHA_LAB_CLASS_KEY"):
        marks.hidden("split_heads", by_hand)
    monkeypatch.setenv(class_key.NAME, "short")
    with pytest.raises(ValueError, match="has 5 letters"):
        marks.hidden("split_heads", by_hand)
    monkeypatch.setenv(class_key.NAME, str(tmp_path / "key.txt"))
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        marks.hidden("split_heads", by_hand)
    (tmp_path / "key.txt").write_text(KEY + "\n")
    assert marks.hidden("split_heads", by_hand).passed


def test_a_hidden_test_asks_the_exercise_and_not_what_was_put_in_its_place(monkeypatch):
    monkeypatch.setenv(class_key.NAME, KEY)
    monkeypatch.setattr(checks, "split_heads", lambda function: True)
    assert not marks.hidden("split_heads", plain)
