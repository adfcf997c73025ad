"""IntentExplorer and Reader without a browser: the model's own numbers, states, the picture, and bad input."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from traitlets import TraitError

from mha_lab import models, tasks
from mha_lab.widgets import HeadExplorer, IntentExplorer, _picture
from mha_lab.widgets._picture import Page

ENGLISH, CHINESE = "I do not need insurance, please change my phone number.", "先问提前还款违约金，再改还款日。"


@pytest.fixture(scope="module")
def corpus():
    return tasks.intents("validation")


@pytest.fixture(scope="module")
def reader(corpus):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bias = models.RelativeBias(4)
        return models.SentenceReader(models.AttentionClassifier(len(corpus.vocabulary), 17, bias=bias), corpus)


@pytest.fixture
def explorer(reader):
    return IntentExplorer([reader.read(ENGLISH), reader.read(CHINESE)], model=reader)


def reading(tokens, names=("yes", "no"), **changed):
    """What a model could have said of these tokens: every head and the answer look evenly."""
    n = len(tokens)
    even = {
        "weights": np.full((1, 2, n, n), 1 / n),
        "shares": np.full(n, 1 / n),
        "probabilities": [1 / len(names)] * len(names),
    }
    said = {"sentence": " ".join(tokens), "tokens": tokens, "names": names, "message": "", **even}
    return SimpleNamespace(**{**said, **changed})


# Reader --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sentence", [ENGLISH, CHINESE])
def test_a_reading_is_what_the_model_computes(reader, corpus, sentence):
    reading = reader.read(sentence)
    encoded = corpus.encode(sentence)
    logits, maps, shares = reader.model(encoded.inputs, need_weights=True)
    torch.testing.assert_close(reading.probabilities, logits[0].softmax(-1))
    torch.testing.assert_close(reading.weights, maps[0])
    torch.testing.assert_close(reading.shares, shares[0])
    assert reading.tokens == tasks.tokenise(sentence) and reading.message == ""
    best = tasks.INTENTS[int(logits[0].argmax())]
    assert reading.answer == f"{best.zh} · {best.en}"


def test_reading_leaves_a_model_in_training_as_it_was(reader):
    reader.model.train()
    reading = reader.read(ENGLISH)
    assert reader.model.training and not reading.shares.requires_grad
    reader.model.eval()


def test_a_reading_serves_the_head_explorer_too(reader):
    explorer = HeadExplorer([reader.read(ENGLISH)], model=reader)
    explorer.read(CHINESE)
    np.testing.assert_allclose(explorer.weights, reader.read(CHINESE).weights[0], atol=1e-6)


def test_a_bilstm_answers_and_has_no_heads_to_show(reader, corpus):
    lstm = models.SentenceReader(models.BiLSTM(len(corpus.vocabulary), 17), corpus)
    reading = lstm.read(CHINESE)
    assert reading.weights is None and reading.probabilities.sum().item() == pytest.approx(1)
    with pytest.raises(ValueError, match="this model has no heads to show"):
        IntentExplorer([reading])


def test_a_model_of_another_vocabulary_is_refused(corpus):
    with pytest.raises(ValueError, match=f"the model knows 10 tokens and the corpus {len(corpus.vocabulary)}"):
        models.SentenceReader(models.AttentionClassifier(10, 17), corpus)


# explorer ------------------------------------------------------------------------------------------------------------


def test_the_rows_are_where_the_heads_look_from_a_word_or_from_the_answer(explorer, reader):
    reading = reader.read(ENGLISH)
    weights, shares = reading.weights.numpy(), reading.shares.numpy()
    assert (explorer.layer, explorer.word) == (1, -1)
    for layer in 0, 1:
        explorer.layer = layer
        explorer.word = -1
        np.testing.assert_allclose(explorer.looks, np.einsum("n,hnm->hm", shares, weights[layer]), atol=0.004)
        explorer.word = 3
        np.testing.assert_allclose(explorer.looks, weights[layer, :, 3], atol=0.004)
    np.testing.assert_allclose(explorer.looks.sum(axis=1), 1, atol=0.05)


def test_the_answers_are_the_models_the_likeliest_first(explorer, reader):
    name, probability = explorer.answers[0]
    reading = reader.read(ENGLISH)
    assert name == reading.answer and probability == pytest.approx(reading.probabilities.max().item(), abs=1e-5)
    assert sum(p for _, p in explorer.answers) == pytest.approx(1, abs=1e-3)


def test_what_is_typed_is_read_shown_and_kept(explorer):
    explorer.word = 2
    explorer._on_message(None, {"kind": "read", "sentence": "  不需要保险，我想查账单 "}, [])
    assert explorer.sentence == "不需要保险，我想查账单" and explorer.word == -1 and explorer.message == ""
    explorer.sentence = ENGLISH
    explorer._on_message(None, {"kind": "read", "sentence": "不需要保险，我想查账单"}, [])
    assert explorer.sentence == "不需要保险，我想查账单" and len(explorer._typed) == 1


@pytest.mark.parametrize(
    "typed, words",
    [
        ("", "the sentence is empty: type at least one word."),
        ("贷" * 5000, "the sentence has 5,000 tokens; at most 128 are read: shorten it."),
    ],
)
def test_what_cannot_be_read_is_told_in_the_widget(explorer, typed, words):
    explorer._on_message(None, {"kind": "read", "sentence": typed}, [])
    assert explorer.message == words and explorer.sentence == ENGLISH


def test_unknown_words_are_named_beside_the_answer(explorer):
    explorer.read("我想买龘")
    assert explorer._typed[0]["note"] == "龘 does not occur in the training sentences and is read as [UNK]."


def test_without_a_model_a_new_sentence_is_refused(reader):
    explorer = IntentExplorer([reader.read(ENGLISH)])
    assert not explorer.can_read
    with pytest.raises(ValueError, match="no model to read a new sentence"):
        explorer.read("hello")


@pytest.mark.parametrize("sentence", [ENGLISH, CHINESE, " ".join([ENGLISH] * 10)])
def test_a_picture_stands_beside_the_live_view_in_either_language(reader, sentence, recwarn):
    explorer = IntentExplorer([reader.read(sentence)], word=1)
    data, metadata = explorer._repr_mimebundle_()
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.width == 2 * metadata["image/png"]["width"] <= 2000
    assert len(image.getcolors(1 << 24)) > 20, "an empty page"
    assert data["text/plain"] == repr(explorer) and not recwarn.list


def test_the_picture_follows_the_state(explorer):
    pictures = [explorer.picture()[0]]
    for name, value in ("word", 2), ("layer", 0), ("stretch", False), ("sentence", CHINESE):
        setattr(explorer, name, value)
        pictures.append(explorer.picture()[0])
    assert len(set(pictures)) == 5


def test_the_picture_shows_white_space_numbers_repeated_words_and_clips_long_ones(monkeypatch):
    written = []
    monkeypatch.setattr(Page, "text", lambda self, x, y, text, *args, **options: written.append(text))
    explorer = IntentExplorer([reading([" lead", "\n", "", "the", "the", "x" * 300])])
    explorer.picture()
    assert {"␣lead", "↵", "∅", "the₁", "the₂"} <= set(written)
    assert max(map(len, written)) < 130 and any(text.startswith("xxx") and text.endswith("…") for text in written)


@pytest.mark.parametrize("installed", [True, False])
def test_the_picture_numbers_chinese_words_only_where_no_font_has_their_letters(installed, reader, monkeypatch):
    written = []
    monkeypatch.setattr(Page, "text", lambda self, x, y, text, *args, **options: written.append(text))
    monkeypatch.setattr(_picture, "_wide_font", lambda: ("some.ttf", 0) if installed else None)
    monkeypatch.setattr(Page, "width_of", lambda self, text, *args: 10.0 * len(text))
    reading = reader.read(CHINESE)
    IntentExplorer([reading]).picture()
    assert (reading.tokens[0] in written, "1" in written) == (installed, not installed)


def test_what_is_read_is_a_trait_that_another_sentence_drops(explorer):
    seen = []
    explorer.observe(lambda change: seen.append(change["new"]), "hovered")
    explorer.hovered = [3, 11]
    explorer.word, explorer.layer = 2, 0
    assert explorer.hovered == [3, 11]
    explorer.sentence = CHINESE
    assert explorer.hovered == [] and seen == [[3, 11], []]


def test_text_is_short_and_without_an_address(explorer):
    name, probability = explorer.answers[0]
    assert repr(explorer) == f"IntentExplorer(2 sentences, 2 layers × 4 heads; {name}, {probability:.0%})"


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("layer", 2, "there are layers 0 to 1"),
        ("word", 12, "the words are 0 to 11, and -1 is the answer"),
        ("word", -2, "the words are 0 to 11"),
        ("sentence", "no", "'no' is not among the 2 sentences"),
        ("hovered", [4, 0], r"hovered=\[4, 0\]: \[\] or \[head, word\] below \[4, 12\]"),
        ("hovered", [0, 12], "below"),
        ("hovered", [-1, 0], "below"),
        ("hovered", [0, 0, 0], "below"),
        ("hovered", [1], "below"),
    ],
)
def test_states_that_there_are_not_are_refused_in_words(explorer, name, value, words):
    with pytest.raises(TraitError, match=words):
        setattr(explorer, name, value)


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"shares": torch.ones(12)}, "the shares of .* sum to 12"),
        ({"probabilities": torch.full((17,), 0.1)}, "the probabilities of .* sum to 1.7"),
        ({"shares": torch.ones(3) / 3}, "shares holds 3 numbers for 12 tokens"),
        ({"names": ["one"]}, "probabilities 17 numbers for 1 name:"),
    ],
)
def test_readings_that_cannot_be_are_refused_in_words(reader, changed, words):
    with pytest.raises(ValueError, match=words):
        IntentExplorer([reader.read(ENGLISH)._replace(**changed)])


def test_one_of_a_thing_is_told_in_the_singular():
    with pytest.raises(ValueError, match="shares holds 1 number for 2 tokens, probabilities 1 number for 2 names: "):
        IntentExplorer([reading(["a", "b"], shares=[1], probabilities=[1])])
    with pytest.raises(TraitError, match="among the 1 sentence;"):
        IntentExplorer([reading(["a"])]).sentence = "b"


def test_there_must_be_readings_all_different_and_a_model_that_reads(reader):
    with pytest.raises(ValueError, match="0 readings"):
        IntentExplorer([])
    with pytest.raises(ValueError, match="same sentence"):
        IntentExplorer([reader.read(ENGLISH)] * 2)
    with pytest.raises(ValueError, match=r"model is int: it must have .read\(sentence\)"):
        IntentExplorer([reader.read(ENGLISH)], model=3)
