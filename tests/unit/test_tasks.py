"""The small tasks: their answers, where the answers stand, and that the same seed draws the same examples."""

import dataclasses
import sys

import pytest
import torch

from mha_lab import long_sequences, models, pretrained, tasks
from mha_lab.tasks import digits, finance_intents, text

TASKS = [tasks.lookup(), tasks.previous_and_match(), tasks.induction(), tasks.characters()]
KNOWN = TASKS[:3]
by_name = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
with_right = pytest.mark.parametrize("task", KNOWN, ids=lambda task: task.name)


def drawn(task, seed=0, B=50):
    return task.draw(B, torch.Generator().manual_seed(seed))


@by_name
def test_a_batch_has_the_shapes_and_vocabularies_that_its_task_names(task):
    batch = drawn(task)
    assert batch.inputs.shape == (50, task.num_tokens, len(task.vocabularies))
    assert batch.targets.shape == (50, task.num_tokens, len(task.answers))
    assert (batch.inputs >= 0).all() and (batch.inputs < torch.tensor(task.vocabularies)).all()
    asked = batch.targets != tasks.IGNORE
    assert ((batch.targets >= 0) & (batch.targets < torch.tensor(task.answers)) | ~asked).all() and asked.any()


@by_name
def test_the_same_seed_draws_the_same_batch_and_leaves_everyones_random_numbers_alone(task):
    state = torch.get_rng_state()
    first, again, other = drawn(task), drawn(task), drawn(task, seed=1)
    assert torch.equal(first.inputs, again.inputs) and torch.equal(first.targets, again.targets)
    assert not torch.equal(first.inputs, other.inputs)
    assert torch.equal(torch.get_rng_state(), state)


@with_right
def test_one_token_holds_each_answer_and_none_where_nothing_is_asked(task):
    batch = drawn(task)
    marked = batch.right.sum(dim=-1).mT  # (B, N, R)
    assert torch.equal(marked, (batch.targets != tasks.IGNORE).long())
    if task.causal:
        assert not batch.right.triu(1).any(), "an answer in the future"


def test_lookup_answers_with_the_value_of_the_token_whose_key_is_pointed_at():
    inputs, targets, right = drawn(tasks.lookup(), B=5)
    for b, i, r in [(0, 0, 0), (1, 7, 3), (4, 3, 1)]:
        (found,) = (s for s in range(8) if inputs[b, s, 0] == inputs[b, i, 2 + r])
        assert targets[b, i, r] == inputs[b, found, 1] and right[b, r, i, found]
    assert (inputs[..., 2:].sort(dim=-1).values.diff(dim=-1) > 0).all(), "two pointers of a token are the same"


def test_previous_and_match_answers_from_the_token_before_and_the_same_letters_last_token():
    inputs, targets, _ = drawn(tasks.previous_and_match(), B=5)
    for letters, numbers, asked in zip(inputs[..., 0].tolist(), inputs[..., 1].tolist(), targets.tolist()):
        for i, (previous, match) in enumerate(asked):
            earlier = [j for j in range(i) if letters[j] == letters[i]]
            assert previous == (numbers[i - 1] if i else tasks.IGNORE)
            assert match == (numbers[earlier[-1]] if earlier else tasks.IGNORE)


def test_induction_asks_for_the_next_letter_once_the_text_repeats_and_periods_differ():
    batch = drawn(tasks.induction())
    periods = set()
    for letters, asked in zip(batch.inputs[..., 0].tolist(), batch.targets[..., 0].tolist()):
        period = next(p for p in range(8, 17) if letters[p:] == letters[:-p])
        periods.add(period)
        assert len(set(letters[:period])) == period
        assert asked[:-1] == [tasks.IGNORE] * period + letters[period + 1 :] and asked[-1] == tasks.IGNORE
    assert len(periods) > 5


def test_characters_are_followed_by_their_successors_and_the_parts_share_no_topic():
    batch = drawn(tasks.characters())
    assert torch.equal(batch.inputs[:, 1:, 0], batch.targets[:, :-1, 0])
    letters, parts = text._python_help()
    as_text = {part: bytes(letters[i] for i in numbers).decode() for part, numbers in parts.items()}
    pieces = {as_text["validation"][i : i + 200] for i in range(0, len(as_text["validation"]) - 200, 5000)}
    assert pieces and not any(piece in as_text["training"] for piece in pieces)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: tasks.lookup(8, 16, 9), "9 different pointers into 8 tokens"),
        (lambda: tasks.induction(64, 20), "16 to 32 different letters cannot be made of 20"),
        (lambda: tasks.characters(part="test"), '"training" or "validation", not \'test\''),
    ],
)
def test_sizes_that_do_not_fit_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


MADE_ONCE = (
    *(finance_intents._intents, digits._digits, text._python_help),
    *(sys.modules[f"mha_lab.tasks.{name}"].__dict__[f"_{name}"] for name in ("dates", "translation")),
)
DRAWN = {
    "lookup": tasks.lookup,
    "previous and match": tasks.previous_and_match,
    "induction": tasks.induction,
    "characters": tasks.characters,
    "document": tasks.document,
    "facts": tasks.facts,
    "two digits": lambda: tasks.two_digits("test", noise=0.1),
    "dates": lambda: tasks.dates(300),
    "translation": lambda: tasks.translation(300),
    "intents": lambda: tasks.intents("validation", size=40),
}


def tensors(batch):
    for part in batch:
        yield from (part.values() if isinstance(part, dict) else [] if part is None else [part])


@pytest.mark.parametrize("make", DRAWN.values(), ids=DRAWN)
def test_the_same_seed_draws_the_same_whatever_the_default_type_and_device_are(make):
    """Also where the data are made, and kept, under them."""
    expected = list(tensors(drawn(make(), B=5)))
    for made_once in MADE_ONCE:
        made_once.cache_clear()
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            found = list(tensors(drawn(make(), B=5)))
    finally:
        torch.set_default_dtype(before)
    assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ["dates", "translation", "intents"])
def test_what_one_caller_changes_stays_as_it_was_for_all_others(name):
    make = DRAWN[name]
    mine, everybodys = make(), make()
    before = list(tensors(drawn(everybodys, B=5)))
    parts = [mine.everything] if name == "intents" else mine.parts.values()
    for part in parts:
        for tensor in tensors(part):
            tensor.zero_()
    if name != "intents":
        mine.examples["test"].clear()
        mine.parts.pop("test")
    for corpus in everybodys, make():
        assert all(map(torch.equal, tensors(drawn(corpus, B=5)), before))
        assert name == "intents" or (corpus.examples["test"] and len(corpus.parts["test"].source))
        assert name != "intents" or corpus.labels.any()


@pytest.mark.parametrize("make", [tasks.dates, tasks.translation, lambda size: tasks.intents(size=size)])
def test_a_corpus_of_no_size_is_refused(make):
    for size, words in (0.5, "the float 0.5; it must be a whole number"), (-1, "-1"):
        with pytest.raises((ValueError, TypeError), match=words):
            make(size)


COUNTS = {
    "lookup of tokens": lambda n: tasks.lookup(n),
    "lookup of values": lambda n: tasks.lookup(num_values=n),
    "lookup of pointers": lambda n: tasks.lookup(num_pointers=n),
    "previous and match of tokens": lambda n: tasks.previous_and_match(n),
    "previous and match of letters": lambda n: tasks.previous_and_match(num_letters=n),
    "previous and match of digits": lambda n: tasks.previous_and_match(num_digits=n),
    "induction of tokens": lambda n: tasks.induction(n),
    "induction of letters": lambda n: tasks.induction(num_letters=n),
    "characters": lambda n: tasks.characters(n),
    "document of tokens": lambda n: tasks.document(n),
    "document of names": lambda n: tasks.document(num_names=n),
    "facts of questions": lambda n: tasks.facts(num_questions=n),
    "dates": tasks.dates,
    "translation": tasks.translation,
    "intents": lambda n: tasks.intents("validation", size=n),
    "intents in batches of": lambda n: DRAWN["intents"]().batches(n),
}


@pytest.mark.parametrize("make", COUNTS.values(), ids=COUNTS)
def test_what_is_no_count_gets_a_sentence(make):
    for size in 2.5, "8", [3], float("nan"), iter([8]), 0, -1:
        with pytest.raises((TypeError, ValueError), match=r"^[^\n]+\.$") as refused:
            make(size)
        assert "mha_lab" in str(refused.traceback[-1].path)


@pytest.mark.parametrize("make", DRAWN.values(), ids=DRAWN)
def test_a_batch_of_no_count_or_beyond_the_memory_is_refused_before_it_is_drawn(make):
    task = make()
    for B, error in (2.5, TypeError), ("8", TypeError), (None, TypeError), (0, ValueError), (-1, ValueError):
        with pytest.raises(error, match=r"^B(=| is the | is None).*; it must be a whole number|B=.*at least 1"):
            task.draw(B, None)
    with pytest.raises(MemoryError, match="This needs about .* of memory and .* are free on this machine"):
        task.draw(10**13, None)


@pytest.mark.parametrize("make", [tasks.lookup, tasks.previous_and_match, tasks.induction, tasks.document])
def test_a_text_beyond_the_memory_is_refused_before_it_is_drawn(make):
    task = make(10**8, num_letters=10**8) if make is tasks.induction else make(10**8)
    with pytest.raises(MemoryError, match="This needs about .* of memory and .* are free on this machine"):
        task.draw(1, None)


@pytest.mark.parametrize("noise", ["0.1", None, -0.1, float("nan"), float("inf"), [0.1]])
def test_noise_that_is_no_width_is_refused(noise):
    with pytest.raises(ValueError, match="noise is .*; it must be a number, 0 or above"):
        tasks.two_digits(noise=noise)


def changeable(thing, place="", found=None):
    """Where in what a loader gives there is something that its caller can change: {identity or storage: place}."""
    found = {} if found is None else found
    if isinstance(thing, torch.Tensor):
        found[thing.untyped_storage().data_ptr()] = place
    elif isinstance(thing, list | dict | set):
        if id(thing) in found:
            return found
        found[id(thing)] = place
    parts = {}
    if isinstance(thing, dict):
        parts = thing
    elif isinstance(thing, list | tuple):
        parts = dict(enumerate(thing))
    elif isinstance(thing, torch.nn.Module):
        parts = thing.state_dict(keep_vars=True)
    elif dataclasses.is_dataclass(thing):
        parts = vars(thing)
    for name, part in parts.items():
        changeable(part, f"{place}[{name!r}]", found)
    return found


LOADERS = {
    name: getattr(module, name)
    for module in (tasks, models, pretrained, long_sequences)
    for name in dir(module)
    if name.startswith("recorded")
}


@pytest.mark.parametrize("load", [*LOADERS.values(), *DRAWN.values()], ids=[*LOADERS, *DRAWN])
def test_what_is_loaded_twice_shares_nothing_that_can_be_changed(load):
    mine, everybodys = load(), load()
    first, second = changeable(mine), changeable(everybodys)
    assert [first[key] for key in first.keys() & second.keys() if key] == []
