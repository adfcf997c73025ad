"""The look-up that nobody trained: what heads of width one can do."""

import pytest
import torch

from mha_lab import models, tasks


@pytest.mark.parametrize("size", [(), (6, 10, 3), (8, 16, 1), (12, 16, 4)])
def test_heads_of_width_one_answer_every_question_by_hand(size):
    task = tasks.lookup(*size)
    model = models.lookup_by_hand(task)
    assert model.blocks[0].attention.d_head == 1
    assert model.accuracy(task.draw(500, torch.Generator().manual_seed(1))).eq(1).all()


def test_it_is_the_very_model_that_the_lesson_trains():
    task = tasks.lookup()
    trained = models.Encoder(task.vocabularies, task.answers, d_model=64, num_heads=64)
    assert trained.load_state_dict(models.lookup_by_hand(task).state_dict())


def test_one_head_a_pointer_and_key_and_one_for_the_mean_are_used():
    layer = models.lookup_by_hand(tasks.lookup()).blocks[0].attention
    assert layer.out_proj.weight.any(dim=0).sum() == 4 * 8 + 1


def test_a_head_is_on_the_key_that_its_pointer_names_or_looks_everywhere():
    task = tasks.lookup()
    batch = task.draw(20, torch.Generator().manual_seed(2))
    maps = models.lookup_by_hand(task)(batch.inputs, need_weights=True)[1][:, 0]
    key, pointers = batch.inputs[..., 0], batch.inputs[..., 2:]
    for pointer in range(4):
        for a in range(8):
            asked = pointers[..., pointer] == a
            expected = torch.where(asked[..., None], (key == a).float()[:, None], torch.tensor(1 / 8))
            torch.testing.assert_close(maps[:, pointer * 8 + a].float(), expected, atol=1e-5, rtol=0)


def test_its_weights_are_the_same_each_time():
    first, second = (models.lookup_by_hand(tasks.lookup()).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def everything_in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_it_answers_in_float64_too(everything_in_float64):
    task = tasks.lookup()
    model = models.lookup_by_hand(task)
    assert model.accuracy(task.draw(100, torch.Generator().manual_seed(3))).eq(1).all()


@pytest.mark.parametrize("task", [tasks.induction(), tasks.previous_and_match(), tasks.characters()])
def test_another_task_is_refused_by_name(task):
    with pytest.raises(ValueError, match=f"the task is '{task.name}'; these weights are for a look-up"):
        models.lookup_by_hand(task)
