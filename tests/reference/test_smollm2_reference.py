"""SmolLM2: transformers reads the same file with its own code; logits, attention and tokens must be equal."""

import importlib.metadata
import pydoc_data.topics

import pytest
import torch

from claims.reference import smollm2
from mha_lab.pretrained import SmolLM2, llama


@pytest.fixture(scope="module")
def model(transformers, loaded):
    return loaded(SmolLM2)


@pytest.fixture(scope="module")
def folder(model):
    return importlib.metadata.distribution(llama.PACKAGE).locate_file(llama.FOLDER)


@pytest.fixture(scope="module")
def reference(transformers, model):
    return smollm2()


@pytest.fixture(scope="module")
def text():
    """Prose of Python's own help. Without digits: as transformers reads this file, they do not stand alone."""
    topics = " ".join(pydoc_data.topics.topics[name] for name in ("truth", "integers", "exceptions", "naming"))
    return "".join(letter for letter in topics if not letter.isdigit())


def test_the_text_is_cut_into_the_same_tokens(transformers, model, folder, text):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=llama.GGUF)
    text = text + " naïve 🙂\n\n<|im_start|>user\nHello<|im_end|>\n"
    assert model.ids(text)[0][0].tolist() == tokenizer(text)["input_ids"]


def test_logits_and_every_head_s_weights_are_the_reference_s(model, reference, text):
    """600 tokens: the same token is the likeliest after each, and logits differ by 1e-5 of their scale at most."""
    ids = model.ids(text)[0][:, :600]
    assert ids.shape == (1, 600)
    logits, weights = model(ids, need_weights=True)
    expected = reference(ids, output_attentions=True)
    assert torch.equal(logits.argmax(-1), expected.logits.argmax(-1))
    assert (logits - expected.logits).abs().max() <= 1e-5 * expected.logits.abs().max()  # measured: 2e-6
    assert (weights - torch.stack(expected.attentions, dim=1)).abs().max() < 1e-4  # measured: 8e-6


def test_generated_text_is_the_reference_s(transformers, model, reference):
    ids, _ = model.ids("Once upon a time")
    expected = reference.generate(ids, max_new_tokens=20, do_sample=False, pad_token_id=2)[0, ids.shape[1] :]
    assert "".join(model.generate("Once upon a time", 20)) == model.tokenizer.decode(expected.tolist())
