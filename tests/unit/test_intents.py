"""The intent corpus: what a label is, that no part leaks into another, and that the words alone do not give it away."""

import hashlib
import re

import pytest
import torch
from torch.nn import functional as F

from mha_lab import tasks
from mha_lab.tasks import _intent_grammar as grammar
from mha_lab.tasks import finance_intents

PARTS = list(finance_intents.PARTS)
KINDS = "double", "ordinal", "compound", "none", "plain", "negated", "other", "past", "mixed"
KEYS = [intent.key for intent in tasks.INTENTS]
by_language = pytest.mark.parametrize("language", ["zh", "en"])


def corpus(part, language=None, size=None):
    return tasks.intents(part, language=language, size=size)


# what is in it -------------------------------------------------------------------------------------------------------


@by_language
def test_the_corpus_is_the_same_on_every_machine(language):
    texts = "\n".join(f"{e.label} {e.sentence}" for part in PARTS for e in corpus(part, language).examples)
    assert (
        hashlib.sha256(texts.encode()).hexdigest()[:16]
        == {"zh": "4f16743a87c1a5e2", "en": "bc4451dbbcaca50e"}[language]
    )


def test_there_are_sixteen_intents_and_no_request_each_with_its_share_of_every_part():
    assert len(set(KEYS)) == 17 and KEYS[-1] == "none"
    for part in ("training", "validation", "test"):
        counts = torch.bincount(corpus(part).labels, minlength=17)
        assert counts.min() > 0.6 * counts.float().mean() and counts.max() < 1.5 * counts.float().mean()


@by_language
@pytest.mark.parametrize("kind", ["plain", "compound", "negated", "ordinal", "other", "past", "mixed", "none"])
def test_every_kind_of_sentence_is_in_training_and_test(language, kind):
    for part in ("training", "test"):
        assert corpus(part, language).of_kind(kind).sum() >= 0.03 * len(corpus(part, language).examples)


@by_language
def test_every_sentence_is_of_exactly_one_kind_and_an_ordinal_of_no_other(language):
    for part in PARTS:
        data = corpus(part, language)
        kinds = torch.stack([data.of_kind(kind) for kind in KINDS])
        assert (kinds.sum(dim=0) == 1).all()
        ordinal = torch.tensor(["ordinal" in example.traits for example in data.examples])
        assert torch.equal(data.of_kind("ordinal"), ordinal)


def test_a_kind_says_what_stands_beside_the_request_and_in_which_number():
    for example in corpus("test").examples:
        beside = example.traits & {"negated", "other", "past"}
        if example.kind in ("plain", "negated", "other", "past"):
            assert beside == ({example.kind} - {"plain"}) and not example.traits - beside - {"plain"}
        elif example.kind == "mixed":
            assert len(beside) > 1 and example.traits == beside
        assert (example.kind == "none") == (KEYS[example.label] == "none")


def test_a_kind_that_there_is_not_is_answered_with_those_that_there_are():
    with pytest.raises(ValueError, match="kind='ordinals': the kinds are double, ordinal, compound"):
        corpus("test", "zh").of_kind("ordinals")


def test_a_sentence_names_the_intents_whose_words_it_has():
    for example in corpus("test", "zh").examples:
        assert len(example.named) == example.clauses and example.named < set(KEYS)
        assert example.kind == "none" or KEYS[example.label] in example.named


@pytest.mark.parametrize("language", ["zh", "en", None])
def test_a_smaller_training_set_lies_in_a_larger_one(language):
    small, middle, large = (corpus("training", language, size).examples for size in (300, 1500, 8000))
    assert small == middle[:300] and middle == large[:1500] and len(large) == 8000
    assert {example.language for example in small} == ({language} if language else {"zh", "en"})


# no leakage ----------------------------------------------------------------------------------------------------------


def test_no_sentence_and_no_combination_of_phrases_is_in_two_parts():
    seen = {}
    for part in PARTS:
        for example in corpus(part).examples:
            for trace in example.sentence.lower(), example.tokens, example.key:
                assert seen.setdefault(trace, part) == part, f"{trace} is in {seen[trace]} and in {part}"


def test_no_two_parts_hold_sentences_that_differ_in_numbers_greetings_and_conjunctions_only():
    """Read off the sentences themselves, without asking the grammar what it put together."""
    spoken = [*grammar.OPENERS.values(), *grammar.CLOSERS.values(), *grammar.JOINTS.values()]
    polite = {token for phrases in spoken for phrase in phrases for token in tasks.tokenise(phrase)}
    seen = {}
    for part in PARTS:
        for example in corpus(part).examples:
            words = [example.language]
            for i, token in enumerate(example.tokens):
                if example.marks["number"][i]:
                    words.append("#")
                elif example.clause_of[i] >= 0 or (token.isalpha() and token not in polite):
                    words.append(token)
            assert seen.setdefault(tuple(words), part) == part, f"{example.sentence}: {seen[tuple(words)]} and {part}"
    assert len(seen) > 20_000


def test_each_sentence_occurs_once():
    for part in PARTS:
        sentences = [example.sentence for example in corpus(part).examples]
        assert len(set(sentences)) == len(sentences)


def test_longer_sentences_name_more_requests_than_any_in_training():
    training = max(example.clauses for example in corpus("training").examples)
    longer = [example.clauses for example in corpus("longer").examples]
    assert training == 4 and min(longer) == 6 and max(longer) == 8


def test_double_negation_is_in_its_own_parts_only():
    for part in PARTS:
        assert corpus(part).of_kind("double").all() == part.startswith("double")
        assert corpus(part).of_kind("double").any() == part.startswith("double")


def test_separate_negations_are_counted_by_clause():
    double, training = (tasks.intents(part, language="zh") for part in ("double test", "training"))
    assert {example.most_negations for example in double.examples} == {2}
    assert {example.most_negations for example in training.examples} == {0, 1}


def test_the_vocabulary_is_of_training_alone_and_the_same_for_every_size():
    training = {token for example in corpus("training").examples for token in example.tokens}
    vocabulary = corpus("test").vocabulary
    assert set(vocabulary.tokens) <= training | {"[PAD]", "[UNK]", "[NUM]"}
    assert corpus("training", size=300).vocabulary.tokens == vocabulary.tokens
    assert corpus("test").vocabularies == (len(vocabulary),) and corpus("test").answers == (17,)


# labels and marks ----------------------------------------------------------------------------------------------------


def test_a_sentence_is_its_tokens_and_every_mark_has_one_place_for_each():
    for part in PARTS:
        for example in corpus(part, size=500 if part != "double test" else None).examples:
            assert list(example.tokens) == tasks.tokenise(example.sentence)
            lengths = {len(example.clause_of), *map(len, example.marks.values())}
            assert lengths == {len(example.tokens)}
            named = {clause for clause in example.clause_of if clause >= 0}
            assert named == set(range(example.clauses))


def test_the_right_words_are_a_request_of_that_intent_in_one_clause_and_there_are_none_where_nothing_is_asked():
    words = {
        (language, tuple(t for t in tasks.tokenise(re.sub(r"[<>#]|\{\w+\}", "", phrase)) if t != "%")): intent
        for language, phrases in grammar.REQUESTS.items()
        for intent, variants in phrases.items()
        for phrase in variants
    }
    for part in PARTS:
        for example in corpus(part).examples:
            right = [i for i, on in enumerate(example.marks["right"]) if on]
            assert bool(right) == (KEYS[example.label] != "none") == ("none" not in example.traits)
            if right:
                said = tuple(example.tokens[i] for i in right if not example.tokens[i][0].isdigit())
                assert words[example.language, said] == KEYS[example.label]
                assert len({example.clause_of[i] for i in right}) == 1
                assert right == list(range(right[0], right[-1] + 1))


@pytest.mark.parametrize(
    "language, mark, some",
    [
        ("zh", "negation", {"不", "用", "没", "别"}),
        ("en", "negation", {"not", "no", "don't", "never"}),
        ("zh", "term", {"lpr", "基", "违", "罚", "险"}),
        ("en", "term", {"lpr", "penalty", "basis", "insurance"}),
        ("zh", "order", {"先", "再", "最"}),
        ("en", "order", {"first", "then", "before"}),
        ("zh", "number", {"1", "2", "一", "二"}),
        ("en", "number", {"1", "2", "one", "two"}),
    ],
)
def test_marks_stand_on_the_words_they_are_named_for(language, mark, some):
    examples = corpus("training", language).examples
    marked = {t for e in examples for t, on in zip(e.tokens, e.marks[mark]) if on}
    assert some <= marked and not marked & {",", "。", ".", "我", "i"}
    if mark == "negation":
        assert all(any(e.marks[mark]) == ("negated" in e.traits) for e in examples)


def test_a_request_that_is_denied_is_never_the_label():
    for example in corpus("test").examples:
        denied = {c for c, on in zip(example.clause_of, example.marks["negation"]) if on and c >= 0}
        right = {c for c, on in zip(example.clause_of, example.marks["right"]) if on}
        assert not denied & right


@by_language
def test_of_two_numbered_requests_the_ordinal_decides(language):
    """Sentences whose pointer names an ordinal: the right clause holds the same ordinals, and no other does."""
    ordinal_words, checked = {*"123456", *grammar.IN_WORDS["zh"], *grammar.IN_WORDS["en"]}, 0
    for example in corpus("test", language).examples:
        denied_outside = [on for on, c in zip(example.marks["negation"], example.clause_of) if on and c < 0]
        if "ordinal" not in example.traits or denied_outside:
            continue
        ordinals = {}
        for before, token, clause in zip(example.tokens, example.tokens[1:], example.clause_of[1:]):
            if before in ("第", "request", "instalment", "year") and token in ordinal_words:
                ordinals.setdefault(clause, []).append(token)
        (right,) = {c for c, on in zip(example.clause_of, example.marks["right"]) if on}
        pointed = ordinals.pop(-1)
        assert [c for c, found in ordinals.items() if found == pointed] == [right], example.sentence
        checked += 1
    assert checked > 300


def test_a_rule_finds_the_wish_that_an_ordinal_points_at():
    """The wish is said in the very words that are marked as the right ones."""
    test = tasks.intents("test", language="zh")
    ordinals = [example for example in test.examples if example.kind == "ordinal"]
    for example in ordinals:
        wish = tasks.pointed_at(example.sentence)
        assert wish.startswith("我要") and wish[2:-1] in tasks.numbered_wishes(example.sentence).values()
        right = [token for token, is_right in zip(example.tokens, example.marks["right"]) if is_right]
        assert all(token in wish.lower() for token in right)
    counts = [len(tasks.numbered_wishes(example.sentence)) for example in ordinals]
    assert set(counts) == {2, 3}


def test_a_sentence_that_points_at_nothing_is_refused_in_words():
    assert tasks.numbered_wishes("我要开发票。") == {}
    with pytest.raises(ValueError, match="nothing says which of 0 numbered wishes is meant: 我要开发票。"):
        tasks.pointed_at("我要开发票。")


def test_the_words_alone_do_not_decide():
    """A linear model of which words occur stays below 50%, though plain sentences are easy for it."""
    training, test = corpus("training", "zh", 4000), corpus("test", "zh")
    x, held_back = (bag(d) for d in (training, test))
    model = torch.nn.Linear(x.shape[1], 17)
    torch.nn.init.zeros_(model.weight)
    optimiser = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(80):
        loss = F.cross_entropy(model(x), training.labels) + 5e-4 * model.weight.square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    correct = model(held_back).argmax(dim=-1) == test.labels
    assert correct.float().mean() < 0.5
    assert correct[test.of_kind("plain")].float().mean() > 0.9
    for kind in ("compound", "negated", "ordinal", "mixed"):
        assert correct[test.of_kind(kind)].float().mean() < 0.5


def bag(data):
    found = torch.zeros(len(data.examples), len(data.vocabulary))
    found.scatter_(1, data.everything.inputs[..., 0], 1.0)
    found[:, 0] = 0
    return found


# batches -------------------------------------------------------------------------------------------------------------


def test_a_batch_is_padded_to_its_longest_sentence_and_drawn_by_its_generator():
    data = corpus("validation", "en")
    first, again = (data.draw(16, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.inputs, again.inputs) and torch.equal(first.targets, again.targets)
    B, N, _ = first.inputs.shape
    assert B == 16 and N == first.lengths.max() and first.clause_of.shape == (B, N)
    behind = torch.arange(N) >= first.lengths[:, None]
    assert torch.equal(first.inputs[..., 0] == 0, behind)
    assert set(first.marks) == {"right", "number", "negation", "term", "order"}
    assert not any((mark & behind).any() for mark in first.marks.values())
    assert (first.clause_of[behind] == -1).all()


def test_batches_give_every_sentence_once_in_order():
    data = corpus("validation", "zh")
    batches = list(data.batches(300))
    assert [len(batch.targets) for batch in batches] == [300, 300, 300, 100]
    assert torch.equal(torch.cat([batch.targets for batch in batches]), data.labels)
    first = data.batch([7])
    assert data.vocabulary.numbers(data.examples[7].tokens) == first.inputs[0, :, 0].tolist()


# what is typed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sentence, tokens",
    [
        ("第2年第3期，LPR加45个基点", "第 2 年 第 3 期 , lpr 加 45 个 基 点"),
        ("还清￥12,345.67元！", "还 清 ¥ 12345.67 元 !"),
        ("利率3.85%？", "利 率 3.85% ?"),
        ("第２期，ＬＰＲ", "第 2 期 , lpr"),
        ("I don’t want the 2nd one, please.", "i don't want the 2nd one , please ."),
        ("this month's statement", "this month's statement"),
        ("工单QX7203：你好", "工 单 qx7203 : 你 好"),
    ],
)
def test_chinese_is_cut_by_character_and_numbers_and_latin_words_are_one_token(sentence, tokens):
    assert tasks.tokenise(sentence) == tokens.split()


def test_the_readers_are_told_which_words_are_unknown_and_unknown_numbers_are_numbers():
    data = corpus("test")
    known = data.encode("先问提前还款违约金，再改还款日")
    assert known.message == "" and known.unknown == [] and known.inputs.shape == (1, len(known.tokens), 1)
    assert known.lengths.tolist() == [len(known.tokens)]
    one = data.encode("我想买龘")
    assert one.unknown == ["龘"] and one.message == "龘 does not occur in the training sentences and is read as [UNK]."
    assert one.inputs[0, -1, 0] == data.vocabulary.numbers(["[UNK]"])[0] == 1
    two = data.encode("buy xylophones, buy zebras and buy xylophones")
    assert two.message == "xylophones and zebras do not occur in the training sentences and are read as [UNK]."
    assert data.encode("987654元").inputs[0, 0, 0] == 2 and not data.encode("987654元").unknown
    many = data.encode(" ".join(f"zz{chr(97 + i)}" for i in range(12)))
    assert "zzh and 4 more do not occur" in many.message


@pytest.mark.parametrize("empty", ["", "   ", "\n\t"])
def test_an_empty_sentence_is_answered_in_words(empty):
    with pytest.raises(ValueError, match="^the sentence is empty: type at least one word.$"):
        corpus("test").encode(empty)


def test_a_sentence_of_five_thousand_tokens_is_answered_in_words():
    with pytest.raises(ValueError, match="^the sentence has 5,000 tokens; at most 1,024 are read: shorten it.$"):
        corpus("test").encode("贷" * 5000)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"part": "exam"}, "the parts are training, validation, test"),
        ({"language": "fr"}, "'zh' or 'en'"),
        ({"size": 0}, "1 to 16,000"),
        ({"size": 8001, "language": "zh"}, "1 to 8,000"),
    ],
)
def test_what_there_is_not_is_answered_with_what_there_is(options, words):
    with pytest.raises(ValueError, match=words):
        tasks.intents(**options)
