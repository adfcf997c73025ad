"""Lesson 09: an intent case study. Trainings follow data/sweep_intents.py, with seeds that it did not use."""

import re

import sweep_intents as sweep
import torch
from torch import nn
from torch.nn import functional as F

from claims import claim, kept
from mha_lab import heads, models, rotary, tasks, train
from mha_lab.models.biases import two_sided
from mha_lab.tasks import _intent_grammar as grammar
from mha_lab.tasks._intent_sentences import Dice, compose

FRESH = 7  # a seed; the recorded sweep has the seeds 0 to 2


def trained(name, steps, seed=FRESH, change=lambda model: None, size=8000):
    """A model trained anew on so many Chinese sentences; `change` may alter it before."""
    corpus = tasks.intents("training", language="zh", size=size)
    model = models.intent_model(name, len(corpus.vocabulary), seed=seed)
    change(model)
    train.fit_whole(
        model, models.of_like_length(corpus), steps=steps, batch_size=sweep.BATCH, seed=seed, progress=False
    )
    return model.eval()


def main_accuracy(model, part="test"):
    """The share of right answers among the sentences of a part that are no ordinals."""
    data = tasks.intents(part, language="zh")
    return models.all_right(model, data)[~data.of_kind("ordinal")].double().mean().item()


def reaches(claim_name, name, steps, seed=FRESH, changed="", change=lambda model: None):
    words = f"{claim_name} {name} {changed} {steps} seed {seed}"
    return kept(words, lambda: main_accuracy(trained(name, steps, seed, change)))


def fresh(kind, how_many, language="zh"):
    """Sentences of a kind that are in no part of the corpus."""
    dice, known, found = Dice(f"claims 09 {kind}"), set(), []
    for part in ("training", "validation", "test"):
        known |= {example.sentence for example in tasks.intents(part, language=language).examples}
    while len(found) < how_many:
        example = compose(language, dice, accept=lambda key: True)
        if example.kind == kind and example.sentence not in known:
            found.append(example)
    return found


@claim(
    "09.order-decides",
    cell="008",
    says="So a model that counts words cannot do this. It needs to know where they stand.",
    tried="The strongest opponent that counts: a linear model of which words and which pairs of neighbours occur, "
    "trained on all 8,000 sentences until its loss is flat. Pairs of neighbours are a little order.",
    attacks=("opponent", "budget"),
    out="Words alone {words:.2f} of the main test sentences, words and pairs of neighbours {pairs:.2f}; where a word "
    "says which wish comes first, {compound:.2f} and {compound_pairs:.2f}.",
    minutes=1,
)
def order_decides():
    training, test = (tasks.intents(part, language="zh") for part in ("training", "test"))
    rows = ~test.of_kind("ordinal")
    right = {pairs: linear(training, test, pairs) for pairs in (False, True)}
    shares = {pairs: each[rows].double().mean().item() for pairs, each in right.items()}
    compound = {pairs: each[test.of_kind("compound")].double().mean().item() for pairs, each in right.items()}
    assert shares[False] < 0.6  # the attention models of the lesson reach .99
    assert shares[True] < 0.9
    return {
        "words": shares[False],
        "pairs": shares[True],
        "compound": compound[False],
        "compound_pairs": compound[True],
    }


def linear(training, test, pairs):
    """Which test sentences a linear model of words, and perhaps pairs of neighbours, answers rightly."""

    def pieces(example):
        found = list(example.tokens)
        return found + list(zip(found, found[1:])) if pairs else found

    number = {}
    for example in training.examples:
        for piece in pieces(example):
            number.setdefault(piece, len(number))

    def bags(data):
        which = [sorted({number[piece] for piece in pieces(example) if piece in number}) for example in data.examples]
        flat = torch.tensor([piece for each in which for piece in each])
        begins = torch.tensor([0, *map(len, which[:-1])]).cumsum(0)
        return flat, begins

    model = nn.EmbeddingBag(len(number), len(tasks.INTENTS), mode="sum")
    nn.init.zeros_(model.weight)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    inputs = bags(training)
    for _ in range(150):
        loss = F.cross_entropy(model(*inputs), training.labels) + 2e-5 * model.weight.square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return model(*bags(test)).argmax(dim=-1) == test.labels


@claim(
    "09.mirror",
    cell="031",
    says="the same answer, forwards and backwards, whatever it learns",
    tried="Random weights of three seeds and after 100 steps of training; sentences of 3 to 60 tokens; and, to see "
    "that the test can fail, the same with a bias of two sides.",
    attacks=("seeds", "size", "one thing"),
    out="ALiBi's slopes, the same on both sides: largest difference between a sentence and its mirror image "
    "{mirror:.0e}; two sides: {two:.2f}.",
    minutes=0.2,
)
def mirror():
    corpus = tasks.intents("training", language="zh")
    short = trained("ALiBi", 100)

    def difference(model):
        model.eval()
        found = []
        with torch.no_grad():
            for n in (3, 10, 60):
                ids = torch.randint(3, 200, (20, n, 1), generator=torch.Generator().manual_seed(n))
                found.append((model(ids) - model(ids.flip(1))).abs().max().item())
        return max(found)

    makes = [models.intent_model("ALiBi", len(corpus.vocabulary), seed=seed) for seed in range(3)]
    mirrored = max(map(difference, [*makes, short]))
    two = difference(models.intent_model("relative", len(corpus.vocabulary)))
    assert mirrored < 1e-3 < 0.01 < two
    return {"mirror": mirrored, "two": two}


@claim(
    "09.rotary-relative",
    cell="rotary-derive",
    says="Only n − m is left.",
    tried="A thousand random pairs of queries and keys in 64 bits, widths 2 to 128, bases 10 to a million, both "
    "layouts, distances to 500, shifted by up to 10,000 positions; and what it would be without turning the key.",
    attacks=("size", "one thing"),
    out="Largest change of a score by a shift: {change:.0e}. With the query alone turned it is {alone:.1f}.",
    minutes=0.1,
)
def rotary_relative():
    generator, worst, alone = torch.Generator().manual_seed(0), 0.0, 0.0
    for K in (2, 16, 128):
        for base in (10.0, 1e4, 1e6):
            for adjacent in (False, True):
                q, k = torch.randn(2, 60, 1, K, generator=generator, dtype=torch.double)
                n = int(torch.randint(500, (), generator=generator))

                def score(shift, turn_key=True, q=q, k=k, n=n, base=base, adjacent=adjacent):
                    def turned(x, start):
                        return rotary.rotate(x, start, base=base, adjacent=adjacent)

                    return (turned(q, shift) * (turned(k, shift + n) if turn_key else k)).sum(dim=-1)

                worst = max(worst, *((score(s) - score(0)).abs().max().item() for s in (1, 777, 10_000)))
                alone = max(alone, (score(777, turn_key=False) - score(0, turn_key=False)).abs().max().item())
    assert worst < 1e-8 and alone > 1  # float64, angles of 10,000
    return {"change": worst, "alone": alone}


@claim(
    "09.absolute",
    cell="016",
    says="So time is not what is missing.",
    tried="A new seed for 2,000 steps, with the vectors for positions begun small (standard deviation 0.02, as in "
    "BERT) instead of 1, which is another and better start.",
    attacks=("budget", "seeds", "construction"),
    out="{small:.2f} of the main test sentences; a relative bias, recorded: .996.",
    minutes=1,
)
def absolute():
    def small(model):
        nn.init.normal_(model.positions.place.weight, std=0.02)

    found = reaches("09.absolute", "learned", 2000, changed="small", change=small)
    assert found < 0.7
    return {"small": found}


@claim(
    "09.start",
    cell="starts-read",
    says="The numbers with which the table begins matter more than that it has one for each distance.",
    tried="A new seed and 500 steps for the base, for a table that begins at 0, and for slopes four times steeper than "
    "the base's, a beginning that nobody tried before; all on the test part, once.",
    attacks=("seeds", "one thing", "choice"),
    out="The base {base:.2f}, from 0 {zero:.2f}, four times steeper {steep:.2f}.",
    minutes=1,
)
def start():
    def steeper(model):
        H = sweep_heads(model)
        model.bias = models.RelativeBias(H, rates=4 * two_sided(H))

    base, zero = (reaches("09.start", name, 500) for name in ("relative", "from zero"))
    steep = reaches("09.start", "relative", 500, changed="steep", change=steeper)
    assert base > zero + 0.3
    return {"base": base, "zero": zero, "steep": steep}


def sweep_heads(model):
    return model.blocks[0].attention.num_heads


@claim(
    "09.rotary-late",
    cell="rotary-read",
    says="Rotary learns late.",
    tried="A new seed for 500 steps, with the usual base and with a base of 100, in which all pairs turn within a "
    "sentence, the friendliest for short texts; and the three recorded seeds at four times the steps.",
    attacks=("seeds", "budget", "construction"),
    out="After 500 steps {short:.2f} (base 100: {base:.2f}), after 2,000 {long:.2f} at least of the main test "
    "sentences.",
    minutes=1,
)
def rotary_late():
    def short_base(model):
        for block in model.blocks:
            block.attention.rotary = rotary.Rotary(base=100.0)

    short = reaches("09.rotary-late", "rotary", 500)
    long = tasks.recorded_intents().accuracy("rotary").min().item()
    base = reaches("09.rotary-late", "rotary", 500, changed="base 100", change=short_base)
    assert max(short, base) < 0.8 < 0.9 < long
    return {"short": short, "long": long, "base": base}


@claim(
    "09.rule",
    cell="rule-read",
    says="What a rule can say, a rule should say",
    tried="2,000 new ordinals that are in no part of the corpus, through the same eight lines and the kept BiLSTM; and "
    "the BiLSTM and the relative bias without the rule.",
    attacks=("size", "opponent"),
    out="With the rule {rule:.4f} right; without it the BiLSTM {bilstm:.2f} and attention {attention:.2f}.",
    minutes=0.5,
)
def rule():
    corpus, new = tasks.intents("training", language="zh"), fresh("ordinal", 2000)
    labels = torch.tensor([example.label for example in new])

    def said(name, sentences):
        model, found = models.trained_intent_model(name), []
        for sentence in sentences:
            encoded = corpus.encode(sentence)
            with torch.no_grad():
                found.append(model(encoded.inputs).argmax().item())
        return (torch.tensor(found) == labels).double().mean().item()

    sentences = [example.sentence for example in new]
    with_rule = said("BiLSTM", map(tasks.pointed_at, sentences))
    bilstm, attention = said("BiLSTM", sentences), said("relative", sentences)
    assert with_rule > 0.99 and max(bilstm, attention) < 0.55
    return {"rule": with_rule, "bilstm": bilstm, "attention": attention}


@claim(
    "09.budget",
    cell="budget-read",
    says="it learns this in fewer steps",
    tried="A new seed for 500 steps, the same for both sides; and the three recorded seeds at four times the steps.",
    attacks=("seeds", "budget"),
    out="Relative bias minus BiLSTM: {early:+.3f} after 500 steps, {least:+.3f} to {most:+.3f} after 2,000.",
    minutes=1,
)
def budget():
    one, other = (reaches("09.budget", name, 500) for name in ("relative", "BiLSTM"))
    late = tasks.recorded_intents().gain("relative", "BiLSTM")
    assert one - other > 0 and late.abs().max() < 0.01
    return {"early": one - other, "least": late.min().item(), "most": late.max().item()}


@claim(
    "09.little-data",
    cell="budget-little-read",
    says="On these sentences little data does not favour attention; a short training does.",
    tried="Another amount, 1,000 sentences, and a new seed, the same for both sides, after 500 steps and after 2,000.",
    attacks=("seeds", "size", "budget"),
    out="Relative bias minus BiLSTM with 1,000 sentences: {early:+.3f} after 500 steps, {late:+.3f} after 2,000; "
    "recorded, with 1,500 sentences and 2,000 steps: {least:+.3f} to {most:+.3f}.",
    minutes=3,
)
def little_data():
    def accuracy(name, steps):
        words = f"09.little-data {name} {steps} seed {FRESH}"
        return kept(words, lambda: main_accuracy(trained(name, steps, size=1000)))

    early, late = (accuracy("relative", steps) - accuracy("BiLSTM", steps) for steps in (500, 2000))
    recorded = tasks.recorded_intents().gain("relative", "BiLSTM", size=1500)
    assert early > 0 > recorded.max() and late < early - 0.02  # the lead is gone, whatever is left of it
    return {"early": early, "late": late, "least": recorded.min().item(), "most": recorded.max().item()}


@claim(
    "09.one-head",
    cell="parts-read",
    says="One head loses about a point at most",
    tried="A new seed whose layers begin the other way round: ahead in the first, behind in the second.",
    attacks=("seeds", "construction"),
    out="{turned:.3f} of the main test sentences; the lesson's beginning gives {least:.3f} at least in three seeds.",
    minutes=1,
)
def one_head():
    def exchanged(model):
        model.bias = nn.ModuleList(reversed(list(model.bias)))

    turned = reaches("09.one-head", "1 head, back then ahead", 2000, changed="exchanged", change=exchanged)
    recorded = tasks.recorded_intents()
    least = recorded.accuracy("1 head, back then ahead").min().item()
    assert recorded.gain("1 head, back then ahead", "relative").min() > -0.015 and turned > 0.98
    return {"turned": turned, "least": least}


@claim(
    "09.greeting",
    cell="020",
    says="Every second answer changes with a greeting.",
    tried="Other greetings than the lesson's, of 3 to 6 tokens, on 1,000 sentences without one; and the relative bias "
    "beside it.",
    attacks=("size", "opponent"),
    out="The absolute embedding keeps {least:.2f} to {most:.2f} of its answers, the relative bias at least "
    "{relative:.2f}.",
    minutes=0.3,
)
def greeting():
    test = tasks.intents("test", language="zh")
    rows = [i for i, example in enumerate(test.examples) if example.clause_of[0] == 0][:1000]
    some = test.batch(rows)

    @torch.no_grad()
    def kept_answers(name, words):
        model, hello = models.trained_intent_model(name), test.encode(words).inputs
        inputs = torch.cat([hello.expand(len(rows), -1, -1), some.inputs], dim=1)
        before = model(some.inputs, some.lengths).argmax(dim=-1)
        after = model(inputs, some.lengths + hello.shape[1]).argmax(dim=-1)
        return (before == after).double().mean().item()

    words = "您好，", "客服您好，", "请问有人吗？"
    absolute = [kept_answers("learned", each) for each in words]
    relative = min(kept_answers("relative", each) for each in words)
    assert 0.35 < min(absolute) and max(absolute) < 0.65 and relative > 0.97
    return {"least": min(absolute), "most": max(absolute), "relative": relative}


def answered(model, sentences):
    """What a model answers to each of these, one by one."""
    corpus = tasks.intents("training", language="zh")
    with torch.no_grad():
        return torch.tensor([model(corpus.encode(sentence).inputs).argmax().item() for sentence in sentences])


def share_right(model, examples):
    """The share of these sentences that a model answers rightly."""
    labels = torch.tensor([example.label for example in examples])
    return (answered(model, [example.sentence for example in examples]) == labels).double().mean().item()


@claim(
    "09.no-kind-separates",
    cell="table-read",
    says="No kind separates the first two.",
    tried="300 new sentences of each kind, in no part of the corpus, read by the two kept models.",
    attacks=("size",),
    out="The largest difference between the two in any kind is {largest:.3f}; the lowest accuracy of either "
    "{lowest:.3f}.",
    minutes=0.5,
)
def no_kind_separates():
    found = []
    for kind in ("plain", "compound", "negated", "other", "past", "mixed", "none"):
        examples = fresh(kind, 300)
        found.append([share_right(models.trained_intent_model(name), examples) for name in ("BiLSTM", "relative")])
    largest = max(abs(one - other) for one, other in found)
    assert largest < 0.02  # two standard errors of a difference of a hundredth, at 300
    return {"largest": largest, "lowest": min(map(min, found))}


@claim(
    "09.composite",
    cell="composite-read",
    says="The BiLSTM and the relative bias confuse none of them",
    tried="300 new sentences that name several of the three and want one of them, and the nearest simple opponent: a "
    "linear model of words and pairs of neighbours.",
    attacks=("size", "opponent"),
    out="BiLSTM {bilstm:.3f}, relative bias {relative:.3f}; the linear model {linear:.2f} on the test part's.",
    minutes=0.5,
)
def composite():
    near, examples = sweep.NEIGHBOURS, []
    for kind in ("compound", "negated", "mixed"):
        new = [example for example in fresh(kind, 3000) if len(example.named & near) > 1]
        examples += [example for example in new if tasks.INTENTS[example.label].key in near][:100]
    bilstm, relative = (share_right(models.trained_intent_model(name), examples) for name in ("BiLSTM", "relative"))
    training, test = (tasks.intents(part, language="zh") for part in ("training", "test"))
    rows = [
        i
        for i, example in enumerate(test.examples)
        if example.kind != "ordinal" and len(example.named & near) > 1 and tasks.INTENTS[example.label].key in near
    ]
    simple = linear(training, test, pairs=True)[rows].double().mean().item()
    assert len(examples) > 200 and min(bilstm, relative) > 0.98 and simple < 0.9
    return {"bilstm": bilstm, "relative": relative, "linear": simple}


@claim(
    "09.head-missed",
    cell="heads-fall-read",
    says="The head that looks most at the negation is the one that is missed most",
    tried="400 new sentences in which nothing is wanted and something is negated, each of the 16 heads of the kept "
    "model off in turn.",
    attacks=("size", "opponent"),
    out="Without the head with the largest share {lost:.2f} of the answers are lost, without any other {others:.2f} at "
    "most.",
    minutes=1,
)
def head_missed():
    model = models.trained_intent_model("8 heads")
    examples = [example for example in fresh("none", 700) if "negated" in example.traits][:400]
    whole, lost = share_right(model, examples), {}
    for layer in range(2):
        for head in range(8):
            with heads.ablated(model, [(layer, head)]):
                lost[layer, head] = whole - share_right(model, examples)
    most = divmod(tasks.recorded_intents().head_share[0, 0].flatten().argmax().item(), 8)
    others = max(loss for where, loss in lost.items() if where != most)
    assert lost[most] > others and lost[most] > 0.1
    return {"lost": lost[most], "others": others}


@claim(
    "09.repair-cost",
    cell="094",
    says="nothing wanted falls in every seed",
    tried="Another seed of the 300 steps, and 1,000 new sentences in which nothing is wanted, in no part of the "
    "corpus.",
    attacks=("seeds", "size"),
    out="Repaired minus control: {loss:+.3f}; the control reads {control:.3f} of them.",
    minutes=1,
)
def repair_cost():
    old, new = (tasks.intents(part, language="zh") for part in ("training", "double training"))
    examples = fresh("none", 1000)

    def after(every):
        model = models.trained_intent_model("relative")
        train.fit_whole(
            model, models.with_every(every, new, old), steps=300, batch_size=32, lr=2e-3, seed=FRESH, progress=False
        )
        return share_right(model.eval(), examples)

    repaired, control = (kept(f"09.repair-cost {every}", lambda every=every: after(every)) for every in (5, 0))
    assert repaired < control
    return {"loss": repaired - control, "control": control}


@claim(
    "09.average",
    cell="086",
    says="The weights of a head sum to 1, so what it hands on is an average",
    tried="我不想… and 我不是不想… around every request without a number, where the training has the first form only: "
    "the weight that the request's words lay on the negations in head 1.0, and the answers.",
    attacks=("size",),
    out="One 不: {one:.2f} of the weight, answered as nothing wanted {denied:.2f} of the time; two: {two:.2f} "
    "together, and {twice:.2f}.",
    minutes=0.2,
)
def average():
    corpus, model = tasks.intents("training", language="zh"), models.trained_intent_model("relative")
    phrases = [phrase for several in grammar.REQUESTS["zh"].values() for phrase in several if "{" not in phrase]
    requests = [re.sub("[<>#]", "", phrase) for phrase in phrases]
    found = {}
    for form in ("我不想{}。", "我不是不想{}。"):
        weights, denied = [], []
        for request in requests:
            encoded = corpus.encode(form.format(request))
            with torch.no_grad():
                logits, maps, _ = model(encoded.inputs, need_weights=True)
            at = [i for i, token in enumerate(encoded.tokens[:4]) if token == "不"]
            begin = form.index("{")
            weights.append(maps[0, 1, 0, begin:-1][:, at].sum(dim=-1).mean())
            denied.append(logits.argmax().item() == len(tasks.INTENTS) - 1)
        found[form] = torch.stack(weights).mean().item(), sum(denied) / len(denied)
    (one, denied), (two, twice) = found.values()
    assert abs(one - two) < 0.15 and min(denied, twice) > 0.9
    return {"one": one, "two": two, "denied": denied, "twice": twice}
