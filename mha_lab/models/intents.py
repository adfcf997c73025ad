"""The models of lesson 09 by name: one base, and for each other what is exchanged in it. All are of one size."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import deepcopy
from functools import partial
from itertools import count
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Generator, Tensor, nn

from mha_lab import _data
from mha_lab.attention import MultiHeadAttention
from mha_lab.masks import padding_mask
from mha_lab.memory import shapes_only
from mha_lab.models.biases import ALiBi, RelativeBias, offsets, two_sided
from mha_lab.models.parts import GatedFusion, HeadGate, Learned, Sinusoidal
from mha_lab.models.sentences import AttentionClassifier, BiLSTM, Sentences, num_parameters
from mha_lab.rotary import Rotary
from mha_lab.tasks import INTENTS
from mha_lab.variants import GatedAttention

D_MODEL, NUM_HEADS, NUM_LAYERS, MLP = 64, 4, 2, 128
PLACES = 192
"""How many places `Learned` has: more than the longest sentence in which the lesson tests it."""


def _begins(rates):
    """A relative bias with another beginning: rates of num_heads → (2, H)."""
    return lambda num_heads: RelativeBias(num_heads, rates=rates(num_heads))


def _back_then_ahead(num_heads):
    """A bias for each layer: all heads of the first begin by looking back, all of the second ahead."""
    rates = two_sided(2)[:, :1].expand(2, num_heads)
    return nn.ModuleList([RelativeBias(num_heads, rates=rates.clone()), RelativeBias(num_heads, rates=rates.flip(0))])


EXCHANGED = {
    "relative": {},
    "from zero": {"bias": _begins(lambda H: torch.zeros(2, H))},
    "gentle": {"bias": _begins(lambda H: two_sided(H) / 8)},
    "symmetric": {"bias": _begins(lambda H: two_sided(H).amin(dim=0).expand(2, H).clone())},
    "two-sided": {"bias": partial(RelativeBias, learned=False)},
    "ALiBi": {"bias": ALiBi},
    "rotary": {"bias": None, "attention": partial(MultiHeadAttention, rotary=Rotary())},
    "learned": {"bias": None, "positions": partial(Learned, PLACES, D_MODEL)},
    "sinusoidal": {"bias": None, "positions": partial(Sinusoidal, D_MODEL)},
    "no places": {"bias": None},
    "1 head": {"num_heads": 1},
    "1 head, back then ahead": {"num_heads": 1, "bias": _back_then_ahead},
    "8 heads": {"num_heads": 8},
    "gate": {"fusion": partial(HeadGate, num_heads=NUM_HEADS)},
    "gated attention": {"attention": GatedAttention},
    "GLU": {"fusion": GatedFusion},
    "RMSNorm": {"norm": nn.RMSNorm},
}
"""What differs from the base: 4 heads, a `RelativeBias`, W^O, LayerNorm."""

INTENT_MODELS = ("BiLSTM", *EXCHANGED)

TRAINED = {
    "BiLSTM": ("BiLSTM", "f09bb6613bd2809c1b6557e7c131fa4aa2a11aada4791e3f7f562a490ae2e3b2"),
    "learned": ("learned", "749c047ce28fb442dc95941831981d9fade1bff42426ee96b1a4a4a3076b8ae0"),
    "relative": ("relative", "302ecfb8003f0b585c8eff160397245eb147ac7c43cc058b032d76ce3ea82c14"),
    "8 heads": ("8 heads", "c4dcae257b3c3d62dd94530eaa338e27feac4ea15e2f258f839ce4f18d4dc63b"),
    "both languages": ("relative", "925e936380b5cbfe5d26bf2f10f02838760bbdfd73b42fafa119a8056cb3c4f7"),
}
"""The models whose weights are kept: what each of them is, and the sha256 of its file."""


def intent_model(name: str, vocabulary: int, answers: int = len(INTENTS), *, seed: int = 0) -> Sentences:
    """A new model of this name, with the first weights of this seed.

    Parts that learn more numbers take them from the MLPs, so that all have as many parameters as the base (to 1%)."""
    if name not in INTENT_MODELS:
        raise ValueError(f"there is no model {name!r}; there are: {', '.join(INTENT_MODELS)}.")
    with torch.random.fork_rng(devices=[]):  # the weights come from the global random state: borrow it, give it back
        base = _attention("relative", vocabulary, answers, MLP, made=shapes_only)  # counting needs no numbers
        if name != "BiLSTM":
            counted = num_parameters(_attention(name, vocabulary, answers, MLP, made=shapes_only))
            mlp = MLP - round((counted - num_parameters(base)) / (NUM_LAYERS * (2 * D_MODEL + 1)))
        torch.manual_seed(seed)
        return BiLSTM.like(base) if name == "BiLSTM" else _attention(name, vocabulary, answers, mlp)


def _attention(name, vocabulary, answers, mlp, made=nullcontext):
    options = {"num_heads": NUM_HEADS, "bias": RelativeBias} | EXCHANGED[name]
    if options["bias"] is not None:
        options["bias"] = options["bias"](options["num_heads"])
    if "positions" in options:
        options["positions"] = options["positions"]()
    sizes = {"d_model": D_MODEL, "num_layers": NUM_LAYERS, "mlp": mlp}
    with made():  # biases and positions are computed, and few: they have their numbers in any case
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
    with torch.device("cpu"):  # where the weights are, whatever the default device is
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


@torch.no_grad()
def answers(model: Sentences, corpus) -> Tensor:
    """(sentences,) what the model answers to each sentence of a corpus, an index into tasks.INTENTS, in their order."""
    found = torch.empty(len(corpus.examples), dtype=torch.long, device="cpu")
    for rows in corpus.everything.lengths.argsort(stable=True).split(128):  # of like length: little padding
        batch = corpus.batch(rows)
        found[rows] = model(batch.inputs, batch.lengths).argmax(dim=-1).cpu()
    return found


def all_right(model: Sentences, corpus) -> Tensor:
    """(sentences,) boolean: which sentences of a corpus the model answers rightly, in their order."""
    return answers(model, corpus) == corpus.labels.cpu()


def weight_by_distance(maps: Tensor, lengths: Tensor, distances: Sequence[int]) -> Tensor:
    """(L, H, len(distances)) the mean weight that a token lays on the one so many positions after it (before it, where
    the distance is negative), over all pairs of tokens that stand so in the sentences.

    maps (B, L, H, N, N) of sentences of lengths (B,)."""
    N = maps.shape[-1]
    inside, distance = padding_mask(lengths, N), offsets(N, maps.device)
    pairs = [inside & inside.mT & (distance == each) for each in distances]  # (B, N, N) each
    return torch.stack([(maps * p[:, None, None]).sum(dim=(0, 3, 4)) / p.sum() for p in pairs], dim=-1)


class _Normed(nn.Module):
    def __init__(self, norm, layer_norm):
        super().__init__()
        self.norm, self.was = norm, layer_norm

    def forward(self, x):
        return self.norm(x, self.was.weight, self.was.eps) + self.was.bias


def with_norm(model: nn.Module, norm: Callable[[Tensor, Tensor, float], Tensor]) -> nn.Module:
    """A copy of a trained model in which norm(x, gain, eps) stands for every nn.LayerNorm, with the gain, eps and shift
    that the model learned."""
    changed = deepcopy(model)
    for module in list(changed.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.LayerNorm):
                setattr(module, name, _Normed(norm, child))
    return changed


@torch.no_grad()
def same_answers(model: Sentences, batch, before: Tensor) -> float:
    """The share of the sentences of a batch whose answer stays when the tokens `before` (n, 1) stand in front of it."""
    first = before.expand(len(batch.inputs), -1, -1)
    alone = model(batch.inputs, batch.lengths).argmax(dim=-1)
    behind = model(torch.cat([first, batch.inputs], dim=1), batch.lengths + len(before)).argmax(dim=-1)
    return (alone == behind).double().mean().item()


def clause_share(maps: Tensor, batch, mark: Tensor) -> Tensor:
    """(L, H) how much of its weight a head lays on the marked words of a clause, mean over the other words of it and
    over the sentences that have any.

    maps (B, L, H, N, N) of the sentences of batch, mark (B, N) boolean, such as batch.marks["negation"]."""
    clause = batch.clause_of
    own = (clause[:, :, None] == clause[:, None, :]) & (clause >= 0)[:, :, None]
    marked = own & mark[:, None, :] & ~mark[:, :, None]
    asks = marked.any(dim=-1)  # (B, N) the words whose clause has marked words besides them
    weight = (maps * marked[:, None, None]).sum(dim=(-1, -2)) / asks.sum(dim=-1)[:, None, None]  # (B, L, H)
    return weight.nanmean(dim=0)


def elsewhere(batch, mark: Tensor, generator: Generator | None = None) -> Tensor:
    """(B, N): as many marks in each clause, on words of it drawn at random. What a head lays on these is what it lays
    on a clause as such."""
    clause = batch.clause_of
    noise = torch.rand(mark.shape, generator=generator, device="cpu").to(mark.device)
    return mark.scatter(-1, (clause + noise).argsort(dim=-1), mark.gather(-1, clause.argsort(dim=-1, stable=True)))


def with_every(every: int, new, old) -> Callable[[int, Generator | None], object]:
    """A draw(B, generator) for `train.fit`: each `every`th batch from the corpus new, all others from old; with 0 none
    is, which is the control."""
    turn, (new, old) = count(), map(of_like_length, (new, old))

    def draw(B, generator=None):
        return (new if every and next(turn) % every == 0 else old)(B, generator)

    return draw
