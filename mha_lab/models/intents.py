"""The models of lesson 09 by name: one base, and for each other what is exchanged in it. All are of one size."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Generator, Tensor, nn

from mha_lab import _data
from mha_lab.models.biases import ALiBi, RelativeBias
from mha_lab.models.parts import GatedFusion, HeadGate, Learned, Sinusoidal
from mha_lab.models.sentences import AttentionClassifier, BiLSTM, Sentences, num_parameters
from mha_lab.tasks import INTENTS

D_MODEL, NUM_HEADS, NUM_LAYERS, MLP = 64, 4, 2, 128
PLACES = 192
"""How many places `Learned` has: more than the longest sentence in which the lesson tests it."""

EXCHANGED = {
    "relative": {},
    "two-sided": {"bias": partial(RelativeBias, learned=False)},
    "ALiBi": {"bias": ALiBi},
    "learned": {"bias": None, "positions": partial(Learned, PLACES, D_MODEL)},
    "sinusoidal": {"bias": None, "positions": partial(Sinusoidal, D_MODEL)},
    "no places": {"bias": None},
    "1 head": {"num_heads": 1},
    "8 heads": {"num_heads": 8},
    "gate": {"fusion": partial(HeadGate, num_heads=NUM_HEADS)},
    "GLU": {"fusion": GatedFusion},
    "RMSNorm": {"norm": nn.RMSNorm},
}
"""What differs from the base: 4 heads, a `RelativeBias`, W^O, LayerNorm."""

INTENT_MODELS = ("BiLSTM", *EXCHANGED)

TRAINED = {
    "BiLSTM": ("BiLSTM", "3912472622c1618c581b2ce806c9beef66b5f86133e1c642aaf2ba18e4fd7b85"),
    "learned": ("learned", "b5ce390a22fdd5aeee52719754d5eff1fa1dc42b99065c6071906d4ba847732a"),
    "relative": ("relative", "23030f8c542fb5654187122cc8dcb642062fd55dfc7c718a3073900b79fd6228"),
    "both languages": ("relative", "29f28f364d452062e288576e9096f999db06416d792f115e1f7e81f14779d7b4"),
}
"""The models whose weights are kept: what each of them is, and the sha256 of its file."""


def intent_model(name: str, vocabulary: int, answers: int = len(INTENTS), *, seed: int = 0) -> Sentences:
    """A new model of this name, with the first weights of this seed.

    Parts that learn more numbers take them from the MLPs, so that all have as many parameters as the base (to 1%)."""
    if name not in INTENT_MODELS:
        raise ValueError(f"there is no model {name!r}; there are: {', '.join(INTENT_MODELS)}.")
    with torch.device("meta"):  # counting needs no numbers
        base = _attention("relative", vocabulary, answers, MLP)
        if name != "BiLSTM":
            surplus = num_parameters(_attention(name, vocabulary, answers, MLP)) - num_parameters(base)
            mlp = MLP - round(surplus / (NUM_LAYERS * (2 * D_MODEL + 1)))
    with torch.random.fork_rng(devices=[]):  # the weights come from the global random state: borrow it, give it back
        torch.manual_seed(seed)
        return BiLSTM.like(base) if name == "BiLSTM" else _attention(name, vocabulary, answers, mlp)


def _attention(name, vocabulary, answers, mlp):
    options = {"num_heads": NUM_HEADS, "bias": RelativeBias} | EXCHANGED[name]
    if options["bias"] is not None:
        options["bias"] = options["bias"](options["num_heads"])
    if "positions" in options:
        options["positions"] = options["positions"]()
    sizes = {"d_model": D_MODEL, "num_layers": NUM_LAYERS, "mlp": mlp}
    return AttentionClassifier(vocabulary, answers, **sizes, **options)


def trained_intent_model(name: str) -> Sentences:
    """A model that data/sweep_intents.py left, verified, in evaluation mode: one of `TRAINED`. "both languages" reads
    the words of tasks.intents(), the others those of tasks.intents(language="zh").

    Raises ValueError for a name without a checkpoint, and where the file is not the one this code was written for;
    FileNotFoundError where it is missing."""
    if name not in TRAINED:
        raise ValueError(f"no trained {name!r} is kept in data/; there are: {', '.join(TRAINED)}.")
    kind, sha256 = TRAINED[name]
    weights = load(_data.read(intent_checkpoint(name), sha256))
    model = intent_model(kind, len(weights["embed.weight"]), len(weights["answer.weight"]))
    model.load_state_dict(weights)
    return model.eval()


def intent_checkpoint(name: str) -> Path:
    """Where the weights of a trained model lie."""
    return _data.FOLDER / f"intents_{name.replace(' ', '_')}.safetensors"


def of_like_length(corpus) -> Callable[[int, Generator | None], object]:
    """A draw(B, generator) for `train.fit`: batches whose sentences are of like length, so that little of them is
    padding. Every sentence is as likely to be drawn as with `corpus.draw`, and training takes half the time."""
    order = corpus.everything.lengths.argsort(stable=True)

    def draw(B, generator=None):
        rows = torch.randint(len(order), (8 * B,), generator=generator, device="cpu").sort().values.view(8, B)
        return corpus.batch(order[rows[torch.randint(8, (1,), generator=generator, device="cpu").item()]])

    return draw


def all_right(model: Sentences, corpus) -> Tensor:
    """(E,) boolean: which sentences of a corpus the model answers rightly, in their order."""
    found = torch.empty(len(corpus.examples), dtype=torch.bool, device="cpu")
    for rows in corpus.everything.lengths.argsort(stable=True).split(128):  # of like length: little padding
        found[rows] = model.right(corpus.batch(rows))
    return found


def latency_paths(lstm: Sentences, attention: Sentences, sentence: Tensor) -> dict[str, Callable[[], Tensor]]:
    """What `measure.compare` times, by name: one sentence through each. Explicit stores every map, fused none."""
    return {
        "BiLSTM": lambda: lstm(sentence),
        "attention, explicit": lambda: attention(sentence, need_weights=True)[0],
        "attention, fused": lambda: attention(sentence),
    }
