"""What one layer of MiniLM does to a word: the record, what it holds together by, and how it is made."""

import hashlib
import importlib.util
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from mha_lab import attention, pretrained, split_heads
from mha_lab.pretrained import MiniLM, ModelMissing, recorded, recorded_heads, recorded_word, word

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def model():
    try:
        return MiniLM.load()
    except ModelMissing as missing:
        pytest.skip(str(missing))


def test_a_word_stands_in_its_two_sentences_and_begins_in_both_alike():
    tree, dog = recorded_word()[0]
    assert [each.tokens.index("bark") for each in (tree, dog)] == [2, 2]
    torch.testing.assert_close(tree.before, dog.before)
    torch.testing.assert_close(tree.weights.sum(dim=-1), torch.ones(12))


def test_the_recorded_values_give_with_their_queries_and_keys_the_recorded_maps():
    query, key, value, tokens = recorded_heads()
    output, weights = attention(*(split_heads(part[None], 12) for part in (query, key, value)))
    assert tokens == recorded()[0].tokens and output.shape == (1, 12, 15, 32)
    torch.testing.assert_close(weights[0], recorded()[0].weights[pretrained.PROJECTION_LAYER], atol=1e-4, rtol=0)


def test_the_readme_names_the_file():
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    assert f"`{word.RECORDED_SHA256}`" in readme and f"{word.RECORDED.stat().st_size:,} bytes" in readme


def test_the_sum_of_the_shares_is_what_the_model_computes(model):
    for each in recorded_word()[0]:
        with torch.no_grad():
            x = model.embed(model.ids(each.sentence)[0])
            block = model.blocks[0]
            expected = block.norm1(x + block.attention(x))[0, each.tokens.index("bark")]
        torch.testing.assert_close(each.after, expected, atol=1e-4, rtol=1e-4)


def test_the_nearest_of_the_recorded_words_are_the_nearest_in_the_vocabulary(model):
    found, names, vectors = recorded_word()
    all_names, all_vectors = word.common_words(model)
    assert len(all_names) == 8400
    for vector in (found[0].before, found[0].after, found[1].after):
        few = [names[i] for i in word.nearest(vector, vectors, 12)]
        assert few == [all_names[i] for i in word.nearest(vector, all_vectors, 12)]


def test_recording_again_gives_the_same_bytes(model, tmp_path):
    spec = importlib.util.spec_from_file_location("record_minilm_layer", DATA / "record_minilm_layer.py")
    recorder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recorder)
    recorder.record(tmp_path / "again.npz")
    assert hashlib.sha256((tmp_path / "again.npz").read_bytes()).hexdigest() == word.RECORDED_SHA256


def test_nearest_goes_by_the_direction_and_not_by_the_length():
    vectors = torch.tensor([[0.0, 1.0], [9.0, 1.0], [1.0, 0.1]])
    assert word.nearest(torch.tensor([2.0, 0.2]), vectors, 2) == [2, 1]
    assert F.cosine_similarity(vectors[1], vectors[2], dim=0) > 0.99
