"""Tasks of two sequences: parts that share no sentence, alignments that say where a word comes from, and bad input."""

import re
from datetime import date

import pytest
import torch

from mha_lab import tasks
from mha_lab.tasks import END, PAD
from mha_lab.tasks._pairs import shortened
from mha_lab.tasks.dates import FORMATS, MONTHS, written
from mha_lab.tasks.translation import AFTER_THE_NOUN, ANIMALS, BEFORE_THE_NOUN, NEW, PEOPLE, PLACES, THINGS, held_back

CORPORA = {"dates": lambda: tasks.dates(2_000), "translation": lambda: tasks.translation(2_000)}
each = pytest.mark.parametrize("corpus", [make() for make in CORPORA.values()], ids=CORPORA)


@each
def test_no_sentence_stands_in_two_parts(corpus):
    sources = [example.source for part in corpus.examples.values() for example in part]
    assert len(set(sources)) == len(sources) == 2_000
    assert all(len(corpus.examples[part]) > 100 for part in ("training", "validation", "test"))


def test_no_date_stands_in_two_parts_in_whatever_format():
    corpus = tasks.dates(2_000)
    answers = {part: {example.target for example in examples} for part, examples in corpus.examples.items()}
    assert sum(len(found) for found in answers.values()) == len(set().union(*answers.values())) == 2_000


ADJECTIVES = {*BEFORE_THE_NOUN, *AFTER_THE_NOUN}
NOUNS = {form.split()[0]: noun for noun in PEOPLE + ANIMALS + THINGS + PLACES for form in noun.english}


def pairs_in(sentence):
    """Every adjective of an English sentence with its noun: the first that follows."""
    for place, word in enumerate(sentence):
        if word in ADJECTIVES:
            yield word, next(NOUNS[later] for later in sentence[place:] if later not in ADJECTIVES)


def test_a_new_pair_is_an_adjective_and_a_noun_that_no_training_sentence_joins():
    joined = {part: set() for part in ("training", NEW)}
    for part, found in joined.items():
        for example in tasks.translation(2_000).examples[part]:
            pairs = set(pairs_in(example.source))
            assert any(held_back(*pair) for pair in pairs) == (part == NEW)
            found |= pairs
    assert len(joined[NEW] - joined["training"]) > 10


@each
def test_the_same_words_are_numbered_the_same_and_come_back(corpus):
    for part, examples in corpus.examples.items():
        pairs = corpus.parts[part]
        for b in (0, len(examples) - 1):
            assert corpus.source.decode(pairs.source[b]) == list(examples[b].source)
            assert corpus.target.decode(pairs.target[b]) == list(examples[b].target)
            ends = pairs.target[b] == END
            assert ends.sum() == 1 and (pairs.target[b, ends.nonzero()[0, 0] + 1 :] == PAD).all()


@each
def test_an_alignment_marks_words_and_no_padding(corpus):
    pairs = corpus.parts["test"]
    assert pairs.right.shape == (*pairs.target.shape, pairs.source.shape[1])
    assert not (pairs.right & (pairs.source == PAD)[:, None]).any()
    assert not pairs.right[pairs.target <= END].any()
    assert pairs.right.any(dim=-1)[pairs.target > END].double().mean() > 0.75


@each
def test_the_same_seed_draws_the_same_training_sentences(corpus):
    first, again = (corpus.draw(8, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    training = {example.source for example in corpus.examples["training"]}
    assert {tuple(corpus.source.decode(row)) for row in first.source} <= training


@each
def test_shortened_loses_no_word(corpus):
    pairs = corpus.parts["validation"]
    few = shortened(pairs, slice(0, 5))
    assert (few.source != PAD).any(dim=0).all() and (few.target != PAD).any(dim=0).all()
    assert corpus.write(few.target) == corpus.write(pairs.target[:5])
    assert few.right.sum() == pairs.right[:5].sum()


@pytest.mark.parametrize(
    "form, text, spans",
    [
        (0, "3 may 1999", {"year": "1999", "month": "may", "day": "3"}),
        (3, "may 3rd, 1999", {"year": "1999", "month": "may", "day": "3"}),
        (4, "the 3rd of may 1999", {"year": "1999", "month": "may", "day": "3"}),
        (5, "monday, 3 may 1999", {"year": "1999", "month": "may", "day": "3"}),
        (6, "03.05.1999", {"year": "1999", "month": "05", "day": "03"}),
        (7, "05/03/1999", {"year": "1999", "month": "05", "day": "03"}),
    ],
)
def test_a_written_date_knows_where_its_fields_stand(form, text, spans):
    example = written(date(1999, 5, 3), form)
    assert "".join(example.source) == text and "".join(example.target) == "1999-05-03"
    for field, place in tasks.DATE_FIELDS.items():
        for digit in example.right[place]:
            assert "".join(example.source[s] for s in digit) == spans[field]
    assert example.right[4] == example.right[7] == ()


@pytest.mark.parametrize("day, th", [(1, "st"), (2, "nd"), (3, "rd"), (4, "th"), (11, "th"), (12, "th"), (23, "rd")])
def test_ordinals_are_written_as_people_say_them(day, th):
    assert f" {day}{th}," in "".join(written(date(2000, 1, day), 3).source)


def test_every_format_and_month_occurs():
    texts = ["".join(example.source) for example in tasks.dates(2_000).examples["training"]]
    patterns = (
        r"\d+ [a-z]{3,} \d+",
        r"[a-z]{3,} \d+, ",
        r"[a-z]+ \d+(st|nd|rd|th)",
        r"the ",
        r"[a-z]+day, ",
        r"\S+\.",
        r".*/",
    )
    assert len(FORMATS) == 8 and all(any(re.match(pattern, text) for text in texts) for pattern in patterns)
    assert all(any(month in text for text in texts) for month in MONTHS)


def aligned(english):
    """French words with the English words that each stands for, of the corpus' own sentences."""
    examples = [e for part in tasks.translation(2_000).examples.values() for e in part]
    for example in examples:
        for word, places in zip(example.target, example.right):
            if " ".join(example.source[place] for place in places) == english:
                yield word


@pytest.mark.parametrize(
    "english, french",
    [
        ("cat", {"chat"}),
        ("looks for", {"cherche"}),
        ("looks at", {"regarde"}),
        ("in front of", {"devant"}),
        ("not", {"ne", "pas"}),
        ("potato", {"pomme", "de", "terre"}),
        ("mobile phones", {"portables"}),
        ("a", {"un", "une", "de"}),
        ("beautiful", {"beau", "belle", "beaux", "belles"}),
        ("'s the", {"du"}),
    ],
)
def test_a_french_word_stands_for_the_english_words_that_it_translates(english, french):
    assert set(aligned(english)) == french


def test_french_order_differs_from_english_order():
    def places(example):
        return [place for right in example.right for place in right[:1]]

    examples = tasks.translation(2_000).examples["training"]
    crossed = [places(example) != sorted(places(example)) for example in examples]
    assert sum(crossed) > 0.6 * len(crossed)


@each
@pytest.mark.parametrize("text, words", [("", "the sentence is empty"), ("??", r"'\?\??' is not among the \d+ words")])
def test_a_sentence_that_cannot_be_read_is_named(corpus, text, words):
    with pytest.raises(ValueError, match=words):
        corpus.read(text)


def test_typed_english_is_read_as_people_type_it():
    corpus = tasks.translation(2_000)
    (row,) = corpus.read("My sister’s black cat sees the dog.")
    assert corpus.source.decode(row) == "my sister 's black cat sees the dog".split()


def test_another_number_of_dates_than_there_are_is_refused():
    with pytest.raises(ValueError, match="40000 different dates: there must be 100 to 36525"):
        tasks.dates(40_000)


def test_a_rule_by_place_goes_where_the_answer_stood_most_often_in_training_for_sources_as_long():
    right = torch.zeros(5, 2, 3, dtype=torch.bool)
    right[[0, 1, 2, 3], 0, [2, 2, 0, 1]] = True  # row 0: twice place 2, once place 0; of two words, place 1
    source = torch.tensor([[4, 4, 4], [4, 4, 4], [4, 4, 4], [4, 4, PAD], [4, PAD, PAD]])
    training = tasks.Pairs(source[:4], torch.full((4, 2), END), right[:4])
    weights = tasks.by_place(training, tasks.Pairs(source[[0, 3, 4]], training.target[:3], right[:3]))
    assert weights.argmax(dim=-1)[:, 0].tolist() == [2, 1, 0]  # no training source has one word
    assert torch.equal(weights.sum(dim=-1), torch.ones(3, 2))
    longer = tasks.Pairs(torch.full((1, 4), 4), torch.full((1, 3), END), torch.zeros(1, 3, 4, dtype=torch.bool))
    assert tasks.by_place(training, longer).shape == (1, 3, 4)


def test_a_vocabulary_says_which_numbers_are_one_of_some_words():
    corpus = tasks.translation(2_000)
    numbers = corpus.source.encode(["the", "cow", "does", "not", "see", "the", "hen"])
    assert corpus.source.among(numbers, {"the", "hen", "unicorn"}).tolist() == [True, *[False] * 4, True, True]
