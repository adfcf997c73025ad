"""Tasks in which a question looks at a context, the model that reads it, and what a window takes away."""

import pytest
import torch
from torch import nn

from mha_lab import heads, models, tasks
from mha_lab.tasks import regions

PARTS = "training", "validation", "test"


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def reader(**options):
    torch.manual_seed(0)
    return models.Reader(2, 10, nn.Linear(4, 64), positions=models.Learned(32, 64), **options).eval()


# two digits ----------------------------------------------------------------------------------------------------------


def test_no_digit_is_in_two_parts():
    def digits(part):  # as sets of bytes: the same image twice in one part counts once
        left, right = tasks.images_of(tasks.two_digits(part).draw(4000, generator()).context).chunk(2, dim=-1)
        return {image.contiguous().numpy().tobytes() for image in torch.cat([left, right])}

    found = {part: digits(part) for part in PARTS}
    assert [len(found[part]) for part in PARTS] == [pytest.approx(1197, abs=5), 300, 300]
    assert not (found["training"] & found["validation"] | found["training"] & found["test"])
    assert not found["validation"] & found["test"]


def test_every_word_asks_for_the_digit_in_its_own_half():
    from sklearn.datasets import load_digits

    data = load_digits()
    known = {(image / 16).astype("float32").tobytes(): digit for image, digit in zip(data.images, data.target)}
    batch = tasks.two_digits().draw(20, generator())
    pictures = tasks.images_of(batch.context)
    for question, image, targets in zip(batch.question, pictures, batch.targets):
        for word, target in zip(question, targets):
            half = image[:, 8 * word : 8 * word + 8].contiguous()
            assert known[half.numpy().tobytes()] == target


def test_what_is_right_are_the_sixteen_patches_of_the_asked_half():
    batch = tasks.two_digits().draw(20, generator())
    assert batch.right.shape == (20, 2, 32) and batch.right.sum(dim=-1).eq(16).all()
    only_left = batch.context * tasks.halves()[0][:, None]
    assert (tasks.images_of(only_left)[..., 8:] == 0).all() and (tasks.images_of(only_left)[..., :8] > 0).any()
    assert torch.equal(batch.right, tasks.halves()[batch.question])


def test_patches_and_images_are_each_others_inverse():
    image = torch.arange(128.0).view(1, 8, 16)
    assert tasks.patches(image)[0, 0].tolist() == [0, 1, 16, 17]  # rows 0 and 1, columns 0 and 1
    assert tasks.patches(image)[0, 8].tolist() == [32, 33, 48, 49]  # patches stand row by row
    assert torch.equal(tasks.images_of(tasks.patches(image)), image)


def test_both_orders_of_the_question_occur_and_noise_changes_the_pixels_alone():
    plain, noisy = (tasks.two_digits(noise=noise).draw(50, generator()) for noise in (0.0, 0.2))
    assert {tuple(words) for words in plain.question.tolist()} == {(0, 1), (1, 0)}
    assert torch.equal(plain.targets, noisy.targets) and torch.equal(plain.question, noisy.question)
    assert (noisy.context - plain.context).std() == pytest.approx(0.2, abs=0.01)


def test_an_unknown_part_is_refused_by_name():
    with pytest.raises(ValueError, match="not 'train'"):
        tasks.two_digits("train")


# documents -----------------------------------------------------------------------------------------------------------


def test_a_document_asks_for_the_number_before_and_for_the_number_of_a_name():
    batch = tasks.document(40, 5).draw(10, generator())
    for (number, defined, mentioned), (near, far) in zip(batch.inputs.mT.tolist(), batch.targets.mT.tolist()):
        assert sorted(filter(None, defined)) == [1, 2, 3, 4, 5] and not any(defined[10:])
        assert near == [tasks.IGNORE, *number[:-1]]
        assert far[:10] == [tasks.IGNORE] * 10 and not any(mentioned[:10])
        assert far[10:] == [number[defined.index(name)] for name in mentioned[10:]]


def test_one_token_holds_each_answer_and_none_lies_in_the_future():
    batch = tasks.document().draw(10, generator())
    assert torch.equal(batch.right.sum(dim=-1).mT, (batch.targets != tasks.IGNORE).long())
    assert not batch.right.triu(1).any()


def test_the_distance_of_a_fact_is_counted_from_its_mention():
    batch = tasks.document(40, 5).draw(10, generator())
    away = tasks.far_distance(batch.right)
    b, i = torch.nonzero(away, as_tuple=True)
    assert batch.right[b, 1, i, i - away[b, i]].all() and len(b) == 10 * 30
    assert (away[:, :10] == 0).all()


def test_facts_are_asked_for_by_different_names_and_stand_where_they_were_defined():
    batch = tasks.facts(64, 8, 4).draw(20, generator())
    assert batch.right.sum(dim=-1).eq(1).all() and (batch.question.sort(dim=-1).values.diff(dim=-1) > 0).all()
    b, n, s = torch.nonzero(batch.right, as_tuple=True)
    assert torch.equal(batch.context[b, s, 1], batch.question[b, n] + 1)
    assert torch.equal(batch.context[b, s, 0], batch.targets[b, n])


def test_names_that_do_not_fit_are_refused_with_the_numbers():
    with pytest.raises(ValueError, match="9 names do not fit into the first quarter of 32 tokens: at most 8 do"):
        tasks.document(32, 9)
    with pytest.raises(ValueError, match="9 different names out of 8"):
        tasks.facts(num_questions=9)


@pytest.mark.parametrize("draw", [tasks.two_digits().draw, tasks.facts().draw, tasks.document().draw])
def test_the_same_seed_draws_the_same_and_leaves_everyones_random_numbers_alone(draw):
    state = torch.get_rng_state()
    first, again, other = draw(5, generator()), draw(5, generator()), draw(5, generator(1))
    for one, two in zip(first, again):
        assert one is two is None or torch.equal(one, two)
    assert not torch.equal(first[1], other[1]) and torch.equal(torch.get_rng_state(), state)


# the reader ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixing", [0, 1, 2])
def test_each_word_is_answered_and_its_weights_lie_on_the_context(mixing):
    batch, model = tasks.two_digits().draw(3, generator()), reader(mixing=mixing)
    answers, weights = model(batch.question, batch.context, need_weights=True)
    assert answers.shape == (3, 2, 10) and weights.shape == (3, 4, 2, 32)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 4, 2))
    torch.testing.assert_close(answers, model(batch.question, batch.context), atol=1e-5, rtol=1e-4)
    assert model.losses(batch).shape == (3,) and model.right(batch).shape == (3, 2)


def test_patches_apart_have_as_many_parameters_as_one_layer_of_mixing():
    assert models.num_parameters(models.digit_reader(0)) == models.num_parameters(models.digit_reader(1)) == 69_834


def changed_by_the_asked_half(model):
    """How far the answers move when the asked half changes and every word may look at the other half only."""
    batch = tasks.two_digits().draw(8, generator())
    other = batch.context + batch.right[:, 0, :, None] * torch.rand(8, 32, 4, generator=generator())
    words, allowed = batch.question[:, :1], ~batch.right[:, :1]
    with torch.no_grad():
        return (model(words, batch.context, allowed=allowed) - model(words, other, allowed=allowed)).abs().max()


def test_without_mixing_a_token_holds_its_own_patch_and_nothing_else():
    assert changed_by_the_asked_half(reader(mixing=0)) == 0
    assert changed_by_the_asked_half(reader(mixing=1)) > 1e-3


def test_a_word_that_may_look_at_one_half_lays_all_weight_there():
    batch = tasks.two_digits().draw(4, generator())
    _, weights = reader(mixing=1)(batch.question, batch.context, allowed=~batch.right, need_weights=True)
    assert heads.mass(weights, batch.right[:, None]).max() == 0


def test_words_do_not_hear_of_each_other():
    batch, model = tasks.two_digits().draw(4, generator()), reader()
    torch.testing.assert_close(model(batch.question, batch.context)[:, :1], model(batch.question[:, :1], batch.context))


def test_features_are_summed_and_must_be_as_many_as_vocabularies():
    features = models.Features([3, 5], 8)
    one, two = (embed.weight for embed in features.embed)
    assert torch.equal(features(torch.tensor([[[2, 4]]]))[0, 0], one[2] + two[4])
    with pytest.raises(ValueError):
        features(torch.zeros(1, 1, 3, dtype=torch.long))


def test_a_question_that_does_not_fit_its_context_is_answered_with_both_shapes():
    with pytest.raises(ValueError, match=r"question has shape \(2, 1\) and context \(3, 32, 4\)"):
        reader()(torch.zeros(2, 1, dtype=torch.long), torch.zeros(3, 32, 4))


# the window ----------------------------------------------------------------------------------------------------------


def test_an_encoder_with_a_window_looks_no_further():
    task = tasks.document(32, 4)
    torch.manual_seed(0)
    model = models.Encoder(task.vocabularies, task.answers, causal=True, window=5).eval()
    _, weights = model(task.draw(2, generator()).inputs, need_weights=True)
    i = torch.arange(32)
    back = i[:, None] - i
    assert (weights[..., (back < 0) | (back >= 5)] == 0).all() and (weights[..., (back >= 0) & (back < 5)] > 0).all()


def test_a_window_as_wide_as_the_text_changes_nothing():
    task = tasks.document(32, 4)
    inputs, answers = task.draw(2, generator()).inputs, []
    for window in None, 32:
        torch.manual_seed(0)
        model = models.Encoder(task.vocabularies, task.answers, causal=True, window=window).eval()
        answers.append(model(inputs))
    for full, windowed in zip(*answers):
        torch.testing.assert_close(full, windowed, atol=1e-5, rtol=1e-4)


# what was recorded ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def readers():
    return tasks.recorded_digit_readers()


def test_the_recorded_words_look_at_their_own_half_and_answer_right(readers):
    accuracy, mass = readers.accuracy["apart"], readers.mass["apart"].mean(dim=1)
    assert accuracy.shape == mass.shape == (5,)
    assert accuracy.min() > 0.93 and mass.mean() > 0.95 and mass.min() > 0.9


def test_mixing_raises_the_accuracy_and_tokens_hear_of_more_than_their_place(readers):
    assert readers.accuracy["mixed"].mean() > readers.accuracy["apart"].mean()
    apart, mixed = (readers.few[name][:, readers.few_tokens.index(2)] for name in ("apart", "mixed"))
    assert (mixed > apart).all() and mixed.mean() > apart.mean() + 0.1


def test_mixed_patches_are_answered_right_from_the_wrong_half(readers):
    assert readers.accuracy["forced"].min() > 0.85


@pytest.mark.parametrize("name, mixing", [("apart", 0), ("mixed", 1), ("forced", 1)])
def test_the_recorded_weights_are_those_of_the_recorded_accuracy(readers, name, mixing):
    model = models.digit_reader(mixing)
    model.load_state_dict(readers.weights[name])
    batch = tasks.two_digits("test").draw(1000, generator(10_000))
    if name == "forced":
        batch = batch._replace(allowed=~batch.right)
    assert model.right(batch).float().mean().item() == pytest.approx(readers.accuracy[name][0].item(), abs=0.005)


def test_the_recorded_windows_keep_near_and_lose_what_lies_beyond_them():
    found = tasks.recorded_windows()
    near, far = found.accuracy.unbind(dim=-1)
    assert found.windows == [8, 32, 64, 128] and near.shape == (4, 3) and found.by_distance.shape == (4, 3, 127)
    assert near.min() > 0.95 and far[-1].min() > 0.95
    for window, by_distance in zip(found.windows[:-1], found.by_distance):
        assert by_distance[:, window:].mean() < 0.13


def test_one_head_did_not_learn_near_and_far_and_two_did():
    found = tasks.recorded_windows()
    assert found.one_accuracy.shape == (3, 2) and found.one_mass.shape == (3, 2, 1)
    assert found.one_accuracy.amin(dim=1).max() < 0.6 and found.accuracy[-1].min() > 0.95


def test_after_600_steps_more_heads_read_digits_better_and_one_even_head_does_too(readers):
    right = {name: recorded[:, 0] for name, recorded in readers.by_heads.items()}
    assert set(right) == {"1 head", "4 heads", "8 heads", "1 even head"}
    assert (right["8 heads"] > right["4 heads"]).all() and (right["4 heads"] > right["1 head"]).all()
    assert (right["1 even head"] > right["1 head"]).all()
    assert (readers.by_heads["1 even head"][:, 1] - 16).abs().max() < 0.01  # patches of a half, all alike


def test_altered_recordings_are_refused_in_words(monkeypatch, tmp_path):
    for name, recorded in ("DIGIT_READERS", tasks.recorded_digit_readers), ("WINDOWS", tasks.recorded_windows):
        whole = getattr(regions, name)
        altered = tmp_path / whole.name
        altered.write_bytes(whole.read_bytes()[:-1])
        monkeypatch.setattr(regions, name, altered)
        with pytest.raises(ValueError, match=f"{whole.name} was altered or cut short"):
            recorded()
