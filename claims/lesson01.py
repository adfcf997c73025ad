"""Lesson 01: what the scale does to random scores, to their gradients and to a training; what an average keeps."""

import torch
from torch import nn

import mha_lab
from claims import claim, kept
from mha_lab import attention, models, pretrained, tasks, train

SEEDS = range(100, 120)  # none of those that the lesson draws


def _random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


@claim(
    "01.variance",
    cell="variance-why",
    says="Where the features are independent, the variances of their products add up: d of them have variance d and a "
    "spread of √d.",
    tried="Features that are no normal numbers (±1, and exponential ones), d from 3 to 3,000, 20,000 pairs each; then "
    "features that are not independent: all of a key share a part.",
    attacks=("size", "one thing"),
    out="Variance / d lies between {least:.2f} and {most:.2f} for all three kinds. With a shared part it is "
    "{shared:.0f} times d at d = 3,000: the condition was added to the sentence.",
    minutes=0.2,
)
def variance():
    found = []
    for d in (3, 50, 3000):
        normal = _random(2, 20_000, d, seed=d)
        signs = normal.sign()
        skewed = -torch.special.ndtr(normal).clamp(1e-7, 1 - 1e-7).log() - 1  # exponential, mean 0 and variance 1
        for queries, keys in (normal, signs, skewed):
            found.append(((queries * keys).sum(-1).var() / d).item())
    queries, keys = (normal + _random(2, 20_000, 1, seed=1)) / 2**0.5  # variance 1 still
    shared = ((queries * keys).sum(-1).var() / d).item()
    assert 0.9 < min(found) and max(found) < 1.1  # the variance of 20,000 products is known to a few percent
    assert shared > 10
    return {"least": min(found), "most": max(found), "shared": shared}


@claim(
    "01.takes-sides",
    cell="saturation",
    says="Without the scale, softmax takes sides before it has learned anything",
    tried="4, 16 and 64 keys instead of eight, d = 64 and 1,024, 2,000 queries of a new seed each.",
    attacks=("size", "seeds"),
    out="Mean largest weight without the scale: {least_64:.2f} or more at d = 64, {least_1024:.2f} or more at 1,024; "
    "with it at most {most_scaled:.2f}, and the same at both widths to within {apart:.2f}.",
    minutes=0.2,
)
def takes_sides():
    largest = {}
    for keys in (4, 16, 64):
        for d in (64, 1024):
            query, key = _random(2000, 1 + keys, d, seed=keys).split([1, keys], dim=1)
            for scale in (1, d**-0.5):
                largest[keys, d, scale] = (query @ key.mT * scale).softmax(-1).amax(-1).mean().item()
    raw = {d: min(largest[keys, d, 1] for keys in (4, 16, 64)) for d in (64, 1024)}
    scaled = {d: [largest[keys, d, d**-0.5] for keys in (4, 16, 64)] for d in (64, 1024)}
    apart = max(abs(a - b) for a, b in zip(*scaled.values()))
    assert raw[64] > 0.7 and raw[1024] > 0.9 and max(max(row) for row in scaled.values()) < 0.65 and apart < 0.05
    most = max(max(row) for row in scaled.values())
    return {"least_64": raw[64], "least_1024": raw[1024], "most_scaled": most, "apart": apart}


def _gradients(d, scale, seed, keys, loss):
    """Sizes of the gradient at the scores and at the query, for each of 1,000 queries."""
    queries = _random(1000, 1, d, seed=seed).requires_grad_()
    scores = queries @ _random(1000, keys, d, seed=seed + 1000).mT * scale
    scores.retain_grad()
    weights = scores.softmax(dim=-1)
    if loss == "linear":  # a random number for each weight
        (weights * _random(*weights.shape, seed=seed + 2000)).sum().backward()
    elif loss == "squares":  # the output should be a random vector
        values = _random(1000, keys, 8, seed=seed + 2000)
        (weights @ values - _random(1000, 1, 8, seed=seed + 3000)).square().sum().backward()
    elif loss == "answer":  # one of 16 answers, read from what is brought
        readout = _random(1000, keys, 16, seed=seed + 2000)
        answers = torch.arange(1000) % 16
        nn.functional.cross_entropy((weights @ readout)[:, 0], answers, reduction="sum").backward()
    else:  # the weight should lie on key 0
        (-scores.log_softmax(dim=-1)[..., 0]).sum().backward()
    return [tensor.grad.norm(dim=-1).flatten() for tensor in (scores, queries)]


def _times_less(d, seeds=SEEDS, keys=16, loss="linear"):
    """(seeds, 4): with the scale / without; median and mean at the scores, median and mean at the query."""
    rows = []
    for seed in seeds:
        pairs = zip(_gradients(d, d**-0.5, seed, keys, loss), _gradients(d, 1, seed, keys, loss))
        rows.append([(typical(a) / typical(b)).item() for a, b in pairs for typical in (torch.median, torch.mean)])
    return torch.tensor(rows)


@claim(
    "01.gradient-typical",
    cell="gradient-end",
    says="At the scores the typical (median) query gets {median_64:.0f} times less without the scale at d = 64, and "
    "thousands of times less at d = 1,024.",
    tried="Twenty other seeds (the first edition said 22,000 times, which was one seed's); 8 and 64 keys; another "
    "loss.",
    attacks=("seeds", "size", "one thing"),
    out="Twenty seeds: {least_64:.1f} to {most_64:.1f} times at d = 64, {least_1024:,.0f} to {most_1024:,.0f} at "
    "1,024. At 1,024 with 8 keys {few:,.0f} times, with 64 keys {many:,.0f}, with squares as the loss {squares:,.0f}.",
    minutes=0.3,
)
def gradient_typical():
    at_64, at_1024 = _times_less(64)[:, 0], _times_less(1024)[:, 0]
    few, many = (_times_less(1024, range(100, 103), keys=keys)[:, 0].min().item() for keys in (8, 64))
    squares = _times_less(1024, range(100, 103), loss="squares")[:, 0].min().item()
    assert 3.5 < at_64.min() and at_64.max() < 6 and min(at_1024.min(), few) > 5000  # seeds differ by a factor of 9
    assert min(many, squares) > 500  # among 64 keys the best two are nearer to each other
    numbers = {"few": few, "many": many, "squares": squares, "median_64": at_64.median().item()}
    least, most = (at_64.min().item(), at_1024.min().item()), (at_64.max().item(), at_1024.max().item())
    return numbers | {"least_64": least[0], "least_1024": least[1], "most_64": most[0], "most_1024": most[1]}


@claim(
    "01.gradient-mean",
    cell="gradient-end",
    says="The mean falls only {mean_64:.0f}-fold at d = 64 and {mean_1024:.0f}-fold at d = 1,024",
    tried="Twenty other seeds; 8 and 64 keys; another loss; and cross-entropy on the weight of one key.",
    attacks=("seeds", "size", "one thing"),
    out="Twenty seeds: {least_64:.1f} to {most_64:.1f} and {least_1024:.1f} to {most_1024:.1f}. At d = 1,024 with 8 "
    "keys {few:.1f}, with 64 {many:.1f}, with squares {squares:.1f}. Where the loss is −log of a key's weight, the "
    "gradient at the scores does not fall at all ({log:.2f}): a wrong look is then told at full strength. The tenth "
    "with the largest gradient has best two keys that are {level:.1f} points apart (median), the others {apart:.0f}.",
    minutes=0.3,
)
def gradient_mean():
    at_64, at_1024 = _times_less(64)[:, 1], _times_less(1024)[:, 1]
    few, many = (_times_less(1024, range(100, 103), keys=keys)[:, 1].mean().item() for keys in (8, 64))
    squares, log = (_times_less(1024, range(100, 103), loss=loss)[:, 1].mean().item() for loss in ("squares", "log"))
    assert 1.7 < at_64.min() and at_64.max() < 2.4 and 5 < at_1024.min() and at_1024.max() < 10
    assert 2 < min(few, many, squares) and max(few, many, squares) < 20 and log < 1.2
    numbers = {"few": few, "many": many, "squares": squares, "log": log}
    scores = _random(1000, 1, 1024, seed=100) @ _random(1000, 16, 1024, seed=1100).mT  # those of _gradients
    best, second = scores.flatten(1).topk(2).values.unbind(dim=1)
    order = _gradients(1024, 1, 100, 16, "linear")[0].argsort(descending=True)
    numbers["level"], numbers["apart"] = ((best - second)[part].median().item() for part in (order[:100], order[100:]))
    assert numbers["level"] < numbers["apart"] / 4
    numbers |= {"mean_64": at_64.mean().item(), "mean_1024": at_1024.mean().item()}
    least, most = (at_64.min().item(), at_1024.min().item()), (at_64.max().item(), at_1024.max().item())
    return numbers | {"least_64": least[0], "least_1024": least[1], "most_64": most[0], "most_1024": most[1]}


@claim(
    "01.gradient-loss",
    cell="gradient-end",
    says="Where a loss asks for one weight itself, by its −log, few starve: at d = 1,024, {served:.0%} of the "
    "queries keep half of their gradient or more.",
    tried="The lesson said that any loss will do. Four losses at d = 1,024 without the scale: the lesson's, squares of "
    "what is brought, cross-entropy of an answer that is read from it, and −log of one weight.",
    attacks=("one thing", "seeds"),
    out="Shares of the queries with half of the usual gradient or more: {linear:.0%}, {squares:.0%}, {answer:.0%} and "
    "{served:.0%}; with less than a tenth: {starved_linear:.0%}, {starved_squares:.0%}, {starved_answer:.0%} and "
    "{starved:.0%}. The sentence is about losses of what the look brings.",
    minutes=0.2,
)
def gradient_loss():
    found = {}
    for loss in ("linear", "squares", "answer", "log"):
        parts = []
        for seed in (200, 201, 202):
            usual = _gradients(1024, 1024**-0.5, seed, 16, loss)[0].median()
            part = _gradients(1024, 1, seed, 16, loss)[0] / usual
            parts.append([(part > 0.5).float().mean().item(), (part < 0.1).float().mean().item()])
        found[loss], found[f"starved_{loss}"] = torch.tensor(parts).mean(dim=0).tolist()
    assert all(found[f"starved_{loss}"] > 0.6 for loss in ("linear", "squares", "answer")) and found["log"] > 0.9
    return found | {"served": found.pop("log"), "starved": found.pop("starved_log")}


@claim(
    "01.gradient-at-the-query",
    cell="gradient-end",
    says="without one, the mean that reaches the query is 3 to 5 times larger, at each of these widths.",
    tried="Five other seeds at d = 16, 64, 128 and 1,024; 8 and 64 keys.",
    attacks=("seeds", "size"),
    out="{least:.1f} to {most:.1f} times larger, and {few:.1f} with 8 keys, {many:.1f} with 64.",
    minutes=0.2,
)
def gradient_at_the_query():
    larger = torch.stack([1 / _times_less(d, range(100, 105))[:, 3] for d in (16, 64, 128, 1024)])
    few, many = (1 / _times_less(128, range(100, 103), keys=keys)[:, 3].mean().item() for keys in (8, 64))
    assert 2.7 < larger.min() and larger.max() < 5.8 and min(few, many) > 1.5
    return {"least": larger.min().item(), "most": larger.max().item(), "few": few, "many": many}


def _trained(task, times, seed, steps, *, num_heads=1, d_model=64, usual=False, lr=3e-3):
    """Losses of a training with scores `times` as far apart as the scale would have them, and the accuracy after it."""
    torch.manual_seed(seed)
    model = models.Encoder(task.vocabularies, task.answers, d_model=d_model, num_heads=num_heads)
    layer = model.blocks[0].attention
    if not usual:  # queries and keys begin with variance 1
        for projection in (layer.q_proj, layer.k_proj):
            nn.init.normal_(projection.weight, std=d_model**-0.5)
    layer.q_proj.register_forward_hook(lambda _, inputs, query: query * times)
    losses = train.fit_whole(model, task.draw, steps=steps, seed=seed, lr=lr, progress=False).loss
    tests = task.draw(500, torch.Generator().manual_seed(10_000))
    return {"losses": losses, "accuracy": model.accuracy(tests).mean().item()}


def _start(task, times, seed, d_head=64):
    """A head whose queries and keys begin with variance 1, and scores `times` as far apart as the scale has them."""
    torch.manual_seed(seed)
    model = models.Encoder(task.vocabularies, task.answers, d_model=64, num_heads=1)
    layer = model.blocks[0].attention = mha_lab.MultiHeadAttention(64, 1, d_head=d_head, bias=False)
    for projection in (layer.q_proj, layer.k_proj):
        nn.init.normal_(projection.weight, std=64**-0.5)
    layer.q_proj.register_forward_hook(lambda _, inputs, query: query * times)
    return model


@claim(
    "01.scale-training",
    cell="scale-trained-end",
    says="It learns later, and it learns.",
    tried="Five other seeds for the lesson's training and twice its steps; 16 words instead of eight, four times the "
    "steps; a head of 128; a third of the learning rate with twice the steps, and three times the rate. The same seed "
    "on both sides.",
    attacks=("seeds", "budget", "size"),
    out="Without the scale the loss between step 33 and 64 was higher at {later} of 5 seeds, by {more:.2f} nats on "
    "average ({least:.2f} to {most:.2f}); after 256 steps {accuracy:.3f} of the answers or more were right. With 16 "
    "words and 512 steps: {words:.3f} or more; with a head of 128: {wide:.3f} or more. At the other rates it was "
    "later at {rates} of 6 seeds, and ended at {end:.2f} nats or less (guessing: 2.77).",
    minutes=0.6,
)
def scale_training():
    task = tasks.lookup(num_pointers=1)

    def delay(seed, **recipe):
        """How much higher the loss is without the scale in steps 33 to 64, and its last loss, as a mean of 16."""
        with_it, without = (_trained(task, times, seed, **recipe)["losses"] for times in (1, 8))
        return sum(b - a for a, b in zip(with_it[32:64], without[32:64])) / 32, sum(without[-16:]) / 16

    more, right = [], []
    for seed in range(100, 105):
        more.append(delay(seed, steps=128)[0])
        right.append(_trained(task, 8, seed, 256)["accuracy"])
    words = [_trained(tasks.lookup(num_tokens=16, num_pointers=1), 8, seed, 512)["accuracy"] for seed in (100, 101)]
    wide = [_trained(task, 128**0.5, seed, 128, d_model=128)["accuracy"] for seed in (100, 101)]
    other = [delay(seed, steps=256, lr=1e-3) for seed in (100, 101, 102)]
    other += [delay(seed, steps=128, lr=1e-2) for seed in (100, 101, 102)]
    assert min(more) > 0 and all(later > 0 and end < 0.5 for later, end in other)
    assert min(right) > 0.98 and min(words) > 0.95 and min(wide) > 0.95
    numbers = {"later": sum(each > 0 for each in more), "more": sum(more) / 5, "least": min(more), "most": max(more)}
    numbers |= {"rates": sum(later > 0 for later, _ in other), "end": max(end for _, end in other)}
    return numbers | {"accuracy": min(right), "words": min(words), "wide": min(wide)}


@claim(
    "01.scale-optimiser",
    cell="scale-more",
    says="With plain gradient steps the head was earlier without the scale, at {earlier} of 3 seeds, for more "
    "gradient reaches its queries; with steps three times as large it forgot what it had learned, and with the scale "
    "it did not.",
    tried="The lesson's training by gradient descent with momentum in place of Adam, at rates of 0.03 (192 steps) and "
    "0.1 (384 steps), the same seeds on both sides.",
    attacks=("one thing", "seeds"),
    out="Rate 0.03, loss of steps 97 to 128: {with_it:.2f} nats with the scale, {without:.2f} without. Rate 0.1, last "
    "32 steps: at most {arrived:.2f} with it; without, at least {forgot:.2f}, after {best:.2f} or less on the way. The "
    "lesson had said that it starts later, without naming the optimiser.",
    minutes=0.5,
)
def scale_optimiser():
    task = tasks.lookup(num_pointers=1)

    def both(rate, steps):
        seeds = (100, 101, 102)
        return (torch.stack([_descent(task, times, seed, rate, steps) for seed in seeds]) for times in (1, 8))

    scaled, raw = (losses[:, 3] for losses in both(0.03, 192))
    scaled_fast, raw_fast = both(0.1, 384)
    assert raw.mean() < scaled.mean() - 0.2 and scaled_fast[:, -1].max() < 0.1 < 1 < raw_fast[:, -1].min()
    numbers = {"earlier": (raw < scaled).sum().item(), "with_it": scaled.mean().item(), "without": raw.mean().item()}
    numbers |= {"arrived": scaled_fast[:, -1].max().item(), "forgot": raw_fast[:, -1].min().item()}
    return numbers | {"best": raw_fast.min(dim=1).values.max().item()}


def _descent(task, times, seed, rate, steps, momentum=0.9, gradient=1):
    """The loss of a training by SGD, as means of 32 steps; queries and keys get `gradient` times their gradient."""
    model, generator = _start(task, times, seed), torch.Generator().manual_seed(seed)
    layer = model.blocks[0].attention
    for projection in (layer.q_proj, layer.k_proj):  # same numbers forwards
        projection.register_forward_hook(lambda _, inputs, x: gradient * x + ((1 - gradient) * x).detach())
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    losses = []
    for _ in range(steps):
        loss = model.losses(task.draw(64, generator)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return torch.tensor(losses).view(-1, 32).mean(dim=1)


@claim(
    "01.scale-cause",
    cell="scale-more",
    says="for more gradient reaches its queries",
    tried="Only the gradient changed, and not one score: without the scale an eighth of it is handed on to queries "
    "and keys, with the scale eight times as much. And descent without momentum, at ten times the rate. Three new "
    "seeds, 128 steps.",
    attacks=("one thing", "seeds"),
    out="Loss of steps 97 to 128: {raw:.2f} nats without the scale and {scaled:.2f} with it; without it and with an "
    "eighth of the gradient {raw_less:.2f}, with it and eight times the gradient {scaled_more:.2f}. Without momentum "
    "{plain_raw:.2f} and {plain_scaled:.2f}. The order turned at {turned} of 3 seeds.",
    minutes=0.5,
)
def scale_cause():
    task, last = tasks.lookup(num_pointers=1), {}
    for name, times, recipe in (
        ("raw", 8, {}),
        ("scaled", 1, {}),
        ("raw_less", 8, {"gradient": 1 / 8}),
        ("scaled_more", 1, {"gradient": 8}),
        ("plain_raw", 8, {"rate": 0.3, "momentum": 0}),
        ("plain_scaled", 1, {"rate": 0.3, "momentum": 0}),
    ):
        recipe = {"rate": 0.03, "steps": 128} | recipe
        last[name] = torch.stack([_descent(task, times, seed, **recipe)[3] for seed in (200, 201, 202)])
    turned = ((last["raw"] < last["scaled"]) & (last["scaled_more"] < last["raw_less"])).sum().item()
    assert (
        turned == 3 and (last["raw_less"] > last["scaled"]).all() and (last["plain_raw"] < last["plain_scaled"]).all()
    )
    return {name: losses.mean().item() for name, losses in last.items()} | {"turned": turned}


@claim(
    "01.scale-width",
    cell="scale-trained-end",
    says="Real heads of 16, 64, 256 and 1,024 features learned later as well, in {later} of 12 pairs, though not later "
    "the wider they were.",
    tried="The lesson spreads the scores of one width as far as wider heads would. Here the heads are that wide, with "
    "the scale and without; three seeds each, the same on both sides.",
    attacks=("size", "one thing"),
    out="In steps 33 to 64 the loss is higher without the scale by {of_16:.2f}, {of_64:.2f}, {of_256:.2f} and "
    "{of_1024:.2f} nats on average. The lesson's interview answer had said: the wider, the later.",
    minutes=0.5,
)
def scale_width():
    task, found, later = tasks.lookup(num_pointers=1), {}, 0
    for width in (16, 64, 256, 1024):
        more = []
        for seed in (100, 101, 102):
            models_ = [_start(task, times, seed, d_head=width) for times in (1, width**0.5)]
            losses = [train.fit_whole(model, task.draw, steps=128, seed=seed, progress=False).loss for model in models_]
            more.append(sum(losses[1][32:64]) / 32 - sum(losses[0][32:64]) / 32)
            assert sum(losses[1][-16:]) / 16 < 1  # guessing: 2.77
        later += sum(each > 0 for each in more)
        found[f"of_{width}"] = sum(more) / 3
    assert later >= 11 and found["of_256"] < found["of_64"]
    return found | {"later": later}


@claim(
    "01.scale-usual-start",
    cell="scale-more",
    says="four heads of 16 on four pointers were ahead without the scale in {ahead} of 5 seeds after 400 steps (after "
    "1,600, both were there).",
    tried="Five seeds, the same for both sides, PyTorch's usual first weights; for two of them four times the steps.",
    attacks=("seeds", "budget"),
    out="Right answers after 400 steps, without and with the scale: {without:.2f} and {with_it:.2f} on average; the "
    "difference per seed {least:.2f} to {most:.2f}. After 1,600 steps both had {long:.3f} or more.",
    minutes=1.3,
)
def scale_usual_start():
    task = tasks.lookup()

    def accuracy(times, seed, steps):
        name = f"01.scale-usual-start {times} seed {seed} {steps}"
        return kept(name, lambda: _trained(task, times, seed, steps, num_heads=4, usual=True)["accuracy"])

    pairs = [(accuracy(4, seed, 400), accuracy(1, seed, 400)) for seed in range(100, 105)]
    ahead = [a - b for a, b in pairs]
    long = min(accuracy(times, seed, 1600) for times in (1, 4) for seed in (100, 101))
    assert sum(ahead) > 0 and long > 0.95
    without, with_it = (sum(side) / 5 for side in zip(*pairs))
    numbers = {"ahead": sum(each > 0 for each in ahead), "least": min(ahead), "most": max(ahead), "long": long}
    return numbers | {"without": without, "with_it": with_it}


@claim(
    "01.order",
    cell="order-shuffle",
    says="where nothing is hidden, shuffle the sentence in any way, and the outputs are shuffled the same way, nothing "
    "else.",
    tried="300 shuffles of 3 to 40 random words, in float64; then the same under a causal mask.",
    attacks=("size", "one thing"),
    out="The largest difference was {open:.0e}. Under a causal mask it was {causal:.1f}: the condition was added, and "
    "the lesson shows both.",
    minutes=0.1,
)
def order():
    changes = {"open": 0.0, "causal": 0.0}
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed)
        length = 3 + seed % 38
        q, k, v = torch.randn(3, length, 8, generator=generator, dtype=torch.float64)
        shuffle = torch.randperm(length, generator=generator)
        for name, mask in ("open", None), ("causal", mha_lab.causal_mask(length)):
            plain = attention(q, k, v, mask=mask)[0][shuffle]
            changed = attention(q[shuffle], k[shuffle], v[shuffle], mask=mask)[0]
            changes[name] = max(changes[name], (plain - changed).abs().max().item())
    assert changes["open"] < 1e-12 and changes["causal"] > 0.5
    return changes


@claim(
    "01.causal-order",
    cell="order-position",
    says="In one layer, a causal mask tells a word which words came before it, and not in which order",
    tried="300 random sentences of 4 to 20 words, two of the earlier ones exchanged: does the last word hear it in one "
    "causal layer, in two, and in two without a mask?",
    attacks=("size", "one thing"),
    out="The last word's output changes by at most {one:.0e} in one layer, by {two:.2f} on average in two, and by at "
    "most {open:.0e} in two without a mask: the sentence was narrowed to one layer.",
    minutes=0.1,
)
def causal_order():
    changes = {"one": [], "two": [], "open": []}
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed)
        length = 4 + seed % 17
        x = torch.randn(length, 8, generator=generator, dtype=torch.float64)
        swap = torch.arange(length)
        swap[[0, 2]] = swap[[2, 0]]
        mask = mha_lab.causal_mask(length)
        for name, depth, seen in ("one", 1, mask), ("two", 2, mask), ("open", 2, None):
            either = [x, x[swap]]
            for _ in range(depth):
                either = [each + attention(each, each, each, mask=seen)[0] for each in either]
            changes[name].append((either[0] - either[1])[-1].abs().max().item())
    two = sum(changes["two"]) / 300
    assert max(changes["one"]) < 1e-12 and max(changes["open"]) < 1e-12 and two > 0.01
    return {"one": max(changes["one"]), "two": two, "open": max(changes["open"])}


@claim(
    "01.order-by-scores",
    cell="order-position",
    says="If order is to matter there, it must be added, to the words or to their scores.",
    tried="The lesson had said that it must be put into the words. By hand: the words stay as they are, and each score "
    "loses half a point for each place between the two words; 300 random sentences, two earlier words exchanged.",
    attacks=("construction", "size"),
    out="Without it the last word's output changes by at most {without:.0e}, with it by {with_it:.2f} on average, in "
    "{heard} of 300 sentences.",
    minutes=0.1,
)
def order_by_scores():
    changes = {"without": [], "with": []}
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed + 500)
        length = 4 + seed % 17
        q, k, v = torch.randn(3, length, 8, generator=generator, dtype=torch.float64)
        swap = torch.arange(length)
        swap[[0, 2]] = swap[[2, 0]]
        place = torch.arange(length, dtype=torch.float64)
        for name, slope in ("without", 0.0), ("with", 0.5):
            bias = -slope * (place[:, None] - place).abs()
            either = [attention(q[o], k[o], v[o], score_bias=bias)[0][-1] for o in (torch.arange(length), swap)]
            changes[name].append((either[0] - either[1]).abs().max().item())
    heard = sum(change > 1e-9 for change in changes["with"])
    assert max(changes["without"]) < 1e-12 and heard == 300
    return {"without": max(changes["without"]), "with_it": sum(changes["with"]) / 300, "heard": heard}


def _read_back(average, codes):
    """The two words of which each average (pairs, d) was made, the one with the larger share first."""
    directions = codes / codes.norm(dim=1, keepdim=True)
    first = (average @ directions.T).argmax(dim=1)
    share = (average * directions[first]).sum(dim=1, keepdim=True)
    second = ((average - share * directions[first]) @ directions.T).argmax(dim=1)
    found = torch.stack([first, second], dim=1)
    shares = torch.linalg.lstsq(codes[found].mT, average[..., None]).solution[..., 0]
    return found.gather(1, shares.argsort(dim=1, descending=True))


def _found_again(codes, w, pairs=500, seed=100, noise=0.0):
    """The share of pairs whose two words are found, and found in the right order."""
    chosen = torch.rand(pairs, len(codes), generator=torch.Generator().manual_seed(seed)).topk(2).indices
    average = w * codes[chosen[:, 0]] + (1 - w) * codes[chosen[:, 1]]
    found = _read_back(average + noise * _random(*average.shape, seed=seed), codes)
    both = (found.sort(dim=1).values == chosen.sort(dim=1).values).all(dim=1)
    return both.float().mean().item(), (found == chosen).all(dim=1).float().mean().item()


@claim(
    "01.one-number",
    cell="twins-why",
    says="Whole numbers below 10 can be: with weights of 10/11 and 1/11 they are the two digits of 11 times the "
    "average.",
    tried="By hand: scores of log 10 and 0 for two values that are whole numbers, all 100 pairs, read back by a "
    "division. And for 1,000 random softmaxes a second pair of any two numbers with the same average.",
    attacks=("construction",),
    out="{back} of 100 pairs are read back, so that the sentence, which had no condition, fell. The second pair exists "
    "for {twins} of 1,000: where sizes may be any numbers, no weights help.",
    minutes=0.1,
)
def one_number():
    weights = torch.tensor([10.0, 1.0]).log().softmax(dim=0)
    pairs = torch.cartesian_prod(torch.arange(10), torch.arange(10))
    number = (11 * (pairs.float() @ weights)).round().long()
    back = (torch.stack([number // 10, number % 10], dim=1) == pairs).all(dim=1).sum().item()
    w = _random(1000, 2, seed=5).double().softmax(dim=1)
    worlds = _random(1000, 2, seed=6).double()
    others = worlds + torch.stack([w[:, 1], -w[:, 0]], dim=1)
    same = ((w * worlds).sum(dim=1) - (w * others).sum(dim=1)).abs() < 1e-12
    twins = (same & ((worlds - others).abs().amax(dim=1) > 0.4)).sum().item()
    assert back == 100 and twins == 1000
    return {"back": back, "twins": twins}


@claim(
    "01.average-keeps",
    cell="trade-end",
    says="In 64 numbers the set of the two words survives the average, and with unequal weights so does who was "
    "looked at more.",
    tried="30,000 words instead of 1,000; weights of .95 and .55; noise of a tenth of a code; the 10,000 most frequent "
    "words' embeddings of MiniLM (384 numbers) and their values in two of its heads (32 numbers) in place of random "
    "codes.",
    attacks=("size", "opponent"),
    out="30,000 words: both found {many:.3f}, in order {many_order:.3f}. At .95 {steep:.3f}, at .55 {close:.3f} in "
    "order, with noise {noisy:.3f}. Embeddings of real words: {real:.3f} in order. In 32 numbers: {random:.3f} for "
    "random codes, but {head_3:.2f} and {head_2:.2f} for real values of heads 1.3 and 0.2: the lesson says that "
    "random codes are the easy case.",
    minutes=0.2,
)
def average_keeps():
    codes = _random(30_000, 64, seed=100)
    few = codes[:1000]
    many, many_order = _found_again(codes, 0.6, pairs=200)
    found = {"many": many, "many_order": many_order}
    found |= {"steep": _found_again(few, 0.95)[1], "close": _found_again(few, 0.55)[1]}
    found |= {"noisy": _found_again(few, 0.6, noise=0.1)[1], "random": _found_again(few[:, :32], 0.6)[1]}
    model = pretrained.MiniLM.load()
    with torch.no_grad():
        table = model.words.weight[1000:11_000]
        x = model.norm(table + model.segments.weight[0] + model.positions.weight[5])
        values = [model.blocks[i].attention.v_proj(x).split(32, dim=1) for i in (0, 1)]
    found["real"] = _found_again(table.detach(), 0.6, pairs=200)[1]
    found["head_2"], found["head_3"] = (_found_again(v, 0.6, pairs=200)[1] for v in (values[0][2], values[1][3]))
    assert all(found[name] > 0.98 for name in ("many", "many_order", "steep", "close", "noisy", "real"))
    return found


@claim(
    "01.average-loses-order",
    cell="trade-end",
    says="the right order is found for half of the pairs, as by a coin",
    tried="Widths of 32, 256 and 1,024, real words' embeddings (384), and a reader that is trained on 20,000 averages "
    "(least squares on the average and its square) to say which of two words came first.",
    attacks=("size", "opponent"),
    out="The order is right for {least:.0%} to {most:.0%} of 2,000 pairs; the trained reader is right for "
    "{reader:.0%}.",
    minutes=0.2,
)
def average_loses_order():
    table = pretrained.MiniLM.load().words.weight[1000:2000].detach()
    kinds = [_random(1000, d, seed=d) for d in (32, 256, 1024)] + [table]
    right = [_found_again(codes, 0.5, pairs=2000)[1] for codes in kinds]
    codes = _random(50, 64, seed=7)
    one, other = torch.randint(50, (2, 21_000), generator=torch.Generator().manual_seed(8))
    average = (codes[one] + codes[other]) / 2
    features = torch.cat([average, average.square(), torch.ones(21_000, 1)], dim=1)
    weights = torch.linalg.lstsq(features[:20_000], codes[one[:20_000]]).solution  # guess the first word's code
    guess = features[20_000:] @ weights
    distance = [(guess - codes[side[20_000:]]).square().sum(dim=1) for side in (one, other)]
    reader = (distance[0] < distance[1]).float()[one[20_000:] != other[20_000:]].mean().item()
    assert 0.44 < min(right) and max(right) < 0.56 and 0.44 < reader < 0.56  # four standard errors of 1,000
    return {"least": min(right), "most": max(right), "reader": reader}


@claim(
    "01.average-loses-numbers",
    cell="trade-end",
    says="the numbers themselves, where values fill their width, as the sizes did: d numbers cannot hold 2·d.",
    tried="Values of 1, 8 and 64 independent numbers; w = .5, .7 and .9; the best reader there is for normal numbers "
    "(least squares), on 20,000 averages.",
    attacks=("size", "opponent"),
    out="Of the two words' numbers together, {least:.2f} to {most:.2f} of 2 parts of variance stay unknown, at every "
    "width and every w: the weight only says whose.",
    minutes=0.1,
)
def average_loses_numbers():
    unknown = []
    for d in (1, 8, 64):
        one, other = _random(2, 20_000, d, seed=d)
        for w in (0.5, 0.7, 0.9):
            average = w * one + (1 - w) * other
            read = [average @ torch.linalg.lstsq(average, values).solution for values in (one, other)]
            lost = [((values - each).var() / values.var()).item() for values, each in zip((one, other), read)]
            unknown.append(sum(lost))
    assert 0.95 < min(unknown) and max(unknown) < 1.05
    return {"least": min(unknown), "most": max(unknown)}


@claim(
    "01.word-moves",
    cell="word-moves-end",
    says="after the head, the four nearest words are the other words of the sentence's topic",
    tried="Ten other seeds, and for each all 160 sentences of a word with a topic, two small words and bank; heads of "
    "4 and 16 features on 8 and 32 numbers a word; four times the steps; and a plain average of the four words in the "
    "place of the look.",
    attacks=("seeds", "size", "budget", "opponent"),
    out="All four are right in {least:.0%} of each seed's sentences, or more; on 32 numbers a word in {wide:.0%}, "
    "after four times the steps in {long:.0%}; on 8 numbers a word, too few for 15 words, in {narrow:.0%} or more. "
    "With a plain average in {average:.0%} to {averages:.0%}, its loss higher at {worse} of 5 seeds, by {by:.2f} "
    "nats on average, for the small words come along: the head lays {look:.0%} of bank's weight on the topic's word.",
    minutes=0.8,
)
def word_moves():
    seeds = range(100, 110)
    found = [_moved(seed) for seed in seeds]
    even = [_moved(seed, even=True) for seed in seeds[:5]]
    wide, narrow = ([_moved(seed, D=D, K=D // 2)[0] for seed in seeds[:5]] for D in (32, 8))
    long = [_moved(seed, steps=2400)[0] for seed in seeds[:2]]
    right, losses, looks = zip(*found)
    more = [average[1] - loss for average, loss in zip(even, losses)]
    assert min(right) > 0.95 and min(wide) > 0.95 and min(long) > 0.95 and min(narrow) > 0.3 and sum(looks) / 10 > 0.5
    numbers = {"least": min(right), "wide": min(wide), "narrow": min(narrow), "long": min(long)}
    numbers |= {"average": min(each[0] for each in even), "averages": max(each[0] for each in even)}
    numbers |= {"worse": sum(each > 0 for each in more), "by": sum(more) / 5}
    return numbers | {"look": sum(looks) / 10}


class _OneHead(nn.Module):
    """The lesson's model: an embedding of 15 words and one head; even: every word gets the same weight."""

    def __init__(self, D, K, even):
        super().__init__()
        self.embedding = nn.Embedding(15, D)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.W_q, self.W_k = nn.Linear(D, K, bias=False), nn.Linear(D, K, bias=False)
        self.W_v = nn.Linear(D, D, bias=False)
        self.even = even

    def forward(self, sentences):
        x = self.embedding(sentences)
        brought, weights = attention(self.W_q(x) * (not self.even), self.W_k(x), self.W_v(x))
        return x + brought, weights

    def losses(self, batch):
        sentences, left_out = batch
        scores = self(sentences)[0] @ self.embedding.weight.T
        return nn.functional.cross_entropy(scores.mT, left_out[:, None].expand(-1, 4), reduction="none")


def _draw_sentences(B, generator):
    topic = 5 * torch.randint(2, (B, 1), generator=generator)
    chosen = topic + torch.rand(B, 5, generator=generator).argsort(dim=1)[:, :3]
    small = torch.randint(10, 14, (B, 2), generator=generator)
    last = torch.where(torch.rand(B, 1, generator=generator) < 0.5, 14, chosen[:, 1:2])
    return torch.cat([chosen[:, :1], small, last], dim=1), chosen[:, 2]


def _moved(seed, *, D=16, K=8, steps=600, even=False):
    """Share of the sentences whose four nearest words are right, the last loss, and the weight on the topic's word."""
    torch.manual_seed(seed)
    model = _OneHead(D, K, even)
    losses = train.fit_whole(model, _draw_sentences, steps=steps, lr=0.02, seed=seed, progress=False).loss
    small = torch.arange(10, 14)
    sentences = torch.cartesian_prod(torch.arange(10), small, small, torch.tensor([14]))
    with torch.no_grad():
        after, weights = model(sentences)
        near = (
            nn.functional.cosine_similarity(after[:, 3, None], model.embedding.weight[None, :10], dim=-1)
            .topk(4)
            .indices
        )
    said = sentences[:, :1]
    right = ((near // 5 == said // 5) & (near != said)).all(dim=1).float().mean().item()
    return right, sum(losses[-50:]) / 50, weights[:, 3, 0].mean().item()
