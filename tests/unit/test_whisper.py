"""Whisper hears the sentence that is on the clip, and its heads point at the moment at which each word is said."""

import math
import re

import pytest
import torch

from mha_lab import MultiHeadAttention
from mha_lab.pretrained import ModelMissing, Whisper, recorded_speech, recorded_transcript, recordings
from mha_lab.pretrained._log_mel import log_mel, mel_bands
from mha_lab.pretrained.whisper import look_across

SENTENCE = "The trophy did not fit in the suitcase because it was too big."


@pytest.fixture(scope="module")
def model():
    try:
        return Whisper.load()
    except ModelMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def transcript(model):
    return model.transcribe(recorded_speech())


def test_it_writes_what_was_said(transcript):
    assert transcript.text == SENTENCE
    assert "".join(transcript.tokens).strip() == SENTENCE
    assert transcript.seconds == pytest.approx(4.2, abs=0.1)
    assert repr(transcript) == f"Transcript(text='{SENTENCE}', seconds={transcript.seconds})"


def test_every_head_gives_each_word_one_unit_of_weight_on_the_sound(transcript):
    assert transcript.weights.shape == (4, 6, len(transcript.tokens), 1500)
    torch.testing.assert_close(transcript.weights.sum(-1), torch.ones(4, 6, len(transcript.tokens)))


@pytest.mark.parametrize("layer, head", [(1, 2), (1, 5), (2, 0), (2, 4), (3, 0), (3, 5)])
def test_six_heads_go_through_the_sound_as_the_words_do(transcript, layer, head):
    places = transcript.weights[layer, head, :, :212].argmax(-1).double()
    order = torch.corrcoef(torch.stack([places, torch.arange(len(places)).double()]))[0, 1]
    assert order > 0.95  # 0.988 … 0.995


def test_words_decoded_one_by_one_are_words_read_at_once(model, transcript):
    start, no_times = (model.tokenizer.token_to_id(name) for name in ("<|startoftranscript|>", "<|notimestamps|>"))
    words = model.tokenizer.encode(" " + SENTENCE, add_special_tokens=False).ids
    ids = torch.tensor([[start, no_times, *words]])
    with torch.no_grad():
        across = model.across(model.encode(log_mel(recorded_speech()[None])))
        logits, weights = model(ids, across)
    assert model.tokenizer.decode(logits[0, 1:-1].argmax(-1).tolist()).strip() == SENTENCE
    torch.testing.assert_close(weights[0, :, :, 1:-1], transcript.weights, rtol=0, atol=1e-5)


def test_the_recorded_transcript_is_what_the_model_writes_and_hears(transcript):
    kept = recorded_transcript()
    assert (kept.text, kept.tokens, kept.seconds) == (transcript.text, transcript.tokens, transcript.seconds)
    assert kept.alignment_heads == transcript.alignment_heads == [(1, 0), (2, 0), (2, 5), *((3, h) for h in range(5))]
    frames = kept.weights.shape[-1]
    assert frames == 211
    torch.testing.assert_close(kept.weights, transcript.weights[..., :frames], rtol=0, atol=2e-5)


def test_silence_is_not_an_error(model):
    assert isinstance(model.transcribe(torch.zeros(16_000)).text, str)


@pytest.mark.parametrize(
    "samples",
    [torch.zeros(0), torch.zeros(2, 100), torch.zeros(480_001), torch.zeros(100, dtype=torch.int16)],
    ids=["empty", "two channels", "too long", "whole numbers"],
)
def test_what_is_not_a_clip_is_refused_with_the_rule(model, samples):
    message = f"the sound has shape {tuple(samples.shape)} and dtype {samples.dtype}: Whisper takes (n,) samples"
    with pytest.raises(ValueError, match=re.escape(message)):
        model.transcribe(samples)


@torch.no_grad()
def test_keys_and_values_computed_once_give_what_the_layer_gives():
    layer, x, sound = MultiHeadAttention(24, 3), torch.randn(2, 4, 24), torch.randn(2, 9, 24)
    key, value = (p(sound).view(2, 9, 3, 8).transpose(1, 2) for p in (layer.k_proj, layer.v_proj))
    for got, expected in zip(look_across(layer, x, key, value), layer(x, sound, need_weights=True)):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


# The sound, which needs no model


def test_the_clip_is_four_seconds_of_sound():
    samples = recorded_speech()
    assert samples.dtype == torch.float32 and samples.dim() == 1
    assert 4 * 16_000 < len(samples) < 4.5 * 16_000
    assert 0.1 < samples.abs().max() <= 1


@pytest.mark.parametrize("name, read", [("SPEECH", recorded_speech), ("HEARD", recorded_transcript)])
def test_a_damaged_record_is_refused_in_words(name, read, tmp_path, monkeypatch):
    copy = tmp_path / getattr(recordings, name).name
    copy.write_bytes(getattr(recordings, name).read_bytes()[:-2])
    monkeypatch.setattr(recordings, name, copy)
    with pytest.raises(ValueError, match=f"{copy.name} was altered or cut short"):
        read()


def test_the_readme_of_data_knows_both_files():
    readme = (recordings.SPEECH.parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    for path, sha256 in (recordings.SPEECH, recordings.SPEECH_SHA256), (recordings.HEARD, recordings.HEARD_SHA256):
        assert f"`{sha256}`" in readme and f"{path.stat().st_size:,} bytes" in readme


@pytest.mark.parametrize("hertz", [250, 440, 1000, 3000, 7000])
def test_a_pure_tone_is_brightest_in_the_band_that_holds_it(hertz):
    seconds = torch.arange(16_000) / 16_000
    mel = log_mel((2 * math.pi * hertz * seconds).sin()[None])
    assert mel.shape == (1, 80, 3000)
    band = int(mel[0, :, 10:90].mean(-1).argmax())
    held = mel_bands()[band].nonzero()[:, 0] * 40  # the transform's frequencies lie 40 Hz apart
    assert held.min() - 40 < hertz < held.max() + 40
    assert mel.max() - mel.min() <= 2  # eight powers of ten, divided by four


def test_every_band_has_the_same_area_and_none_is_empty():
    bands = mel_bands()
    assert bands.shape == (80, 201) and (bands >= 0).all() and (bands.sum(1) > 0).all()
    wide = bands[60:].sum(1) * 40  # where a band holds many frequencies the sum is close to the area, 1
    torch.testing.assert_close(wide, torch.ones_like(wide), rtol=0.02, atol=0)
