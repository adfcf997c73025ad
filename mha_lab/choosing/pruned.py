"""A trained classifier with some of its heads gone: what is left of each kind of sentence, found by running it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import torch

from mha_lab import heads, models, tasks
from mha_lab.choosing import register
from mha_lab.choosing.judged import Judgement, Need
from mha_lab.models.sentences import AttentionClassifier

PRUNED = {"gone": 5, "all": 0.97, "kind": 0.91}
"""What is wanted: so many of the 16 heads gone at least, and these shares of right answers to new sentences."""

SENTENCES = 300  # of each part, beside all in which nothing is wanted: a run then takes a second


@dataclass(frozen=True, eq=False)
class Sample:
    """Sentences of one part without its ordinals, with the kind of each."""

    batches: tuple
    kinds: Mapping[str, torch.Tensor]


@cache
def sample(part: str) -> Sample:
    """ "validation", to choose on, or "test", to judge on: all sentences in which nothing is wanted, and the first
    SENTENCES others. No sentence stands in both."""
    corpus = tasks.intents(part, language="zh")
    none, ordinal = corpus.of_kind("none"), corpus.of_kind("ordinal")
    rows = torch.cat([none.nonzero()[:, 0], (~none & ~ordinal).nonzero()[:SENTENCES, 0]])
    rows = rows[corpus.everything.lengths[rows].argsort(stable=True)]  # of like length: little padding
    kinds = {kind: corpus.of_kind(kind)[rows] for kind in tasks.recorded_intents().kinds}
    return Sample(tuple(corpus.batch(each) for each in rows.split(128)), {k: at for k, at in kinds.items() if at.any()})


def right(model, gone: Iterable[tuple[int, int]] = (), part: str = "validation") -> dict[str, float]:
    """The share of right answers without the heads (layer, head), by kind, and "all" for the whole sample.

    Raises ValueError or TypeError, in words, for a head that is not there."""
    chosen = sample(part)
    with heads.ablated(model, gone):
        answers = torch.cat([model.right(batch) for batch in chosen.batches]).double()
    return {"all": answers.mean().item()} | {kind: answers[at].mean().item() for kind, at in chosen.kinds.items()}


def alone(model) -> dict[tuple[int, int], dict]:
    """What each head costs that goes alone, on the validation part: the share of "all" sentences that is lost, the
    "kind" that suffers most, and what of it, "worst"."""
    whole, found = right(model), {}
    for layer, attention in enumerate(heads.attention_layers(model)):
        for head in range(attention.num_heads):
            left = right(model, [(layer, head)])
            lost = {kind: whole[kind] - share for kind, share in left.items()}
            kind = max((kind for kind in lost if kind != "all"), key=lost.get)
            found[layer, head] = {"all": lost["all"], "kind": kind, "worst": lost[kind]}
    return found


def judge(model, gone: Iterable[tuple[int, int]]) -> Judgement:
    """What is left of the model without these heads, on sentences of the test part."""
    gone = sorted(set(gone))
    found = right(model, gone, "test")
    worst = min((kind for kind in found if kind != "all"), key=found.get)
    place = register.place("09", "heads-fall")
    size = sum(len(batch.inputs) for batch in sample("test").batches)
    where = f"{size} sentences of the test part"
    return Judgement(
        (
            Need("heads gone", len(gone), PRUNED["gone"], "", False, "of 16"),
            Need("all sentences", found["all"], PRUNED["all"], "", False, where, place),
            Need("the worst kind", found[worst], PRUNED["kind"], "", False, f"{where}: {worst!r}", place),
        )
    )


def loaded() -> AttentionClassifier:
    """The trained classifier with two layers of eight heads."""
    return models.trained_intent_model("8 heads")
