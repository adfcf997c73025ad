"""The recorded encoder–decoders of lesson 08: they write what the lesson says, and look where it says."""

import pytest
import torch

from mha_lab import heads, models, tasks
from mha_lab.models import translators


@pytest.fixture(scope="module")
def found():
    return models.recorded_translators()


def test_every_seed_writes_dates_and_finds_their_fields(found):
    assert found.dates_exact.shape == (3,) and found.dates_exact.min() > 0.98
    assert found.dates_span.shape == (3, 4, 3) and found.dates_span.amax(dim=1).min() > 0.7


def test_every_seed_translates_new_sentences_and_aligns_them(found):
    assert found.translation_exact.shape == (3, 2) and found.translation_exact[:, 0].min() > 0.95
    assert found.translation_gold.shape == (3, 2, 4) and found.translation_gold.amax(dim=(1, 2)).min() > 0.80


def test_one_head_writes_dates_and_french_nearly_as_well_as_four(found):
    assert found.one_dates_exact.shape == (3,) and found.one_dates_span.shape == (3, 1, 3)
    assert (found.one_dates_exact - found.dates_exact).abs().max() < 0.02
    assert found.one_translation_exact.shape == (3, 2) and found.one_translation_gold.shape == (3, 2, 1)
    assert (found.one_translation_exact - found.translation_exact).abs().max() < 0.04


def test_without_a_head_fewer_sentences_are_exact(found):
    assert found.translation_without.shape == (3, 2, 4)
    assert found.translation_without.amin(dim=(1, 2)).max() < 0.9


@pytest.mark.parametrize("name", ["dates", "translation"])
def test_the_recorded_model_still_fits_the_corpus_and_its_table(found, name):
    corpus, model = getattr(tasks, name)(), getattr(found, name)
    few = tasks.shortened(corpus.parts["test"], slice(0, 150))
    assert model.exact(few).float().mean() > 0.95
    _, maps = model(few.source, few.target, need_weights=True)
    if name == "translation":
        measured = heads.mass(maps, few.right[:, None, None]).mean(dim=0)
        assert torch.allclose(measured.float(), found.translation_gold[0], atol=0.05)
    else:
        year = tasks.DATE_FIELDS["year"]
        measured = heads.mass(maps[:, 0, :, year], few.right[:, None, year]).mean(dim=0)
        assert torch.allclose(measured.float(), found.dates_span[0, :, 0], atol=0.05)


def test_a_new_translator_is_untrained_and_leaves_everyones_random_numbers_alone():
    state = torch.get_rng_state()
    first, again, other = (models.translator("dates", 40, 14, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.answer.weight, again.answer.weight)
    assert not torch.equal(first.answer.weight, other.answer.weight)


def test_an_altered_file_is_refused_in_words(monkeypatch, tmp_path):
    altered = tmp_path / "translators.safetensors"
    altered.write_bytes(translators.TRANSLATORS.read_bytes()[:-1])
    monkeypatch.setattr(translators, "TRANSLATORS", altered)
    with pytest.raises(ValueError, match="translators.safetensors was altered or cut short"):
        models.recorded_translators()
    altered.unlink()
    with pytest.raises(FileNotFoundError, match="translators.safetensors is missing; "):
        models.recorded_translators()
