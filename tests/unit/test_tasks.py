"""The small tasks: their answers, where the answers stand, and that the same seed draws the same examples."""

import pytest
import torch

from mha_lab import tasks
from mha_lab.tasks import text

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
    for letters, digits, asked in zip(inputs[..., 0].tolist(), inputs[..., 1].tolist(), targets.tolist()):
        for i, (previous, match) in enumerate(asked):
            earlier = [j for j in range(i) if letters[j] == letters[i]]
            assert previous == (digits[i - 1] if i else tasks.IGNORE)
            assert match == (digits[earlier[-1]] if earlier else tasks.IGNORE)


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
