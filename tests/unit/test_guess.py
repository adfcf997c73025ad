"""Guess and reckoning without a browser: what is asked, what is kept, and when it stays."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from traitlets import TraitError

from mha_lab import checks, progress, widgets
from mha_lab.widgets import Guess, guess, reckoning

QUESTION, CHOICES = "From 1 head to 16: the parameters", ["stay the same", "grow 16 times", "shrink"]


def chosen(key="02.parameters"):
    return Guess(key, QUESTION, CHOICES)


def typed(key="02.time"):
    return Guess(key, "How many times as long?")


@pytest.fixture(autouse=True)
def nobody_has_asked():
    guess._questions.clear()


# what is said --------------------------------------------------------------------------------------------------------


def test_an_answer_is_kept_and_a_cell_that_runs_again_shows_it():
    first = chosen()
    assert first.answer == "" and progress.kept()["guesses"] == {}
    first.answer = "shrink"
    first.answer = "grow 16 times"
    kept = progress.kept()["guesses"]["02.parameters"]
    assert (kept["asked"], kept["said"]) == (QUESTION, "grow 16 times")
    assert chosen().answer == "grow 16 times" and chosen("03.parameters").answer == ""


def test_what_the_page_says_is_kept_too():
    asked = typed()
    asked.set_state({"answer": "  about \n twice "})
    assert asked.answer == "about twice" == progress.kept()["guesses"]["02.time"]["said"]
    asked.set_state({"answer": ""})
    assert progress.kept()["guesses"] == {}


def test_a_question_alone_writes_nothing():
    chosen(), typed(), reckoning({"02.time": "× 1.1"})
    assert not progress.place().parent.exists()


def test_an_answer_to_choices_that_are_no_longer_there_is_asked_anew_and_not_lost():
    chosen().answer = "shrink"
    reworded = Guess("02.parameters", QUESTION, ["nothing", "everything"])
    assert reworded.answer == "" and progress.kept()["guesses"]["02.parameters"]["said"] == "shrink"


def test_without_a_home_it_is_remembered_until_the_kernel_stops(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MHA_LAB_HOME", str(tmp_path / "file" / "home"))
    chosen().answer = "shrink"
    assert chosen().answer == "shrink" and reckoning({"02.parameters": "stay the same"}).rows[0].said == "shrink"


@pytest.mark.parametrize(
    "asked, answer, words",
    [
        (chosen, "grow", r"^answer='grow': it must be 'stay the same', 'grow 16 times' or 'shrink'\.$"),
        (typed, "x" * 121, r"^the answer has 121 letters; at most 120 are kept\.$"),
        (typed, 2, "Unicode|unicode"),
        (chosen, None, "Unicode|unicode"),
    ],
)
def test_what_is_no_answer_is_refused_in_words(asked, answer, words):
    asked = asked()
    with pytest.raises(TraitError, match=words):
        asked.answer = answer
    assert asked.answer == "" and progress.kept()["guesses"] == {}


@pytest.mark.parametrize(
    "given, words",
    [
        (("2.time", QUESTION), 'it must be a lesson\'s number, a dot and a word, such as "02.parameters"'),
        (("02.", QUESTION), "a lesson's number"),
        (("02.two words", QUESTION), "a lesson's number"),
        ((2.5, QUESTION), "key=2.5: it must be a lesson's number"),
        (("02.time", ""), "question is empty"),
        (("02.time", None), "question is None"),
        (("02.time", QUESTION, "yes or no"), "choices is the str 'yes or no'; it must be a list of words"),
        (("02.time", QUESTION, ["yes"]), "there are 1 choices; there must be 2 to 6"),
        (("02.time", QUESTION, range(7)), "there are 7 choices; there must be 2 to 6"),
        (("02.time", QUESTION, ["yes", " yes"]), "the choice 'yes' is there twice"),
        (("02.time", QUESTION, ["yes", True]), "a choice is the bool True"),
    ],
)
def test_what_is_no_question_is_answered_in_one_sentence(given, words):
    with pytest.raises((ValueError, TypeError)) as problem:
        Guess(*given)
    assert words in str(problem.value) and str(problem.value).count("\n") == 0


def test_a_lesson_in_two_parts_and_choices_that_are_numbers_are_welcome():
    assert Guess("08b.share", "How many?", [1, 2.5, "more"]).choices == ["1", "2.5", "more"]


def test_the_page_cannot_change_what_is_asked_or_open_what_was_seen():
    asked = chosen()
    for name, value in ("question", "Why?"), ("choices", ["a", "b"]), ("key", "02.other"), ("_seen", True):
        with pytest.raises(TraitError):
            asked.set_state({name: value})
    assert (asked.question, asked.choices, asked.key, asked._seen) == (QUESTION, CHOICES, "02.parameters", False)


# the reckoning -------------------------------------------------------------------------------------------------------


def test_the_reckoning_says_what_was_asked_what_was_said_and_what_it_was():
    chosen().answer = "grow 16 times"
    typed()
    shown = reckoning({"02.parameters": "stay the same", "02.time": 1.5, "02.never": "asked"})
    assert [(row.asked, row.said, row.it_was) for row in shown.rows] == [
        (QUESTION, "grow 16 times", "stay the same"),
        ("How many times as long?", "no guess yet", "1.5"),
        ("02.never", "no guess yet", "asked"),
    ]
    assert repr(shown).startswith(f"{QUESTION}\n    you said: grow 16 times\n    it was:   stay the same\nHow many")


def test_in_another_sitting_the_question_is_still_known():
    chosen().answer = "grow 16 times"
    guess._questions.clear()  # another kernel
    assert reckoning({"02.parameters": "stay the same"}).rows[0].asked == QUESTION


def test_what_was_said_stays_once_the_answer_was_seen_on_the_page_and_in_a_cell_that_runs_again():
    before = chosen()
    before.answer = "shrink"
    assert not before._seen
    reckoning({"02.parameters": "stay the same"})
    for each in before, chosen():
        assert each._seen and each.answer == "shrink"
        with pytest.raises(
            TraitError, match=r"what you said before stays: 'shrink'\. checks\.reset\(\"02\"\) forgets it"
        ):
            each.answer = "stay the same"
        for answer in "", "stay the same":
            with pytest.raises(TraitError, match="what you said before stays"):
                each.set_state({"answer": answer})
            assert each.answer == "shrink"
    assert progress.kept()["guesses"]["02.parameters"]["it_was"] == "stay the same"
    checks.reset("02")
    assert chosen().answer == "" and not chosen()._seen


def test_who_had_not_guessed_may_still_do_so():
    late = chosen()
    reckoning({"02.parameters": "stay the same"})
    late.answer = "shrink"
    assert not late._seen and chosen().answer == "shrink"


def test_a_reckoning_praises_nobody_and_colours_nothing():
    chosen().answer = "stay the same"
    pages = [reckoning({"02.parameters": was})._repr_html_() for was in ("stay the same", "grow 16 times")]
    assert pages[0].replace("<b>stay the same</b>", "") == pages[1].replace("<b>grow 16 times</b>", "")
    assert not re.search(r"(?<![\w-])color|✓|✗|right|wrong|well done", pages[0], re.I)


def test_what_a_learner_typed_cannot_become_html():
    Guess("02.time", "<b>How long?</b>").answer = "<script>alert(1)</script>"
    page = reckoning({"02.time": "<i>long</i>"})._repr_html_()
    assert not re.search(r"<(script|i)\b", page) and "&lt;script&gt;" in page and "&lt;b&gt;How" in page


@pytest.mark.parametrize(
    "it_was, words",
    [
        ({}, "it_was is empty; it must name at least one guess by its key"),
        (["02.time"], "it_was is the list ['02.time']; it must be a dict such as"),
        ({"time": 2}, "key='time': it must be a lesson's number"),
        ({"02.time": None}, "the answer to '02.time' is None; it must be words or a number"),
        ({"02.time": " "}, "the answer to '02.time' is empty"),
    ],
)
def test_what_is_no_reckoning_is_answered_in_one_sentence_and_shows_nothing(it_was, words):
    typed().answer = "× 2"
    with pytest.raises((ValueError, TypeError)) as problem:
        reckoning({"02.time": "× 1.1", **it_was} if isinstance(it_was, dict) and it_was else it_was)
    assert words in str(problem.value)
    assert "it_was" not in progress.kept()["guesses"]["02.time"]


# where no script runs ------------------------------------------------------------------------------------------------


def pixels(asked):
    png, width = asked.picture()
    image = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    assert image.shape[1] == 2 * width
    return image


def test_the_picture_is_on_a_light_page_and_shows_question_choices_and_what_was_said():
    asked = chosen()
    empty = pixels(asked)
    assert empty[0, 0] == 255 and (empty < 100).any()
    asked.answer = "shrink"
    said = pixels(asked)
    rows = np.flatnonzero((said != empty).any(axis=1))
    assert rows.min() > 0.6 * len(said), "its ring, the last one, is filled"
    assert (pixels(typed()) < 100).any()


def test_a_long_question_is_broken_into_lines_and_none_leaves_the_picture():
    long = Guess("02.long", "word " * 60 + "x" * 200 + " 多头注意力" * 40, ["a " * 100, "b" * 300])
    image = pixels(long)
    assert (image[:, -8:] == 255).all()
    assert len(image) > 3 * len(pixels(chosen()))
    lines = guess._wrapped("many words 多头 in " + "x" * 99, 14, 100)
    assert "".join(lines).replace(" ", "") == "manywords多头in" + "x" * 99
    assert all(guess.Page(1, 1).width_of(line, 14) <= 100 for line in lines)


def test_plain_text_says_the_question_and_how_things_stand():
    asked = chosen()
    assert repr(asked) == f"Guess({QUESTION} [stay the same / grow 16 times / shrink], no guess yet)"
    asked.answer = "shrink"
    assert repr(asked).endswith(", you said: shrink)")
    assert repr(typed()) == "Guess(How many times as long?, no guess yet)"


def test_reckoning_is_offered_beside_the_explorers_and_is_none():
    assert widgets.reckoning is reckoning and "reckoning" not in widgets.__all__ and "Guess" in widgets.__all__
