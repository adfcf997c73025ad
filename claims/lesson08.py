"""Lesson 08: alignment beside rules of place, the gender head, one head against several, windows, maps over images."""

import sweep_windows
import torch
import train_digit_readers
import train_translators
from torch.nn import functional as F

from claims import claim, kept
from mha_lab import heads, models, tasks, train

FRESH = 11  # a seed that no recorded model was trained with
FRESH_PAIRS = 11, 12, 13


def _by_place(training, pairs):
    """(B, N, S): all weight on the place where the answer stood most often in training, by place and source length."""
    lengths, asked = ((each.source != tasks.PAD).sum(dim=1) for each in (training, pairs))
    weights = torch.zeros(pairs.right.shape)
    for length in asked.unique():
        often = training.right[lengths == length].sum(dim=0)[: weights.shape[1], : weights.shape[2]]
        weights[asked == length] = F.one_hot(often.argmax(dim=-1), weights.shape[2]).float()
    return weights


def _maps(model, pairs):
    with torch.no_grad():
        return model(pairs.source, pairs.target, need_weights=True)[1]


def _missed(guess, pairs):
    """The gold of those rows on which a guess has no weight."""
    return pairs.right & ((guess * pairs.right).sum(dim=-1, keepdim=True) == 0)


@claim(
    "08.dates-by-place",
    cell="dates-honest",
    says="The year's score proves nothing: place and length alone find it every time.",
    tried="The rule by place and length, learned on the training part, on 600 dates that the lesson does not use; the "
    "best head's weight where the rule is wrong.",
    attacks=("opponent", "choice"),
    out="Without reading a character: year {year:.2f}, month {month:.2f}, day {day:.2f}. Where the rule is wrong, the "
    "best head lays {read:.2f} on the span.",
    minutes=0.1,
)
def dates_by_place():
    corpus = tasks.dates()
    pairs = tasks.shortened(corpus.parts["validation"], slice(0, 600))
    guess = _by_place(corpus.parts["training"], pairs)
    found = {
        field: heads.mass(guess[:, rows], pairs.right[:, rows]).mean().item()
        for field, rows in tasks.DATE_FIELDS.items()
    }
    maps = _maps(models.recorded_translators().dates, pairs)[:, 0]
    read = heads.mass(maps, _missed(guess, pairs)[:, None]).nanmean(dim=0).max().item()
    assert found["year"] > 0.98 and found["day"] < 0.8 and read > 0.7, (found, read)
    return found | {"read": read}


@claim(
    "08.aligns",
    cell="061",
    says="twice what the best rule gets that reads no word",
    tried="Five rules that read no source word, on the part of new pairs; the strongest also knows the last word "
    "written.",
    attacks=("opponent", "choice"),
    out="New pairs, seed 0: best head {head:.2f}; all alike {uniform:.2f}, same place {same:.2f}, best place "
    "{fixed:.2f}, "
    "by place and length {place:.2f}, by place and the word before {before:.2f}. Where the rule by place is wrong, the "
    "best head has {missed:.2f}.",
    minutes=0.2,
)
def aligns():
    corpus = tasks.translation()
    training, pairs = corpus.parts["training"], tasks.shortened(corpus.parts["new pairs"], slice(0, 300))
    words, (N, S) = len(corpus.target), pairs.right.shape[1:]

    def share(weights):
        return heads.mass(weights.float(), pairs.right).nanmean().item()

    def before(target):
        return torch.cat([torch.full_like(target[:, :1], tasks.START), target[:, :-1]], dim=1)

    real = (pairs.source != tasks.PAD)[:, None].expand(-1, N, -1).float()
    fixed = training.right.sum(dim=0)[:N, :S].argmax(dim=-1)
    longest = training.right.shape[1]
    key = (before(training.target) * longest + torch.arange(longest)).flatten()
    counts = torch.zeros(words * longest, training.right.shape[2])
    counts.index_add_(0, key, training.right.float().flatten(0, 1))
    by_word = counts.view(words, longest, -1)[before(pairs.target), torch.arange(N), :S].argmax(dim=-1)
    guess = _by_place(training, pairs)
    found = {
        "uniform": share(real / real.sum(dim=-1, keepdim=True)),
        "same": share(torch.eye(N, S).expand(pairs.right.shape)),
        "fixed": share(F.one_hot(fixed, S).expand(pairs.right.shape)),
        "place": share(guess),
        "before": share(F.one_hot(by_word, S)),
    }
    maps = _maps(models.recorded_translators().translation, pairs)[:, -1]
    head = heads.mass(maps, pairs.right[:, None]).mean(dim=0)
    missed = heads.mass(maps, _missed(guess, pairs)[:, None]).nanmean(dim=0)[head.argmax()].item()
    assert head.max() > 1.6 * max(found.values()) and missed > 0.8, (found, head, missed)
    return found | {"head": head.max().item(), "missed": missed}


@claim(
    "08.off-by-one",
    cell="071",
    says="a finding, or less than a head gets for nothing",
    tried="Rows named by the word read, for every head of the last layer, on the part of new pairs.",
    attacks=("one thing",),
    out="By the word written {written:.2f}, by the word read {read:.2f}, all words alike {uniform:.2f}.",
    minutes=0.1,
)
def off_by_one():
    corpus = tasks.translation()
    pairs = tasks.shortened(corpus.parts["new pairs"], slice(0, 300))
    maps = _maps(models.recorded_translators().translation, pairs)[:, -1]
    late = torch.zeros_like(pairs.right)
    late[:, 1:] = pairs.right[:, :-1]
    real = (pairs.source != tasks.PAD)[:, None].float()
    written, read = (heads.mass(maps, right[:, None]).mean(dim=0) for right in (pairs.right, late))
    best = written.argmax()
    found = {"written": written[best].item(), "read": read[best].item()}
    found["uniform"] = heads.mass((real / real.sum(dim=-1, keepdim=True)).expand(pairs.right.shape), late).mean().item()
    assert found["written"] > 0.8 and found["read"] < found["uniform"], found
    return found


@claim(
    "08.gender-head",
    cell="086",
    says="A head that can go may have done the work all the same.",
    tried="Every cross-attention head off in turn, as controls, on 500 sentences of the new pairs: which articles "
    "break?",
    attacks=("opponent", "choice"),
    out="Of {articles} articles, {without} are wrong without the head at the nouns, {others} at most without any other "
    "head of its layer; {kept:.2f} of the former keep their meaning.",
    minutes=0.2,
)
def gender_head():
    from mha_lab.tasks.translation import ARTICLES, DETERMINERS, NOUNS

    corpus, model = tasks.translation(), models.recorded_translators().translation
    pairs = tasks.shortened(corpus.parts["new pairs"], slice(0, 500))
    rows = train_translators.is_one_of(pairs.target, corpus.target, ARTICLES) & pairs.right.any(dim=-1)
    nouns = train_translators.is_one_of(pairs.source, corpus.source, NOUNS)
    gender = train_translators.on(_maps(model, pairs), rows, nouns)[-1].argmax().item()
    meaning = {form: word for number in DETERMINERS for word, forms in number.items() for form in forms} | {
        "ces": "this"
    }
    layer, word, wrong = heads.attention_layers(model).index(model.cross[1].attention), corpus.target.words, []
    for head in range(4):
        with torch.no_grad(), heads.ablated(model, [(layer, head)]):
            guesses = model(pairs.source, pairs.target).argmax(dim=-1)
        at = rows & (guesses != pairs.target)
        wrong.append([(word[a], word[b]) for a, b in zip(pairs.target[at].tolist(), guesses[at].tolist())])
    same = sum(meaning[right] == meaning.get(guess) for right, guess in wrong[gender]) / len(wrong[gender])
    others = max(len(errors) for head, errors in enumerate(wrong) if head != gender)
    assert len(wrong[gender]) > 1.5 * others and same > 0.8, ([len(errors) for errors in wrong], same)
    return {"articles": int(rows.sum()), "without": len(wrong[gender]), "others": others, "kept": same}


@claim(
    "08.most-missed",
    cell="095",
    says="The score says where a head looks; what it is worth, its absence says.",
    tried="Seed 0 on 400 other sentences (new pairs), and the recorded tables of three seeds: is the head that aligns "
    "best the one most missed?",
    attacks=("seeds", "choice"),
    out="Seed 0, new pairs: without the best-aligned head {best:.2f} exact, without the most missed one {least:.2f}. "
    "Over "
    "eight heads, the rank correlation of weight on gold and loss is {seeds}, by seed; the best-aligned head is the "
    "most "
    "missed in {first} of 3.",
    minutes=0.6,
)
def most_missed():
    found, corpus = models.recorded_translators(), tasks.translation()
    pairs = tasks.shortened(corpus.parts["new pairs"], slice(0, 400))

    def fresh():
        return train_translators.without_each(
            found.translation, lambda: train_translators.exact(found.translation, pairs)
        ).tolist()

    table = torch.tensor(kept("08.most-missed table", fresh)).flatten()

    def ranks(values):
        return values.argsort().argsort().double()

    seeds = [
        torch.stack([ranks(gold), ranks(-without)]).corrcoef()[0, 1].item()
        for gold, without in zip(found.translation_gold.flatten(1), found.translation_without.flatten(1))
    ]
    first = sum(
        (gold.argmax() == without.argmin()).item()
        for gold, without in zip(found.translation_gold.flatten(1), found.translation_without.flatten(1))
    )
    assert first < 3 and max(seeds) < 0.9, (first, seeds)
    return {
        "best": table[found.translation_gold[0].argmax()].item(),
        "least": table.min().item(),
        "seeds": ", ".join(f"{value:.2f}" for value in seeds),
        "first": first,
    }


@claim(
    "08.one-head-date",
    cell="dates-one-look",
    says="there it is {behind:.3f} ± {spread:.3f} behind four (mean and standard deviation)",
    tried="Three pairs of models with seeds that the recording lacks; within a pair the first weights and the batches "
    "are the same, and only the number of heads differs.",
    attacks=("seeds", "one thing"),
    out="Exact dates, seeds 11 to 13: four heads {four}, one head {one}; one less four {gaps}. The one head's weight "
    "on the day: {day}.",
    minutes=4,
)
def one_head_date():
    corpus = tasks.dates()
    test = corpus.parts["test"]

    def judged(seed, num_heads):
        model = models.translator("dates", len(corpus.source), len(corpus.target), num_heads=num_heads, seed=seed)
        train.fit_whole(model, corpus.draw, steps=train_translators.STEPS["dates"], seed=seed, progress=False)
        found = train_translators.judged_dates(model.eval(), test)
        return [found["exact"].item(), found["span"][:, 2].max().item()]

    def of(num_heads):
        name = "08.one-head-date {} heads seed {}"
        rows = [kept(name.format(num_heads, seed), lambda s=seed: judged(s, num_heads)) for seed in FRESH_PAIRS]
        return torch.tensor(rows).T

    (four, _), (one, day) = of(4), of(1)
    gaps = one - four
    assert gaps.abs().max() < 0.02, (four, one)

    def told(values, form="{:.4f}"):
        return ", ".join(form.format(value) for value in values.tolist())

    found = {"behind": -gaps.mean().item(), "spread": gaps.std().item(), "four": told(four), "one": told(one)}
    return found | {"gaps": told(gaps, "{:+.4f}"), "day": told(day, "{:.2f}")}


@claim(
    "08.heads-and-patches",
    cell="digits-even",
    says="four times the steps bring one head to {one_longer:.2f} and eight to {eight_longer:.2f}",
    tried="A fresh seed with 1 and with 8 heads, and with one head whose weights are set by hand, alike on all "
    "patches of the asked half; then four times the steps.",
    attacks=("seeds", "construction", "budget"),
    out="A fourth seed, 600 steps: 1 head {one:.3f}, 8 heads {eight:.3f}, 1 even head {even:.3f}. After 2,400 steps: "
    "1 head {one_longer:.3f}, 8 heads {eight_longer:.3f}.",
    minutes=2,
)
def heads_and_patches():
    test = tasks.two_digits("test").draw(1000, torch.Generator().manual_seed(77))
    recipes = {
        "one": (1, 600, False),
        "eight": (8, 600, False),
        "even": (1, 600, True),
        "one_longer": (1, 2400, False),
        "eight_longer": (8, 2400, False),
    }

    def right(recipe):
        return train_digit_readers.by_heads(*recipe, FRESH, test)[0].item()

    found = {name: kept(f"08.heads-and-patches {name}", lambda r=r: right(r)) for name, r in recipes.items()}
    assert found["eight"] > found["one"] + 0.04 and found["even"] > found["one"] + 0.03, found
    assert abs(found["eight_longer"] - found["one_longer"]) < 0.03, found
    return found


class EvenHead(models.Encoder):
    """One head whose weights are set by hand, half on the token before and half on the definition of the name. Only
    what it makes of them is learned."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, num_heads=1, causal=True, **options)
        block = self.blocks[0]
        block.attention.q_proj.weight.requires_grad_(False).zero_()  # all that is not masked is alike
        block.register_forward_pre_hook(lambda _, x, more: (x, more | {"mask": self.allowed}), with_kwargs=True)

    def losses(self, batch):
        self.allowed = batch.right.any(dim=1)  # (B, N, N)
        return super().losses(batch)

    def accuracy(self, batch):
        self.allowed = batch.right.any(dim=1)
        return super().accuracy(batch)


@claim(
    "08.near-and-far",
    cell="document-two-needed",
    says="One head can answer both, and training did not find how.",
    tried="A fresh seed with one head and with two; one head with four times the steps; one head with an MLP behind "
    "it; and one head whose weights are set by hand, half on the token before and half on the definition.",
    attacks=("seeds", "budget", "construction"),
    out="Near and far answers right: one head {one_near:.2f}, {one_far:.2f}; two heads {two_near:.2f}, "
    "{two_far:.2f}; one head after 1,600 steps {longer_near:.2f}, {longer_far:.2f}; one head and an MLP of 256 "
    "{mlp_near:.2f}, {mlp_far:.2f}; one head, half and half, 1,600 steps {even_near:.2f}, {even_far:.2f}.",
    minutes=2,
)
def near_and_far():
    task = tasks.document()
    test = task.draw(100, torch.Generator().manual_seed(77))

    def with_mlp():
        torch.manual_seed(FRESH)
        places = models.Sinusoidal(64)
        sizes = {"num_heads": 1, "positions": places, "mlp": 256}
        model = models.Encoder(task.vocabularies, task.answers, causal=True, **sizes)
        train.fit_whole(model, task.draw, steps=400, batch_size=16, lr=1e-2, seed=FRESH, progress=False)
        return model.eval()

    def even():
        torch.manual_seed(FRESH)
        places = models.Sinusoidal(64)
        model = EvenHead(task.vocabularies, task.answers, positions=places)
        train.fit_whole(model, task.draw, steps=1600, batch_size=16, lr=1e-2, seed=FRESH, progress=False)
        return model.eval()

    recipes = {
        "one": lambda: sweep_windows.trained(task, None, FRESH, num_heads=1),
        "two": lambda: sweep_windows.trained(task, None, FRESH),
        "longer": lambda: sweep_windows.trained(task, None, FRESH, num_heads=1, steps=1600),
        "mlp": with_mlp,
        "even": even,
    }
    rows = {
        name: kept(f"08.near-and-far {name}", lambda make=make: make().accuracy(test).tolist())
        for name, make in recipes.items()
    }
    assert max(min(rows[name]) for name in ("one", "longer", "mlp")) < 0.6, rows
    assert min(rows["two"]) > 0.95 and min(rows["even"]) > 0.95, rows
    return {f"{name}_{side}": row[i] for name, row in rows.items() for i, side in enumerate(("near", "far"))}


@claim(
    "08.one-head-rate",
    cell="document-two-needed",
    says="Which one it chooses is the recipe's doing: at a third of the learning rate, after 1,600 steps, two other "
    "seeds had near at {near:.2f} and far at {far:.2f} or less; at the usual rate one of them chose far.",
    tried="The lesson said that one head left to itself chooses far. Two fresh seeds at a learning rate of 3e-3 "
    "instead of 1e-2, which might also have found both; and one of them at 1e-2, so that nothing but the rate and the "
    "steps differs.",
    attacks=("seeds", "budget", "one thing"),
    out="Near {near:.2f} right or more, far {far:.2f} at most: the other choice, and again not both. The same seed at "
    "1e-2, 400 steps: near {usual_near:.2f}, far {usual_far:.2f}.",
    minutes=1,
)
def one_head_rate():
    task = tasks.document()

    def right(seed, lr, steps):
        torch.manual_seed(seed)
        places = models.Sinusoidal(64)
        model = models.Encoder(task.vocabularies, task.answers, num_heads=1, positions=places, causal=True)
        train.fit_whole(model, task.draw, steps=steps, batch_size=16, lr=lr, seed=seed, progress=False)
        return model.eval().accuracy(task.draw(100, torch.Generator().manual_seed(78))).tolist()

    cases = {"first": (21, 3e-3, 1600), "second": (22, 3e-3, 1600), "usual": (21, 1e-2, 400)}
    found = {name: kept(f"08.one-head-rate {name}", lambda case=case: right(*case)) for name, case in cases.items()}
    near, far = min(found["first"][0], found["second"][0]), max(found["first"][1], found["second"][1])
    usual_near, usual_far = found["usual"]
    assert near > 0.9 and far < 0.3 and usual_near < 0.5 and usual_far > 0.9, found
    return {"near": near, "far": far, "usual_near": usual_near, "usual_far": usual_far}


@claim(
    "08.window-32",
    cell="165",
    says="Four times the steps did not get a fourth seed started either.",
    tried="A fresh seed, trained with a window of 32 for 1,600 steps instead of 400.",
    attacks=("seeds", "budget"),
    out="Near {near:.2f} right, far {far:.2f}; what is in sight would allow {allowed:.2f}.",
    minutes=0.6,
)
def window_32():
    task = tasks.document()
    test = task.draw(100, torch.Generator().manual_seed(77))

    def right():
        return sweep_windows.trained(task, 32, FRESH, steps=1600).accuracy(test).tolist()

    near, far = kept("08.window-32", right)
    away = tasks.far_distance(test.right)
    seen = ((away > 0) & (away < 32)).sum() / (away > 0).sum()
    assert near > 0.95 and far < 0.15, (near, far)
    return {"near": near, "far": far, "allowed": (seen + (1 - seen) / 10).item()}


@claim(
    "08.any-length",
    cell="168",
    says="Thirty-two times as long, and it answers.",
    tried="A fresh seed, and documents of 8,192 tokens, twice the lesson's longest.",
    attacks=("seeds", "size"),
    out="Trained on 128 tokens: {short:.2f} right there, {long:.2f} at 8,192 tokens.",
    minutes=0.4,
)
def any_length():
    def right():
        facts = tasks.facts(128)
        torch.manual_seed(FRESH)
        model = models.Reader(len(facts.words), facts.answers, models.Features([10, 9], 64), num_heads=1)
        train.fit_whole(model, facts.draw, steps=200, batch_size=32, seed=FRESH, progress=False)
        batches = [tasks.facts(S).draw(10, torch.Generator().manual_seed(77)) for S in (128, 8192)]
        return [model.right(batch).float().mean().item() for batch in batches]

    short, long = kept("08.any-length", right)
    assert short > 0.9 and long > 0.9, (short, long)
    return {"short": short, "long": long}


@claim(
    "08.map-and-places",
    cell="136",
    says="A weight tells which token was read. It does not tell what that token had heard.",
    tried="The recorded liar on other images: exchange the digit that it looks at, and the digit that was asked for; "
    "the "
    "honest reader of seed 0 beside it.",
    attacks=("choice", "opponent"),
    out="The liar keeps {looked:.2f} of its answers when the digit it looks at is exchanged, {asked:.2f} when the "
    "asked "
    "one is; the honest reader keeps {honest:.2f} and {honest_asked:.2f}.",
    minutes=0.1,
)
def map_and_places():
    readers = tasks.recorded_digit_readers()
    batch = tasks.two_digits("test").draw(500, torch.Generator().manual_seed(78))
    another, own = batch.context.roll(1, dims=0), batch.right[:, 0]

    def still(model, places, allowed):
        mixture = torch.where(places[..., None], another, batch.context)
        return model.right(batch._replace(context=mixture, allowed=allowed))[:, 0].float().mean().item()

    def reader(name, mixing):
        model = models.digit_reader(mixing)
        model.load_state_dict(readers.weights[name])
        return model

    liar, honest = reader("forced", 1), reader("apart", 0)
    found = {
        "looked": still(liar, ~own, ~batch.right),
        "asked": still(liar, own, ~batch.right),
        "honest": still(honest, ~own, None),
        "honest_asked": still(honest, own, None),
    }
    assert found["looked"] > 0.85 and found["asked"] < 0.25 and found["honest"] > 0.9, found
    return found
