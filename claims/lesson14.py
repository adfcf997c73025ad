"""Lesson 14: heads of a trained classifier that go, chosen on one part and judged on another."""

from random import Random

import torch

from claims import claim
from mha_lab import heads, tasks
from mha_lab.choosing import pruned

HEADS = [(layer, head) for layer in range(2) for head in range(8)]


def _whole(part):
    """All sentences of a part that are no ordinals, in batches of like length."""
    corpus = tasks.intents(part, language="zh")
    rows = (~corpus.of_kind("ordinal")).nonzero()[:, 0]
    rows = rows[corpus.everything.lengths[rows].argsort(stable=True)]
    return [corpus.batch(each) for each in rows.split(128)]


def _right(model, batches, gone=()):
    """(sentences,) whether each is answered rightly without these heads."""
    with heads.ablated(model, gone):
        return torch.cat([model.right(batch) for batch in batches]).double()


def _cheapest(lost):
    return sorted(HEADS, key=lambda head: lost[head].mean())[:5]


@claim(
    "14.chosen",
    cell="heads-together-says",
    says="The five were chosen as the cheapest of sixteen, and such a choice is partly luck: on new sentences they "
    "cost more, one by one.",
    tried="The whole validation part to choose by and the whole test part to judge by, in place of samples. Then luck "
    "alone: the five cheapest of one random half of the test part, judged on the other half, twenty times. And whether "
    "heads stand in for each other: twenty random sets of five heads that cost less than a hundredth alone, together "
    "beside one by one, on the very same sentences. (Of the lesson's samples, tried besides: all sixteen heads one by "
    "one cost 0.182 where the five were chosen and 0.335 of the new sentences; the five together 0.025 there, and with "
    "the kinds mixed as there 0.036 of the new ones.)",
    attacks=("size", "choice", "opponent"),
    out="The five cost {chosen:.3f} summed where they were chosen, and {new:.3f} on new sentences; {together:.3f} "
    "together. Of the twenty halves {halves} cost more on the other half, on average {half:.3f} against {other:.3f}. "
    "Of the random sets {more} of 20 cost more together than one by one.",
    minutes=3,
)
def chosen():
    model, validation, test = pruned.loaded(), _whole("validation"), _whole("test")
    whole, new = _right(model, validation), _right(model, test)
    lost = {head: whole - _right(model, validation, [head]) for head in HEADS}
    lost_new = {head: new - _right(model, test, [head]) for head in HEADS}

    def summed(table, gone, rows=slice(None)):
        return sum(table[head][rows].mean().item() for head in gone)

    halves = []
    for seed in range(20):
        rows = torch.randperm(len(new), generator=torch.Generator().manual_seed(seed))
        one, other = rows[: len(new) // 2], rows[len(new) // 2 :]
        five = _cheapest({head: each[one] for head, each in lost_new.items()})
        halves.append((summed(lost_new, five, one), summed(lost_new, five, other)))
    harmless = [head for head in HEADS if lost[head].mean() < 0.01]
    sets = [Random(seed).sample(harmless, 5) for seed in range(20)]
    together = [(new - _right(model, test, gone)).mean().item() for gone in sets]
    five = _cheapest(lost)
    found = {
        "chosen": summed(lost, five),
        "new": summed(lost_new, five),
        "together": (new - _right(model, test, five)).mean().item(),
        "halves": sum(other > one for one, other in halves),
        "half": sum(one for one, _ in halves) / 20,
        "other": sum(other for _, other in halves) / 20,
        "more": sum(cost > summed(lost_new, gone) for cost, gone in zip(together, sets)),
    }
    assert found["new"] > found["chosen"] + 0.005 and found["halves"] >= 18
    return found
