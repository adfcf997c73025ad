"""What MiniLM makes of lesson 09's English sentences: the record, and how it is made."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from mha_lab import _data, tasks
from mha_lab.pretrained import MiniLM, ModelMissing
from mha_lab.tasks import minilm_results

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recorder():
    spec = importlib.util.spec_from_file_location("record_minilm_intents", ROOT / "data" / "record_minilm_intents.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def right():
    test = tasks.intents("test", language="en", size=1000)
    found = tasks.recorded_minilm_intents()
    return {way: found.right(way, test.labels).double() for way, *_ in found.answers}, ~test.of_kind("ordinal")


def test_every_way_has_answers_to_the_same_sentences(right):
    assert all(each.shape[1] == 1000 for each in right[0].values())


def test_layers_on_the_tokens_read_more_than_the_mean_of_the_tokens(right):
    shares, others = right
    found = {way: each[:, others].mean().item() for way, each in shares.items()}
    plain, weighted = found["mean, logistic regression"], found["tokens, weighted mean"]
    assert found["tokens, two small layers"] > max(plain, weighted) + 0.2
    assert found["top two layers trained"] > max(plain, weighted) + 0.1


def test_an_unknown_way_is_answered_in_words():
    with pytest.raises(ValueError, match="nobody read 'magic' off 3000 training sentences"):
        tasks.recorded_minilm_intents().right("magic", torch.zeros(1000))


def test_an_altered_record_is_named_in_words(tmp_path, monkeypatch):
    (tmp_path / "minilm_intents.npz").write_bytes((_data.FOLDER / "minilm_intents.npz").read_bytes()[:-50])
    monkeypatch.setattr(minilm_results, "MINILM_INTENTS", tmp_path / "minilm_intents.npz")
    with pytest.raises(ValueError, match="minilm_intents.npz was altered or cut short"):
        tasks.recorded_minilm_intents()


def test_the_recorder_encodes_each_sentence_as_the_model_does_alone(recorder):
    try:
        model = MiniLM.load()
    except ModelMissing as missing:
        pytest.skip(str(missing))
    sentences = ["I do not need insurance.", "First the invoice, then please change my repayment date."]
    four, six, ends = recorder.encode(sentences)
    for sentence, own in zip(sentences, six.tensor_split(ends[:-1])):
        with torch.no_grad():
            alone = model(model.ids(sentence)[0])[0][0]
        assert torch.allclose(own.float(), alone, atol=2e-3)
    top = recorder.TopLayers()
    lengths = ends.diff(prepend=torch.zeros(1, dtype=torch.long))
    halfway = torch.nn.utils.rnn.pad_sequence(four.float().tensor_split(ends[:-1]), batch_first=True)
    with torch.no_grad():
        again = top(halfway, lengths)[0, : lengths[0]]
    assert F.cosine_similarity(again, six[: lengths[0]].float(), dim=-1).min() > 0.9999
