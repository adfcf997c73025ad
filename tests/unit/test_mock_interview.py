"""MockInterview without a browser: what is kept, what counts, what is read again, and what is refused."""

import io

import pytest
from PIL import Image
from traitlets import TraitError

from mha_lab import checks, choosing, progress
from mha_lab.widgets import MockInterview

KEYS = [each.key for each in choosing.QUESTIONS]
FEW = choosing.QUESTIONS[:2]


def kept():
    return progress.kept()["interview"]


def test_it_asks_all_twenty_in_turn_over_the_dimensions():
    asked = MockInterview().questions
    assert sorted(row["key"] for row in asked) == sorted(KEYS)
    assert [row["dimension"] for row in asked[:5]] == list(choosing.DIMENSIONS)
    assert set(asked[0]) == {"key", "dimension", "asks", "points"}
    assert set(asked[0]["points"][0]) == {"text", "place", "link"}


def test_a_question_alone_writes_nothing():
    MockInterview().result()
    assert not progress.place().parent.exists()


def test_what_is_typed_and_ticked_is_kept_and_a_cell_that_runs_again_shows_it():
    first = MockInterview()
    first.set_state({"said": {"scale": "so that\nsoftmax is not saturated"}})
    first.set_state({"ticked": {"scale": [1, 0]}})
    assert kept()["scale"]["said"] == "so that\nsoftmax is not saturated" and kept()["scale"]["points"] == [0, 1]
    assert kept()["scale"]["asked"] == "Why is the dot product divided by √d_head?"
    again = MockInterview()
    assert again.said == first.said and again.ticked == {"scale": [0, 1]}
    assert again.questions[again.at]["key"] != "scale", "it goes on with the first question that is open"


def test_what_was_said_aloud_is_remembered_by_its_points_alone():
    MockInterview().ticked = {"mask": []}
    assert kept()["mask"]["points"] == [] and kept()["mask"]["said"] == ""
    assert MockInterview().ticked == {"mask": []}


def test_an_answer_taken_back_is_forgotten():
    interview = MockInterview()
    interview.said = {"mask": "because"}
    interview.said = {}
    assert kept() == {}


def test_reset_of_the_lesson_forgets_the_answers_and_tells_the_page_not_to_bring_them_back(capsys):
    before = MockInterview()
    before.said = {"mask": "because"}
    assert before._since == ""
    checks.course.reset(checks._TASKS)
    assert "1 answer of the interview" in capsys.readouterr().out
    progress.forget([], [], ["mask"])
    after = MockInterview()
    assert after.said == {} and after._since != ""


def test_points_count_by_dimension_and_what_was_missed_is_read_again():
    interview = MockInterview()
    interview.ticked = {"scale": [0], "softmax": [0, 1, 2], "mask": [1]}
    assert interview.scores["mathematics"] == (4, 6) and interview.scores["engineering"] == (1, 3)
    assert interview.scores["structure"] == (0, 0)
    result = interview.result()
    assert result.again[0] == ("lesson 01, section 7", "01_single_head_attention.ipynb#7.-How-to-hide-a-word", 2)
    assert "3 of 20 questions answered" in repr(result) and "read again: lesson 01, section 7 (2 points)" in repr(
        result
    )
    html = result._repr_html_()
    assert 'href="01_single_head_attention.ipynb#7.-How-to-hide-a-word"' in html and "not asked yet" in html


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("said", {"weather": "fine"}, "'weather' is none of the questions: "),
        ("said", {"mask": 3}, "what was said to 'mask' is the int 3; it must be words"),
        ("said", {"mask": "x" * 2001}, "has 2,001 letters; at most 2,000 are kept"),
        ("ticked", {"mask": [3]}, "whole numbers from 0 to 2"),
        ("ticked", {"mask": [0, 0]}, "a list of different whole numbers"),
        ("ticked", {"mask": [True]}, "whole numbers"),
        ("ticked", {"mask": 1}, "whole numbers"),
        ("at", 20, "at=20: the questions are 0 to 19"),
        ("at", 1.5, "at is the float 1.5; it must be a whole number"),
    ],
)
def test_what_is_no_answer_is_refused_in_words(name, value, words):
    interview = MockInterview()
    with pytest.raises(TraitError) as problem:
        setattr(interview, name, value)
    assert words in str(problem.value) and kept() == {}


def test_the_page_cannot_change_the_questions():
    interview = MockInterview()
    with pytest.raises(TraitError, match="stays as it is"):
        interview.set_state({"questions": []})
    with pytest.raises(TraitError):
        interview.set_state({"_since": "now"})


def test_other_questions_can_be_asked():
    interview = MockInterview(FEW, at=1)
    assert repr(interview) == "MockInterview(0 of 2 questions answered)" and list(interview.scores) == ["mathematics"]
    for given, words in (([], "questions is empty"), (["why?"], "one of questions is the str 'why?'")):
        with pytest.raises((ValueError, TypeError)) as problem:
            MockInterview(given)
        assert words in str(problem.value)


def test_an_entry_of_the_file_with_points_that_are_no_longer_there_is_shown_without_them():
    progress.interviewed("mask", "Why?", "because", [0, 7])
    assert MockInterview().ticked == {"mask": [0]}


def test_the_picture_shows_every_question_and_grows_with_them():
    (png, width), (small, _) = MockInterview().picture(), MockInterview(FEW).picture()
    large, few = (Image.open(io.BytesIO(data)) for data in (png, small))
    assert large.width == 2 * width == few.width and large.height > 5 * few.height
    shown, _ = MockInterview()._repr_mimebundle_()
    assert "image/png" in shown and shown["text/plain"] == "MockInterview(0 of 20 questions answered)"
