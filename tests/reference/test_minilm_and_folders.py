"""MiniLM, and models that transformers wrote to disk: our modules give transformers' numbers."""

import importlib.metadata

import pytest
import torch

from mha_lab import padding_mask
from mha_lab.pretrained import Bert, Llama, MiniLM, bert

SENTENCES = [
    "the trophy did not fit in the suitcase because it was too big",
    "Grandma unpacked her kaleidoscope.",
    "Attention is a weighted average; nothing else is. " * 12,
    "no",
]


def test_minilm_s_hidden_states_and_attention_are_the_reference_s(transformers, loaded):
    """A padded batch of four lengths: both within 1e-5."""
    model = loaded(MiniLM)
    folder = importlib.metadata.distribution(bert.PACKAGE).locate_file(bert.FOLDER)
    reference = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    batch = transformers.AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    lengths = batch["attention_mask"].sum(1)
    for sentence, ids, length in zip(SENTENCES, batch["input_ids"], lengths):
        assert model.ids(sentence)[0][0].tolist() == ids[:length].tolist()
    expected = reference(**batch, output_attentions=True)
    hidden, weights = model(batch["input_ids"], mask=padding_mask(lengths))
    real = batch["attention_mask"].bool()
    assert (hidden - expected.last_hidden_state)[real].abs().max() < 1e-5  # measured: 2e-6
    difference = weights - torch.stack(expected.attentions, dim=1)
    assert difference.transpose(1, 3)[real].abs().max() < 1e-5  # rows of real tokens; measured: 2e-6


def random_model(transformers, kind):
    torch.manual_seed(0)
    sizes = {"vocab_size": 100, "hidden_size": 48, "intermediate_size": 40, "num_hidden_layers": 3}
    sizes |= {"num_attention_heads": 6, "max_position_embeddings": 64}
    if kind == "bert":
        model = transformers.BertModel(transformers.BertConfig(**sizes, attn_implementation="eager"))
    elif kind == "bert for masked words":
        model = transformers.BertForMaskedLM(transformers.BertConfig(**sizes, attn_implementation="eager"))
    else:
        rope = {"rope_type": "default", "rope_theta": 700.0}
        options = {"num_key_value_heads": 2, "rope_parameters": rope, "tie_word_embeddings": kind == "llama, tied"}
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **options, attn_implementation="eager"))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # the numbers it starts with would hide a wrong bias or scale
    return model.eval()


@pytest.mark.parametrize("kind", ["bert", "bert for masked words", "llama", "llama, tied"])
def test_a_folder_that_transformers_wrote_gives_its_numbers(transformers, kind, tmp_path):
    from tokenizers import Tokenizer, models

    reference = random_model(transformers, kind)
    reference.save_pretrained(tmp_path)
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    ids = torch.randint(100, (2, 33))
    if kind.startswith("bert"):
        hidden, weights = Bert.from_folder(tmp_path)(ids)
        expected = getattr(reference, "bert", reference)(ids, output_attentions=True)
        torch.testing.assert_close(hidden, expected.last_hidden_state, rtol=0, atol=1e-5)
    else:
        logits, weights = Llama.from_folder(tmp_path)(ids, need_weights=True)
        expected = reference(ids, output_attentions=True)
        assert (logits - expected.logits).abs().max() < 1e-5 * expected.logits.abs().max()
    torch.testing.assert_close(weights, torch.stack(expected.attentions, dim=1), rtol=0, atol=1e-5)
