"""What was measured of SmolLM2 and is stored: well formed, as the lesson says, and what the model gives again."""

import pytest
import torch

from mha_lab.pretrained import ModelMissing, SmolLM2, circuits, recorded_smollm2, smollm2_records


@pytest.fixture(scope="module")
def found():
    return recorded_smollm2()


def test_the_record_is_well_formed(found):
    assert found.previous.shape == found.induction.shape == found.choosing_without.shape == (30, 9)
    assert found.repeated.shape == (4, 100) and torch.equal(found.repeated[:, :50], found.repeated[:, 50:])
    assert found.losses.shape == (4, 99) and found.without.shape == (30, 9, 99)
    assert set(found.maps) == {(16, 0), (18, 6)} and len(set(found.harmless)) == 27
    for recording in found.sentences:
        N = len(recording.tokens)
        assert "".join(recording.tokens) == recording.sentence
        assert recording.weights.shape == (30, 9, N, N)
        torch.testing.assert_close(recording.weights.sum(-1), torch.ones(30, 9, N), rtol=0, atol=5e-3)
        assert (recording.weights.triu(1) == 0).all()


def test_head_16_0_looks_back_head_18_6_copies_and_the_copy_needs_the_first(found):
    assert divmod(int(found.previous.argmax()), 9) == (16, 0) and found.previous[16, 0] > 0.85
    assert divmod(int(found.induction.argmax()), 9) == (18, 6) and found.induction[18, 6] > 0.85
    copying = found.losses[:2, 50:].mean()
    harm = found.without[..., 50:].mean(-1) - copying
    assert divmod(int(harm.argmax()), 9) == (16, 0) and harm[16, 0] > 4
    assert (found.choosing_without[16, 0] - found.choosing_loss).abs() < 0.05


def test_only_16_0_blinds_the_induction_heads(found):
    copiers = [(17, 3), (17, 4), (17, 5), (18, 6)]
    for pair in copiers:
        assert found.blinded[16, 0][pair] < found.induction[pair] / 2
        assert abs(found.blinded[11, 1][pair] - found.induction[pair]) < 0.1
    torch.testing.assert_close(found.blinded[19, 8][:19], found.induction[:19], rtol=0, atol=1e-4)  # it is above them
    for pair, weights in found.blinded_maps.items():
        torch.testing.assert_close(weights.sum(-1), torch.ones(100), rtol=0, atol=5e-3)
        score = weights[50:].diagonal(1).mean()  # query 50 + i, key 1 + i
        assert score.item() == pytest.approx(found.blinded[pair][18, 6].item(), abs=0.15)


def test_a_window_needs_the_first_token(found):
    assert found.long.shape == (1, 900) and all(losses.shape == (899,) for losses in found.seen.values())
    perplexity = {view: losses[299:].mean().exp() for view, losses in found.seen.items()}
    for view in "last 128", "4 others, last 124", "all but the first":
        assert perplexity[view] > 1.7 * perplexity["everything"]
    for view in "first, last 127", "first 4, last 124":
        assert perplexity[view] < 1.4 * perplexity["everything"]
    torch.testing.assert_close(found.seen["last 128"][:127], found.seen["everything"][:127])  # nothing is forgotten yet


def test_standard_errors_and_halves_are_those_of_the_losses(found):
    rise = found.choosing_without - found.choosing_loss
    torch.testing.assert_close(found.halves.mean(dim=0), rise, rtol=0, atol=0.02)
    assert 0.002 < found.choosing_error.median() < 0.02
    assert found.random_pruned.shape == (12, 2)


def test_a_damaged_record_is_refused_in_words(tmp_path, monkeypatch):
    copy = tmp_path / "smollm2.npz"
    copy.write_bytes(smollm2_records.SMOLLM2.read_bytes()[:-2])
    monkeypatch.setattr(smollm2_records, "SMOLLM2", copy)
    with pytest.raises(ValueError, match="smollm2.npz was altered or cut short"):
        recorded_smollm2()


def test_the_readme_of_data_knows_the_file():
    path = smollm2_records.SMOLLM2
    readme = (path.parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    assert f"`{smollm2_records.SMOLLM2_SHA256}`" in readme and f"{path.stat().st_size:,} bytes" in readme
    assert path.stat().st_size < 1.5e6


def test_the_model_gives_the_recorded_scores_losses_and_words_again(found):
    try:
        model = SmolLM2.load()
    except ModelMissing as missing:
        pytest.skip(str(missing))
    previous, induction = circuits.copying_scores(model, found.repeated)
    torch.testing.assert_close(previous, found.previous, rtol=0, atol=1e-3)
    torch.testing.assert_close(induction, found.induction, rtol=0, atol=1e-3)
    assert circuits.token_losses(model, found.choosing).mean().item() == pytest.approx(found.choosing_loss, abs=1e-3)
    assert circuits.token_losses(model, found.held_out).mean().item() == pytest.approx(found.held_out_loss, abs=1e-3)
    for recording in found.sentences:
        again = model.read(recording.sentence)
        assert again.tokens == recording.tokens
        torch.testing.assert_close(again.weights, recording.weights, rtol=0, atol=2e-3)
    prompt, continuation = next(iter(found.written.items()))
    assert continuation.startswith("".join(model.generate(prompt, 4)))
