"""The models of lesson 09: one size, one loader of what was trained, and the records as they were promised."""

import pytest
import torch

from mha_lab import _data, models, tasks
from mha_lab.models import intents
from mha_lab.tasks import intent_results


@pytest.fixture(scope="module")
def found():
    return tasks.recorded_intents()


@pytest.mark.parametrize("vocabulary", [251, 493])
def test_all_models_have_as_many_parameters_within_three_per_cent(vocabulary):
    sizes = [models.num_parameters(models.intent_model(name, vocabulary)) for name in models.INTENT_MODELS]
    assert max(sizes) < 1.03 * min(sizes)


def test_a_seed_makes_the_same_model_and_leaves_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = (models.intent_model("relative", 50, seed=seed).embed.weight for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no model 'rotary'; there are: BiLSTM, relative"):
        models.intent_model("rotary", 50)
    with pytest.raises(ValueError, match="no trained 'RMSNorm'.*both languages"):
        models.trained_intent_model("RMSNorm")
    with pytest.raises(ValueError, match="nobody trained 'BiLSTM' on 77 sentences"):
        tasks.recorded_intents().of("BiLSTM", size=77)


@pytest.mark.parametrize("name", list(intents.TRAINED))
def test_a_trained_model_reaches_what_was_recorded(name, found):
    language = None if name == "both languages" else "zh"
    test = tasks.intents("test", language=language, size=400)
    reached = models.all_right(models.trained_intent_model(name), test).double().mean().item()
    kind = intents.TRAINED[name][0]
    which = {"language": "both", "size": 16_000, "steps": 4 * found.steps} if language is None else {}
    assert reached == pytest.approx(found.of(kind, **which)[0].accuracy["test"], abs=0.08)  # 400 of 2,000


@pytest.mark.parametrize("change", [lambda b: b[:-100], lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:]])
def test_an_altered_or_shortened_file_is_named_in_words(change, tmp_path, monkeypatch):
    for path in models.intent_checkpoint("relative"), intent_results.INTENT_RESULTS:
        (tmp_path / path.name).write_bytes(change(path.read_bytes()))
    monkeypatch.setattr(_data, "FOLDER", tmp_path)
    monkeypatch.setattr(intent_results, "INTENT_RESULTS", tmp_path / "intents.npz")
    with pytest.raises(ValueError, match="intents_relative.safetensors was altered or cut short"):
        models.trained_intent_model("relative")
    with pytest.raises(ValueError, match="intents.npz was altered or cut short"):
        tasks.recorded_intents()
    with pytest.raises(FileNotFoundError, match="intents_learned.safetensors is missing"):
        models.trained_intent_model("learned")


def test_three_models_were_trained_at_three_sizes_with_three_seeds_and_nothing_is_left_out(found):
    for name in "BiLSTM", "learned", "relative":
        longer, english = found.of(name, steps=4 * found.steps), found.of(name, language="en")
        for runs in longer, english, *(found.of(name, size=size) for size in (300, 1500, 8000)):
            assert [run.seed for run in runs] == [0, 1, 2]
            for run in runs:
                assert {"test", "compound", "negated", "ordinal", "longer", "seen"} <= set(run.accuracy)
                assert all(0 <= value <= 1 for value in run.accuracy.values()) and run.seconds > 0
    assert found.accuracy("relative").shape == (3,)
    assert all(times.shape == (len(found.lengths), 3) and (times > 0).all() for times in found.latency.values())


def test_every_variant_was_trained(found):
    for name in models.INTENT_MODELS:
        assert [run.seed for run in found.of(name)] == [0, 1, 2]


def test_batches_are_of_like_length_and_every_sentence_is_as_likely():
    corpus = tasks.intents("validation", language="zh", size=64)
    draw, generator = models.of_like_length(corpus), torch.Generator().manual_seed(0)
    drawn = [draw(8, generator) for _ in range(1500)]
    padding = torch.stack([(b.lengths < b.inputs.shape[1]).double().mean() for b in drawn])
    spread = torch.stack([b.lengths.max() - b.lengths.min() for b in drawn]).double().mean()
    anyhow = [corpus.draw(8, generator).lengths for _ in range(200)]
    assert spread < 0.5 * torch.stack([lengths.max() - lengths.min() for lengths in anyhow]).double().mean()
    assert padding.max() < 1
    mean = torch.cat([b.lengths for b in drawn]).double().mean().item()
    assert mean == pytest.approx(corpus.everything.lengths.double().mean().item(), rel=0.03)


def test_all_right_is_in_the_corpus_s_order():
    corpus, model = tasks.intents("validation", language="zh", size=300), models.intent_model("BiLSTM", 251)
    model.eval()
    alone = torch.cat([model.right(corpus.batch([row])) for row in range(0, 300, 37)])
    assert torch.equal(models.all_right(model, corpus)[::37], alone)
