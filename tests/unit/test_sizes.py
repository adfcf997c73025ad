"""Counts, lists and sizes that mean nothing, in models, measurements and explorers: one sentence, and at once."""

import time

import pytest
import torch
from torch import nn

from mha_lab import MultiHeadAttention, cost, heads, long_sequences, measure, memory, models, plots, tasks, widgets
from mha_lab.models import biases, encoder_decoder, parts, reader, sentences
from mha_lab.pretrained import bert, circuits, llama, whisper

TASK = tasks.lookup(4, 4, 1)
LAYER = nn.Sequential(MultiHeadAttention(8, 2))
SHAPE = {"vocabulary": 4, "max_tokens": 4, "d_model": 8, "num_heads": 2, "num_layers": 1, "d_hidden": 4}
MADE = {  # how it is made, and its counts
    models.Encoder: (
        {"vocabularies": TASK.vocabularies, "answers": TASK.answers},
        "vocabularies answers d_model num_heads num_layers mlp window",
    ),
    encoder_decoder.EncoderDecoder: (
        {"source_size": 4, "target_size": 4},
        "source_size target_size d_model num_heads num_layers encoder_layers max_tokens mlp",
    ),
    parts.Learned: ({"num_tokens": 4, "d_model": 4}, "num_tokens d_model"),
    parts.Sinusoidal: ({"d_model": 4}, "d_model"),
    parts.GatedFusion: ({"d_model": 4}, "d_model"),
    parts.HeadGate: ({"d_model": 4, "num_heads": 2}, "d_model num_heads"),
    reader.Reader: ({"words": 2, "answers": 2, "embed": nn.Linear(4, 64)}, "words answers d_model mlp mixing"),
    reader.digit_reader: ({"mixing": 0}, "mixing"),
    reader.Features: ({"vocabularies": [2], "d_model": 4}, "vocabularies d_model"),
    sentences.AttentionClassifier: (
        {"vocabulary": 4, "answers": 2},
        "vocabulary answers d_model num_heads num_layers mlp",
    ),
    sentences.BiLSTM: ({"vocabulary": 4, "answers": 2}, "vocabulary answers d_model hidden"),
    biases.alibi_slopes: ({"num_heads": 2}, "num_heads"),
    biases.two_sided: ({"num_heads": 2}, "num_heads"),
    biases.offsets: ({"num_tokens": 2}, "num_tokens"),
    models.translator: ({"name": "dates", "source_size": 4, "target_size": 4}, "source_size target_size"),
    bert.Bert: (SHAPE, "vocabulary max_tokens d_model num_heads num_layers d_hidden num_segments"),
    llama.Llama: (SHAPE | {"num_kv_heads": 2}, "vocabulary d_model num_heads num_layers d_hidden"),
    whisper.Whisper: (
        {name: SHAPE[name] for name in ("vocabulary", "d_model", "num_heads", "num_layers")},
        "vocabulary max_tokens d_model num_layers num_bands",
    ),
    circuits.repeated_tokens: ({"num_texts": 1, "length": 2}, "num_texts length"),
    measure.constant_layers: ({"d_model": 8, "head_counts": [1]}, "d_model"),
    heads.offset: ({"n": 4, "steps": 1}, "n"),
}
COUNTS = [(made, name) for made, (_, names) in MADE.items() for name in names.split()]


@pytest.mark.parametrize("made, name", COUNTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_count_that_is_none_and_a_size_without_end_are_refused_in_a_sentence_and_at_once(made, name):
    sizes, _ = MADE[made]
    made(**sizes)  # the others are right
    many = name in ("vocabularies", "answers") and isinstance(sizes[name], (list, tuple))
    for value in (10**400, 10**18, 2**36, 2.5, float("nan"), "3", True, -1, (i for i in "a")):
        if (
            name in ("window", "max_tokens")
            and made in (models.Encoder, encoder_decoder.EncoderDecoder)
            and type(value) is int
            and 0 < value < 10**30
        ):
            continue  # no memory is taken for it
        start = time.perf_counter()
        with pytest.raises((TypeError, ValueError, MemoryError)) as refused:
            made(**sizes | {name: [value] if many else value})
        words = str(refused.value)
        assert "alloc" not in words and "\n" not in words and len(words) < 300, words
        assert time.perf_counter() - start < 5
    if many:
        with pytest.raises(TypeError, match=f"{name} is the int 3; it must be a list of counts"):
            made(**sizes | {name: 3})


def test_many_layers_that_fit_one_by_one_and_not_together_are_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**30)
    with pytest.raises(MemoryError, match="4.0 GiB of memory and 1.0 GiB are free"):
        models.Encoder(TASK.vocabularies, TASK.answers, d_model=512, num_layers=1024)


def test_a_window_and_a_layer_that_are_numpys_or_none_are_taken():
    for options in {"num_layers": 0}, {"window": None}, {"mlp": 0}, {"d_model": torch.tensor(8)}:
        models.Encoder(TASK.vocabularies, TASK.answers, **{"d_model": 8} | options)


CALLS = {
    "lengths": lambda: long_sequences.measure_ways(512),
    "paths": lambda: long_sequences.measure_ways([4], paths="full"),
    "budget": lambda: long_sequences.measure_ways([4], budget="3"),
    "contexts": lambda: next(long_sequences.measure_decoding(512)),
    "prefill": lambda: next(long_sequences.measure_decoding([4], prefill="no")),
    "seed": lambda: long_sequences.text(4, seed=2**70),
    "candidates": lambda: measure.compare([lambda: 1]),
    "fn": lambda: measure.timeit(3),
    "a": lambda: measure.compare({"a": 3}),
    "seconds": lambda: measure.calibrate(float("nan")),
    "seconds=": lambda: measure.calibrate(10**18),
    "head_counts": lambda: measure.constant_layers(8, 2),
    "machine": lambda: cost.predict(None, 1, 4, 8, 2),
    "labels": lambda: plots.head_maps(torch.ones(1, 2, 2) / 2, ["a", "b"], labels=3),
    "name": lambda: models.translator("German", 4, 4),
    "models": lambda: widgets.KVCacheExplorer(models=3),
    "one of models": lambda: widgets.KVCacheExplorer(models=(name for name in ["GPT-2 small"])),
    "measured": lambda: widgets.CostExplorer(measured=3),
    "machine is": lambda: widgets.CostExplorer(machine=3),
    "off": lambda: widgets.HeadSwitches(lambda off: {"a": 0.5}, num_layers=1, num_heads=2, off=3),
    "one of off": lambda: widgets.HeadSwitches(lambda off: {"a": 0.5}, num_layers=1, num_heads=2, off=[3]),
    "labels is": lambda: widgets.HeadSwitches(lambda off: {"a": 0.5}, num_layers=1, num_heads=2, labels=[3]),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_list_no_function_and_no_number_is_named(name):
    with pytest.raises((TypeError, ValueError), match=f"^{name}") as refused:
        CALLS[name]()
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_a_table_of_more_examples_than_fit_is_refused_in_words(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**30)
    with pytest.raises(MemoryError, match="choose smaller sizes"):
        heads.importance(LAYER, lambda: torch.ones(1), 2**40)


def test_a_generator_of_models_is_read_once_and_checked(monkeypatch):
    known = widgets.KVCacheExplorer().__class__
    some = [model for model in widgets.kv_cache_explorer.DECODERS if model.name.startswith(("GPT", "Llama"))]
    assert set(known(models=(model for model in some))._models) == {model.name for model in some}


def test_trained_models_hold_their_numbers_whatever_the_default_device_is():
    with torch.device("meta"):
        found = models.recorded_translators()
        intents = models.trained_intent_model("relative")
    for model in found.dates, found.translation, intents:
        assert not any(parameter.is_meta for parameter in model.parameters())
