"""Whisper: transformers' own modules with the same weights hear the same words at the same moments."""

import pytest
import torch

from mha_lab.pretrained import Whisper, recorded_speech
from mha_lab.pretrained._log_mel import log_mel

PARTS = {  # ours, theirs
    "conv1": "encoder.conv1",
    "conv2": "encoder.conv2",
    "moments": "encoder.embed_positions",
    "hearing": "encoder.layers",
    "heard": "encoder.layer_norm",
    "words": "decoder.embed_tokens",
    "positions": "decoder.embed_positions",
    "blocks": "decoder.layers",
    "norm": "decoder.layer_norm",
}
OF_A_BLOCK = {
    "norm1": "self_attn_layer_norm",
    "attention": "self_attn",
    "norm2": "encoder_attn_layer_norm",
    "across": "encoder_attn",
    "norm3": "final_layer_norm",
    "widen": "fc1",
    "narrow": "fc2",
}


@pytest.fixture(scope="module")
def model(transformers, loaded):
    return loaded(Whisper)


@pytest.fixture(scope="module")
def reference(transformers, model):
    config = transformers.WhisperConfig(
        vocab_size=51864,
        d_model=384,
        encoder_layers=4,
        decoder_layers=4,
        encoder_attention_heads=6,
        decoder_attention_heads=6,
        encoder_ffn_dim=1536,
        decoder_ffn_dim=1536,
        attn_implementation="eager",
    )
    theirs, weights = transformers.WhisperForConditionalGeneration(config), {}
    for name, tensor in model.state_dict().items():
        part, *rest = name.split(".")
        rest = [OF_A_BLOCK.get(word, word) for word in rest]
        weights[".".join(["model", PARTS[part], *rest])] = tensor
    for name in [name for name in weights if name.endswith("k_proj.bias")]:  # theirs has none
        assert not weights.pop(name).any()
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert (missing, unexpected) == (["proj_out.weight"], [])
    theirs.tie_weights()
    return theirs.eval()


def test_it_hears_the_same_sound(transformers, model):
    heard = transformers.WhisperFeatureExtractor()(recorded_speech().numpy(), sampling_rate=16_000, return_tensors="pt")
    torch.testing.assert_close(log_mel(recorded_speech()[None]), heard.input_features, rtol=0, atol=1e-5)


def test_the_same_words_and_every_head_s_weights_on_the_sound(model, reference):
    transcript, mel = model.transcribe(recorded_speech()), log_mel(recorded_speech()[None])
    ids = [50257, 50362]  # <|startoftranscript|>, <|notimestamps|>
    never, not_first = model.never["suppress_ids"], model.never["suppress_ids_begin"]
    heard = reference.model.encoder(mel)
    for step in range(len(transcript.tokens) + 1):  # greedily, reading the whole text again at each step
        expected = reference(encoder_outputs=heard, decoder_input_ids=torch.tensor([ids]), output_attentions=True)
        choice = expected.logits[0, -1].clone()
        choice[never + (not_first if step == 0 else [])] = -torch.inf
        ids.append(int(choice.argmax()))
    assert ids[-1] == 50256  # <|endoftext|>
    assert model.tokenizer.decode(ids).strip() == transcript.text
    cross = torch.stack(expected.cross_attentions, dim=1)[0, :, :, 1:-1]
    torch.testing.assert_close(transcript.weights, cross, rtol=0, atol=1e-5)  # measured: 3e-6
    logits, _ = model(torch.tensor([ids[:-1]]), model.across(model.encode(mel)))
    assert (logits - expected.logits).abs().max() <= 1e-5 * expected.logits.abs().max()  # measured: 1e-6
