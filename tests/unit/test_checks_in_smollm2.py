"""The exercise of shared keys goes on inside SmolLM2: what the card says there of a right and a wrong function, and the
record of one step that it uses."""

import hashlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from exercise_promises import as_a_learner
from torch.nn import functional as F

from mha_lab import attention, checks, pretrained
from mha_lab.pretrained import ModelMissing, inside_smollm2

MODULE = sys.modules[inside_smollm2.__module__]
DATA = Path(__file__).parents[2] / "data"
check, OURS = checks.grouped_attention, as_a_learner(checks.grouped_attention.solution)


def repeated_in_turn(query, key, value):
    times = query.shape[1] // key.shape[1]
    return F.scaled_dot_product_attention(query, key.repeat(1, times, 1, 1), value.repeat(1, times, 1, 1))


def in_numpy(query, key, value):
    times = query.shape[1] // key.shape[1]
    key, value = (np.repeat(part, times, axis=1) for part in (key, value))
    scores = query @ np.swapaxes(key, 2, 3) / np.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ value


@pytest.fixture
def absent(monkeypatch):
    def load():
        raise ModelMissing("not here")

    monkeypatch.setattr(MODULE.SmolLM2, "load", load)


@pytest.fixture(scope="module")
def model():
    try:
        return pretrained.SmolLM2.load()
    except ModelMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def present(model, monkeypatch):
    """The model, loaded once: what a check puts into its layers is taken out again."""
    trained = [block.attention for block in model.blocks]
    monkeypatch.setattr(MODULE.SmolLM2, "load", lambda: model)
    yield model
    for block, layer in zip(model.blocks, trained, strict=True):
        block.attention = layer


@pytest.mark.parametrize("function", [OURS, in_numpy])
def test_without_the_model_a_right_function_attends_as_the_recorded_layer_does(absent, function):
    result = check(function, inside_smollm2())
    text = "\n".join(result.lines)
    assert result.passed and 'it looks most at "old", with 0.87, as in the model' in text
    assert "make models" in text and result.picture()


@pytest.mark.parametrize("function", [OURS, in_numpy])
def test_with_a_right_function_the_model_writes_what_it_writes_with_ours(present, function):
    text = "\n".join(check(function, inside_smollm2()).lines)
    assert 'with "old. The tall tree by the river", as with our layer.' in text


def test_a_wrong_order_of_heads_keeps_its_diagnosis_and_is_told_where_the_model_looks(absent):
    result = check(repeated_in_turn, inside_smollm2())
    assert result.state == "wrong" and "Your heads take turns" in result.lines[0]
    assert 'looks most at "by", with 0.18, and in the model at "old", with 0.87' in result.lines[-1]


def test_what_the_model_writes_with_a_wrong_order_of_heads_stands_beside_what_it_writes_with_ours(present):
    last = check(repeated_in_turn, inside_smollm2()).lines[-1]
    assert 'where our layer writes "old. The tall tree by the river"' in last


def test_a_prompt_of_ones_own_is_continued_as_the_model_itself_does(present):
    prompt = "The capital of France is"
    text = "\n".join(check(OURS, inside_smollm2(prompt)).lines)
    itself = "".join(present.generate(prompt, MODULE.WRITTEN)).strip()
    assert f'continues "{prompt}" with "{itself}", as with our layer' in text


@pytest.mark.parametrize("wrong", [lambda query, key, value: query[:, :1], lambda query, key, value: 1 / 0])
def test_a_function_that_raises_or_returns_another_shape_is_judged_as_without_the_model(wrong):
    assert check(wrong, inside_smollm2()).lines == check(wrong).lines


def test_a_stub_stays_a_stub_and_the_second_argument_is_what_the_lesson_hands_over():
    def stub(query, key, value): ...

    assert check(stub, inside_smollm2()).state == "untouched"
    assert "`pretrained.inside_smollm2()`, and this is the int 3" in check(OURS, 3).lines[0]


# the record ----------------------------------------------------------------------------------------------------------


def test_the_readme_names_the_record():
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    assert f"`{MODULE.RECORDED_STEP_SHA256}`" in readme
    assert f"{MODULE.RECORDED_STEP.stat().st_size:,} bytes" in readme


def test_the_recorded_step_has_the_weights_of_the_whole_reading():
    """The last row of head 18.6's map in another recording of the same text."""
    step, read = inside_smollm2(), pretrained.recorded_smollm2().sentences[1]
    query, key, value = step.call
    _, weights = attention(query[:1], key[:1], value[:1])
    assert step.tokens == read.tokens and step.prompt == read.sentence
    torch.testing.assert_close(weights[0, :, 0], read.weights[MODULE.STEP_LAYER, :, -1], atol=1e-3, rtol=0)


def test_recording_the_step_again_gives_the_same_bytes(present, tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("record_smollm2_step", DATA / "record_smollm2_step.py")
    recorder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recorder)
    try:
        recorder.record(tmp_path / "again.npz")
    finally:
        present.float()
    assert hashlib.sha256((tmp_path / "again.npz").read_bytes()).hexdigest() == MODULE.RECORDED_STEP_SHA256
