"""TrueOrFalse without a browser: what is asked, what is kept, and what the page must not know."""

from dataclasses import replace

import pytest
import traitlets

from mha_lab import progress
from mha_lab.widgets import then_and_now, true_or_false
from mha_lab.widgets.true_or_false import STATEMENTS, TrueOrFalse


def shown(widget):
    """All that reaches the page: the synchronised traits and the bundle, without the widget's own address."""
    traits = {name: value for name, value in widget.get_state().items() if name not in ("layout", "_esm", "_css")}
    data, _ = widget._repr_mimebundle_()
    return traits, data["text/plain"], data["text/html"]


def test_there_are_ten_statements_told_apart_by_key_and_text():
    assert len(STATEMENTS) == len({s.key for s in STATEMENTS}) == len({s.text for s in STATEMENTS}) == 10


def test_no_blind_rule_gets_more_than_six_right():
    truths = [statement.is_true for statement in STATEMENTS]
    rules = {
        "always true": [True] * 10,
        "always false": [False] * 10,
        "every other one": [True, False] * 5,
        "every other one, from the second": [False, True] * 5,
        "the first half": [True] * 5 + [False] * 5,
        "the second half": [False] * 5 + [True] * 5,
        "the longer half": [s in sorted(STATEMENTS, key=lambda s: len(s.text))[5:] for s in STATEMENTS],
        "a negation is false": ["n't" not in s.text and " no" not in s.text for s in STATEMENTS],
    }
    score = {name: sum(map(bool.__eq__, guess, truths)) for name, guess in rules.items()}
    assert max(score.values()) <= 6, score


def test_statements_come_in_the_order_of_the_lessons_that_settle_them():
    lessons = [statement.lesson for statement in STATEMENTS]
    assert lessons == sorted(lessons) and set(lessons) <= {f"{n:02}" for n in range(1, 12)}


def test_the_page_does_not_change_with_the_right_answers(monkeypatch):
    before = shown(TrueOrFalse())
    monkeypatch.setattr(true_or_false, "STATEMENTS", tuple(replace(s, is_true=not s.is_true) for s in STATEMENTS))
    assert shown(TrueOrFalse()) == before


def test_every_statement_stands_in_the_list_for_places_without_script():
    traits, plain, html = shown(TrueOrFalse())
    assert plain == "TrueOrFalse(0 of 10 answered)"
    assert html.count("<li>") == 10 and all(s.text.replace("'", "&#x27;") in html for s in STATEMENTS)
    assert "Lesson" not in html  # a lesson is named once its statement is answered
    assert [row["text"] for row in traits["_statements"]] == [s.text for s in STATEMENTS]


def test_answers_can_be_given_and_cleared_from_python():
    widget = TrueOrFalse(answers={"scale": True})
    widget.answers = {**widget.answers, "two-masks": False}
    assert repr(widget) == "TrueOrFalse(2 of 10 answered)"
    widget.answers = {}
    assert repr(widget) == "TrueOrFalse(0 of 10 answered)"


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"weather": True}, "'weather' is none of the 10 statements: zero-score, "),
        ({"scale": "yes"}, "the answer to 'scale' is 'yes'; it must be True or False"),
        ({"scale": 1}, "the answer to 'scale' is 1; it must be True or False"),
        ({"scale": None}, "the answer to 'scale' is None"),
    ],
)
def test_what_is_no_answer_is_refused_in_words(answers, words):
    widget = TrueOrFalse(answers={"scale": True})
    with pytest.raises(traitlets.TraitError, match=words):
        widget.answers = answers
    assert widget.answers == {"scale": True}


# then and now --------------------------------------------------------------------------------------------------------


def test_an_answer_is_kept_and_a_cell_that_runs_again_shows_it():
    TrueOrFalse().answers = {"scale": True, "own-slice": False}
    assert progress.kept()["guesses"]["00.scale"]["said"] == "true"
    assert TrueOrFalse().answers == {"scale": True, "own-slice": False}
    TrueOrFalse().answers = {"own-slice": False}
    assert set(progress.kept()["guesses"]) == {"00.own-slice"}


def test_a_list_that_nobody_answers_writes_nothing():
    TrueOrFalse(), TrueOrFalse(again=True), then_and_now()
    assert not progress.place().parent.exists()


def test_asked_again_the_first_answers_are_neither_shown_nor_changed():
    TrueOrFalse().answers = {"scale": False}
    last = TrueOrFalse(again=True)
    assert last.answers == {}
    last.set_state({"answers": {"scale": True}})
    assert true_or_false.said(again=False) == {"scale": False} and true_or_false.said(again=True) == {"scale": True}
    with pytest.raises(traitlets.TraitError, match="again belongs to what this explorer shows"):
        last.again = False


def test_then_and_now_stand_beside_what_it_was():
    TrueOrFalse().answers = {"scale": False, "zero-score": False}
    TrueOrFalse(again=True).answers = {"scale": True, "zero-score": False, "own-slice": True}
    found = then_and_now()
    assert found.right == (1, 2)
    text = repr(found)
    assert "then: false   now: true   it was: true (lesson 02)" in text and "then: no answer   now: true" in text
    assert text.endswith("Right then: 1 of 10; right now: 2 of 10.")
    html = found._repr_html_()
    assert html.count("<tr") == 11 and '<th scope="col"' in html and "<script" not in html


def test_once_it_was_seen_both_answers_stay():
    widget = TrueOrFalse(answers={"scale": True})
    widget.answers = {"scale": False}
    then_and_now()
    widget.answers = {"scale": True}
    assert true_or_false.said(again=False) == {"scale": False}
    progress.forget([], ["00.scale"])
    widget.answers = {}
    widget.answers = {"scale": True}
    assert true_or_false.said(again=False) == {"scale": True}
