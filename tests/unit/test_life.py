"""What every explorer does without a notebook: a picture that fails, messages that a page had better not send."""

from types import SimpleNamespace

import anywidget
import numpy as np
import pytest
import traitlets

from mha_lab import widgets
from mha_lab.widgets import HeadExplorer, IntentExplorer
from mha_lab.widgets._base import Explorer
from mha_lab.widgets._life import MOST_LETTERS, Living, said, shortened


class Broken(Explorer):
    """An explorer whose picture cannot be drawn."""

    _esm = "export default { render() {} };"
    level = traitlets.Int(1).tag(sync=True)
    _fact = traitlets.Unicode("as it was").tag(sync=True)

    def picture(self):
        raise ZeroDivisionError("division by zero")

    def __repr__(self):
        return "Broken"


def test_a_picture_that_fails_leaves_the_live_view_and_says_so_in_a_sentence():
    data, metadata = Broken()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data and "image/png" not in data | metadata
    why = "Its picture could not be drawn (ZeroDivisionError: division by zero)."
    assert data["text/plain"] == f"Broken\n{why}"


def test_a_saved_page_has_the_sentence_in_the_pictures_place(tmp_path):
    Broken._css = ""
    text = Broken().save_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Its picture could not be drawn" in text and "<img" not in text


def test_true_is_no_whole_number_in_any_trait_of_ours():
    for explorer in (each for each in vars(widgets).values() if isinstance(each, type)):
        ours = set(explorer.class_traits()).difference(anywidget.AnyWidget.class_traits())
        traits = [explorer.class_traits()[name] for name in ours]
        within = [part for trait in traits for part in (trait, getattr(trait, "_trait", None))]
        assert [part for part in within if type(part) is traitlets.Int] == [], explorer


@pytest.mark.parametrize("value, told", [(True, "the bool True"), (1.0, "the float 1.0"), ("x" * 9999, "a str")])
def test_a_whole_number_is_one_of_pythons_or_of_numpys_and_nothing_else(value, told):
    layer, tiles = widgets.LayerMap(), widgets.TileExplorer()
    layer.batch, tiles.pointed = np.int64(3), [np.int8(1), 2]
    assert (layer.batch, tiles.pointed) == (3, [1, 2]) and type(layer.batch) is int
    for page in False, True:  # JSON has a true of its own
        with pytest.raises(traitlets.TraitError, match=f"batch is {told}; it must be a whole number"):
            layer.set_state({"batch": value}) if page else layer.set(batch=value)
    with pytest.raises(traitlets.TraitError, match="a whole number"):
        tiles.pointed = [value, 2]
    assert (layer.batch, tiles.pointed) == (3, [1, 2])


def test_what_a_page_may_not_set_is_refused_in_words_and_nothing_of_the_message_is_taken():
    explorer = Broken()
    with pytest.raises(traitlets.TraitError, match="_fact is what Python tells the page; the page cannot set it."):
        explorer.set_state({"level": 3, "_fact": "another"})
    assert (explorer.level, explorer._fact) == (1, "as it was")
    explorer.set_state({"level": 3})
    assert explorer.level == 3


def test_a_page_cannot_say_how_python_is_doing():
    explorer = HeadExplorer.from_projection(np.ones((2, 4)), np.ones((2, 4)), ["a", "b"])
    for name, value in {"measuring": True, "timings": ["nonsense"], "can_read": True, "progress": "half"}.items():
        before = getattr(explorer, name)
        with pytest.raises(traitlets.TraitError, match=f"{name} is what Python tells the page"):
            explorer.set_state({name: value})
        assert getattr(explorer, name) == before


def test_outside_a_notebook_an_explorer_never_rests():
    explorer = Living()
    explorer._cell_begins("any")
    assert explorer.comm is not None and not explorer._resting


def test_an_explorer_rests_when_no_cell_shows_it_and_wakes_when_it_is_shown(monkeypatch):
    cell = "first"
    monkeypatch.setattr("mha_lab.widgets._life._cell", lambda: cell)
    explorer = Broken(level=2)
    explorer._repr_mimebundle_()
    cell = "second"
    explorer._repr_mimebundle_()
    before = explorer._model_id
    explorer._cell_begins("first")
    assert not explorer._resting
    explorer._cell_begins("second")
    assert explorer._resting and explorer.comm is None
    explorer.level = 5  # Python still has it
    data, _ = explorer._repr_mimebundle_()
    assert explorer.comm is not None and explorer.get_state()["level"] == 5
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer._model_id != before


def test_who_has_its_id_may_show_it_anywhere(monkeypatch):
    monkeypatch.setattr("mha_lab.widgets._life._cell", lambda: "first")
    explorer = Broken()
    assert explorer.model_id
    explorer._cell_begins("first")
    assert not explorer._resting


class Ends:
    """A model whose read ends in something else than an answer."""

    def __init__(self, problem):
        self.problem = problem

    def read(self, sentence):
        raise self.problem


@pytest.mark.parametrize(
    "problem, words",
    [
        (SystemExit(3), "The model called sys.exit"),
        (KeyboardInterrupt(), "It was interrupted. What you typed stays: ask once more."),
        (ValueError("too long"), "too long"),
        (LookupError(), "LookupError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
@pytest.mark.parametrize("kind", [HeadExplorer, IntentExplorer])
def test_whatever_a_model_does_with_a_typed_sentence_the_page_gets_an_answer_in_words(kind, problem, words):
    weights = np.full((1, 2, 2, 2), 0.5)
    seen = SimpleNamespace(
        sentence="a b",
        tokens=["a", "b"],
        weights=weights,
        shares=[0.5, 0.5],
        probabilities=[1.0],
        names=["x"],
        message="",
    )
    explorer = kind([seen], model=Ends(problem))
    answers = []
    explorer.send = lambda message, *_: answers.append(message)
    explorer._handle_custom_msg({"kind": "read", "sentence": "b a"}, [])
    assert answers == [{"kind": "answered"}]
    assert explorer.message.startswith(words)


def test_somebody_elses_words_leave_room_for_the_page():
    words = shortened("no " * 50_000)
    assert len(words) == MOST_LETTERS + 1 and words.endswith("…")
    assert said(ValueError("no")) == shortened("no") == "no"
    assert said(ValueError("no " * 50_000)) == words
