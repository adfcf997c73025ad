"""Lesson 03: what W^O does and what a model does without it, a head as two matrices, PyTorch's layer, masks, gates."""

from functools import partial

import sweep_head_counts
import torch
from torch import nn
from torch.nn import functional as F

import mha_lab
from claims import claim, kept
from mha_lab import MultiHeadAttention, attention, models, pretrained, rotary, tasks, train
from mha_lab.variants import GatedAttention, HeadGatedAttention

SEEDS = range(20, 25)  # none of those that lesson 06 trained with


class Fixed(nn.Module):
    """In W^O's place a random rotation that is never trained: it mixes all heads, and nobody chose how."""

    def __init__(self, d_model):
        super().__init__()
        self.register_buffer("turn", nn.init.orthogonal_(torch.empty(d_model, d_model)))

    def forward(self, concat):
        return concat @ self.turn


FUSIONS = {"W^O": None, "none": lambda d_model: nn.Identity(), "fixed": Fixed}
WAYS = {"with_w_o": "W^O", "without": "none", "fixed": "fixed"}


def _trained(task, fusion, seed, steps, num_heads=4, d_model=64, mlp=0, **recipe):
    torch.manual_seed(seed)
    places = models.Learned(task.num_tokens, d_model) if task.causal else None
    sizes = {"d_model": d_model, "num_heads": num_heads, "positions": places, "causal": task.causal, "mlp": mlp}
    model = models.Encoder(task.vocabularies, task.answers, fusion=FUSIONS[fusion], **sizes)
    train.fit_whole(model, task.draw, steps=steps, seed=seed, progress=False, **recipe)
    return model.eval()


def _lookup(fusion, seed, steps, num_heads=4):
    """The share of right answers on 1,000 examples that were held back."""
    task = tasks.lookup()
    tests = task.draw(sweep_head_counts.EXAMPLES, torch.Generator().manual_seed(10_000))

    def make():
        return _trained(task, fusion, seed, steps, num_heads).accuracy(tests).mean().item()

    return kept(f"03.without-w-o lookup {fusion} h {num_heads} {steps} seed {seed}", make)


def _characters(row, fusion, seed, steps=1000, mlp=0):
    """Validation nats of the text model of lesson 06, or of one with an MLP behind it; kept under the row's name."""
    tests = tasks.characters(part="validation").draw(sweep_head_counts.EXAMPLES, torch.Generator().manual_seed(10_000))

    def make():
        model = _trained(tasks.characters(), fusion, seed, steps, mlp=mlp, batch_size=32, lr=1e-2)
        with torch.no_grad():
            return model.losses(tests).mean().item()

    return kept(f"03.without-w-o-{row} {fusion} {steps} seed {seed}" + f" mlp {mlp}" * bool(mlp), make)


def _paired(measure, seeds, fusion):
    """measure(fusion, seed) minus measure("W^O", seed): mean, and the smallest and largest of the pairs."""
    each = [measure(fusion, seed) - measure("W^O", seed) for seed in seeds]
    return sum(each) / len(each), min(each), max(each)


def _spread(measure, fusion, seeds):
    """measure of each seed with this fusion: mean, smallest, largest."""
    each = [measure(fusion, seed) for seed in seeds]
    return sum(each) / len(each), min(each), max(each)


@claim(
    "03.without-w-o",
    cell="without-w-o-says",
    says="In five pairs of trainings that began with the same seeds, {with_800:.0%} of the answers were right with "
    "W<sup>O</sup> and {without_800:.0%} without; after half the steps {with_400:.0%} and {without_400:.0%}.",
    tried="Look-up with 4 heads, with W^O, without, and with a random rotation in its place that is never trained; "
    "400 and 800 steps, five seeds each that lesson 06 does not use; two of them with 16 heads.",
    attacks=("seeds", "budget", "opponent", "size"),
    out="W^O − none, pairs: without is {pairs_800[1]:+.3f} to {pairs_800[2]:+.3f} better at 800 steps and "
    "{pairs_400[1]:+.2f} to {pairs_400[2]:+.2f} at 400. The worst of five at 800 steps: {with_800_worst:.0%} with, "
    "{without_800_worst:.0%} without, {fixed_800_worst:.0%} with a rotation that nobody trained. 16 heads: "
    "{with_16:.0%} with, {without_16:.0%} without.",
    minutes=3,
)
def without_w_o():
    def after(steps, num_heads=4):
        return lambda fusion, seed: _lookup(fusion, seed, steps, num_heads)

    found = {"pairs_400": _paired(after(400), SEEDS, "none"), "pairs_800": _paired(after(800), SEEDS, "none")}
    for name, fusion in {"with": "W^O", "without": "none", "fixed": "fixed"}.items():
        for steps in 400, 800:
            found[f"{name}_{steps}"], worst, _ = _spread(after(steps), fusion, SEEDS)
            assert steps < 800 or fusion == "W^O" or worst > 0.9, f"{fusion}: {worst:.3f} after 800 steps"
            found[f"{name}_{steps}_worst"] = worst
    found["with_16"], found["without_16"] = (
        _spread(after(800, 16), fusion, SEEDS[:2])[0] for fusion in ("W^O", "none")
    )
    return found


@claim(
    "03.without-w-o-text",
    cell="without-w-o-says",
    says="On text, three pairs, leaving W<sup>O</sup> out cost {cost:.2f} nats ({low:.2f} to {high:.2f})",
    tried="The text model of lesson 06, 1,000 steps, three paired seeds; beside it a random rotation in W^O's place "
    "that is never trained: is it the mixing that is missed, or what W^O learns?",
    attacks=("seeds", "opponent", "one thing"),
    out="With W^O {with_w_o:.3f} nats, without {without:.3f}; with a rotation that is never trained {fixed:.3f}.",
    minutes=3,
)
def without_w_o_text():
    seeds = SEEDS[:3]
    nats = partial(_characters, "text")
    cost, low, high = _paired(nats, seeds, "none")
    means = {name: _spread(nats, fusion, seeds)[0] for name, fusion in WAYS.items()}
    assert 0 < low and high < 0.15, "the cost on text"
    return {"cost": cost, "low": low, "high": high, **means}


@claim(
    "03.without-w-o-longer",
    cell="without-w-o-says",
    says="four times the steps, one pair: {cost:.2f} nats",
    tried="The same text model with four times the steps, one pair.",
    attacks=("budget",),
    out="With W^O {with_w_o:.3f} nats, without {without:.3f}.",
    minutes=2,
)
def without_w_o_longer():
    found = {name: _characters("longer", WAYS[name], SEEDS[0], 4000) for name in ("with_w_o", "without")}
    cost = found["without"] - found["with_w_o"]
    assert -0.05 < cost < 0.15
    return found | {"cost": cost}


@claim(
    "03.without-w-o-mlp",
    cell="without-w-o-says",
    says="Nor does an MLP behind the layer make up for it: with one of 256 numbers it cost {low:.2f} and {high:.2f}.",
    tried="The text model with the small network that real models put behind their attention: it mixes the heads too. "
    "1,000 steps, two paired seeds. And one thing more: without W^O the model has fewer parameters, so it gets an MLP "
    "of 32 numbers for them.",
    attacks=("one thing", "opponent"),
    out="With an MLP of 256: {with_w_o:.3f} nats with W^O, {without:.3f} without. Where the parameters of W^O go into "
    "an MLP of 32 instead, {instead:.3f}, better than with W^O and no MLP (two rows above).",
    minutes=2,
)
def without_w_o_mlp():
    seeds, nats = SEEDS[:2], partial(_characters, "mlp")
    costs = [nats("none", seed, mlp=256) - nats("W^O", seed, mlp=256) for seed in seeds]
    assert 0 < min(costs) and max(costs) < 0.15
    means = {
        name: sum(nats(fusion, seed, mlp=mlp) for seed in seeds) / 2
        for name, fusion, mlp in (("with_w_o", "W^O", 256), ("without", "none", 256), ("instead", "none", 32))
    }
    return {"low": min(costs), "high": max(costs), **means}


@claim(
    "03.sum",
    cell="sum-words",
    says="Laying side by side and multiplying is a way to compute a sum.",
    tried="60 layers with random d_model, heads, shared K/V heads, d_head that is not d_model / h, biases and causal "
    "masks, in float64: each head alone through its rows of W^O, added up.",
    attacks=("size",),
    out="The sum differs from the layer's output by at most {worst:.0e}.",
    minutes=0.1,
)
def a_sum():
    generator, worst = torch.Generator().manual_seed(1), 0.0
    for _ in range(60):
        layer, x, _ = _random_layer(generator)
        query, key, value = layer.project(x, x)
        heads = attention(query, key, value, mask=mha_lab.causal_mask(x.shape[1]))[0]
        rows = layer.out_proj.weight.T.unflatten(0, (layer.num_heads, layer.d_head))
        total = (heads @ rows).sum(dim=1) + (0 if layer.out_proj.bias is None else layer.out_proj.bias)
        worst = max(worst, (total - layer(x, causal=True)).abs().max().item())
    assert worst < 1e-10
    return {"worst": worst}


def _random_layer(generator):
    """A layer of random sizes in float64, without gradients, a text for it and one to look at."""

    def pick(*options):
        return options[torch.randint(len(options), (), generator=generator)]

    groups, per_group, width = pick(1, 2, 3), pick(1, 2, 4), pick(1, 2, 4, 6)
    layer = MultiHeadAttention(
        pick(8, 12, 20), groups * per_group, groups, d_head=width, bias=pick(True, False)
    ).double()
    for parameter in layer.requires_grad_(False).parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    x, context = (
        torch.randn(2, pick(1, 5, 9), layer.d_model, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    return layer, x, context


@claim(
    "03.rotary-basis",
    cell="rotary-says",
    says="Only if M commutes with the turn",
    tried="Random M for 4 to 64 numbers and both layouts of the pairs: how far the scores move; and M made by hand of "
    "turns and stretches of the same pairs, and of the pairs of the other layout.",
    attacks=("construction", "size"),
    out="A random M moves scores by {random:.1f} of their size at least, M of the same pairs by {same:.0e} at most, M "
    "of the other layout's pairs by {other:.1f} at least.",
    minutes=0.1,
)
def rotary_basis():
    generator, moved = torch.Generator().manual_seed(2), {"random": [], "same": [], "other": []}
    for width in 4, 8, 64:
        for adjacent in False, True:
            Ms = {
                "random": torch.randn(width, width, generator=generator, dtype=torch.float64),
                "same": _pairwise(width, adjacent, generator),
                "other": _pairwise(width, not adjacent, generator),
            }
            q, k = torch.randn(2, 13, width, generator=generator, dtype=torch.float64)
            plain = rotary.rotate(q, adjacent=adjacent) @ rotary.rotate(k, adjacent=adjacent).mT
            for name, M in Ms.items():
                turned = [rotary.rotate(x, adjacent=adjacent) for x in (q @ M, k @ torch.linalg.inv(M).mT)]
                moved[name].append(((turned[0] @ turned[1].mT - plain).norm() / plain.norm()).item())
    found = {"random": min(moved["random"]), "same": max(moved["same"]), "other": min(moved["other"])}
    assert found["random"] > 0.1 and found["same"] < 1e-10 and found["other"] > 0.05
    return found


def _pairwise(width, adjacent, generator):
    """A matrix that turns and stretches each pair of numbers, in one of the two layouts."""
    a, b = torch.randn(2, width // 2, generator=generator, dtype=torch.float64).unbind()
    first = torch.arange(0, width, 2) if adjacent else torch.arange(width // 2)
    second = first + 1 if adjacent else first + width // 2
    M = torch.zeros(width, width, dtype=torch.float64)
    M[first, first] = M[second, second] = a
    M[first, second], M[second, first] = b, -b
    return M


@claim(
    "03.head-number",
    cell="limit-3",
    says="In five trainings of one task, which differ in their seeds, head 0 came to follow {kinds} different pointers",
    tried="The five look-up models with 4 heads that are recorded for lesson 07: which pointer has most of each "
    "head's weight?",
    attacks=("seeds",),
    out="Head 0 follows pointer {pointers}.",
    minutes=0.1,
)
def head_number():
    task, found = tasks.lookup(), []
    batch = task.draw(500, torch.Generator().manual_seed(3))
    for seed in range(5):
        model = models.Encoder(task.vocabularies, task.answers, d_model=64, num_heads=4)
        model.load_state_dict(tasks.recorded_heads()["lookup", 1, 4, seed])
        with torch.no_grad():
            maps = model(batch.inputs, need_weights=True)[1][:, 0].float()  # (B, H, N, N)
        mass = torch.einsum("bhij,brij->hr", maps, batch.right.float())
        found.append(mass[0].argmax().item())
    assert len(set(found)) > 1
    return {"kinds": len(set(found)), "pointers": " ".join(map(str, found))}


@claim(
    "03.itself",
    cell="itself-words",
    says="In {settings} other settings, one matrix for both made it {least:.0f} to {most:.0f} times as frequent as "
    "chance",
    tried="Widths 64 and 256, 1 to 64 heads, texts of 13 to 128 words; words of unequal length, and words that share "
    "a common part. The same with two matrices.",
    attacks=("size", "opponent", "one thing"),
    out="One matrix: {shares}; two matrices: never more than {two:.1f} times chance.",
    minutes=0.2,
)
def itself():
    settings = [(64, 1, 13), (64, 8, 13), (64, 64, 13), (256, 64, 13), (64, 8, 100), (256, 16, 128)]
    one, two, told = [], [], []
    for d_model, num_heads, N in settings:
        for loud, common in (0, 0), (0.5, 0), (0, 1):
            share = _looks_at_itself(True, d_model, num_heads, N, loud, common)
            one.append(share * N)
            two.append(_looks_at_itself(False, d_model, num_heads, N, loud, common) * N)
            told.append(f"{share:.0%}")
    assert min(one) > 1.5 and max(two) < 1.5
    return {"settings": len(one), "least": min(one), "most": max(one), "two": max(two), "shares": " ".join(told)}


def _looks_at_itself(one_for_both, d_model, num_heads, N, loud, common):
    """The share of random words whose largest score is their own."""
    generator = torch.Generator().manual_seed(4)
    W_q, W_k = torch.randn(2, d_model, d_model, generator=generator)
    texts = torch.randn(100, N, d_model, generator=generator) + common * torch.randn(d_model, generator=generator)
    texts = texts * (1 + loud * torch.randn(100, N, 1, generator=generator)).abs()
    q, k = (mha_lab.split_heads(texts @ W, num_heads) for W in (W_q, W_q if one_for_both else W_k))
    return ((q @ k.mT).argmax(dim=-1) == torch.arange(N)).float().mean().item()


def _gradients(y, x, context, layer):
    """The gradients of a loss by both texts, by W^Q, W^K, W^V and W^O in one piece, and by the biases in another."""
    names, parameters = zip(*layer.named_parameters())  # PyTorch's layer has the first three in one parameter
    by_x, by_context, *grads = torch.autograd.grad(y.square().sum(), [x, context, *parameters])
    matrices, biases = (
        torch.cat([grad for name, grad in zip(names, grads) if name.endswith(end)] or [torch.zeros(1)])
        for end in ("weight", "bias")
    )
    return by_x, by_context, matrices, biases


@claim(
    "03.pytorch",
    cell="table-words",
    says="In {trials} other layers, of random widths, head counts and masks, with masks of floats and with a second "
    "text to look at, outputs and gradients differed by rounding only",
    tried="nn.MultiheadAttention in float64 with random parameters against from_torch's layer: boolean and float "
    "masks, a text that looks at another one, with and without biases.",
    attacks=("size", "seeds"),
    out="The largest difference of an output or a gradient is {worst:.0e} of its size.",
    minutes=0.2,
)
def pytorch():
    generator, worst, trials = torch.Generator().manual_seed(5), 0.0, 60
    for trial in range(trials):
        num_heads, width = (int(torch.randint(1, 6, (), generator=generator)) for _ in range(2))
        N, S = (int(torch.randint(1, 9, (), generator=generator)) for _ in range(2))
        theirs = nn.MultiheadAttention(
            num_heads * width, num_heads, bias=trial % 3 > 0, batch_first=True, dtype=torch.float64
        )
        for parameter in theirs.parameters():
            nn.init.normal_(parameter, std=0.4, generator=generator)
        ours = MultiHeadAttention.from_torch(theirs)
        x, context = (
            torch.randn(2, n, num_heads * width, generator=generator, dtype=torch.float64, requires_grad=True)
            for n in (N, S)
        )
        if trial % 2:
            bias = torch.randn(N, S, generator=generator, dtype=torch.float64)
            expected = theirs(x, context, context, attn_mask=bias)[0]
            found = ours(x, context, score_bias=bias[None])
        else:
            mask = torch.rand(N, S, generator=generator) > 0.4
            mask[:, 0] = True
            expected = theirs(x, context, context, attn_mask=~mask)[0]
            found = ours(x, context, mask=mask[None])
        for a, b in zip(
            [expected, *_gradients(expected, x, context, theirs)],
            [found, *_gradients(found, x, context, ours)],
        ):
            worst = max(worst, ((a - b).abs().max() / (1 + b.abs().max())).item())
    assert worst < 1e-12
    return {"trials": trials, "worst": worst}


@claim(
    "03.average-map",
    cell="average-limit",
    says="In the recorded sentences, over all six layers, a head lays {moved:.0%} of a word's attention elsewhere "
    "than the average of its layer, and even the head that is nearest to its average {least:.0%}. The average does "
    "name the head's own favourite in {agree:.0%} of the rows, because most rest on [CLS]; among the words alone it "
    "does so in {words:.0%}",
    tried="All twelve recorded sentences and all six layers of MiniLM instead of one row of one layer.",
    attacks=("size", "opponent"),
    out="An average hides little where all heads rest on [CLS], and most where they look at words: layer by layer the "
    "favourite is the same in {layers} of the rows.",
    minutes=0.1,
)
def average_map():
    moved, agree, words = [], [], []
    for recording in pretrained.recorded():
        weights = recording.weights.float()  # (L, H, N, N)
        average = weights.mean(dim=1, keepdim=True)
        moved.append((weights - average).abs().sum(dim=-1).mean(dim=-1) / 2)  # (L, H)
        agree.append((weights.argmax(dim=-1) == average.argmax(dim=-1)).float().mean(dim=(1, 2)))
        inner = weights[..., 1:-1]
        words.append((inner.argmax(dim=-1) == inner.mean(dim=1, keepdim=True).argmax(dim=-1)).float().mean())
    moved, agree = torch.stack(moved).mean(dim=0), torch.stack(agree).mean(dim=0)
    assert moved.min() > 0.05
    layers = ", ".join(f"{share:.0%}" for share in agree.tolist())
    found = {"moved": moved.mean(), "least": moved.min(), "agree": agree.mean(), "words": torch.stack(words).mean()}
    return {name: value.item() for name, value in found.items()} | {"layers": layers}


@claim(
    "03.inverted-mask",
    cell="mask-words",
    says="Trained to guess the next of random letters, which nobody can, it is right {cheat:.0%} of the time with "
    "that mask and {honest:.0%} with the right one (chance is 12%)",
    tried="A layer of two heads with learned places, trained with either mask on letters drawn at random, new in each "
    "step, two seeds.",
    attacks=("seeds", "construction", "one thing"),
    out="With the mask turned round {cheat:.0%}, with the right one {honest:.0%}.",
    minutes=0.3,
)
def inverted_mask():
    right = {"cheat": [], "honest": []}
    for seed in 0, 1:
        for name in right:
            right[name].append(_guesses_the_next(name == "cheat", seed))
    found = {name: sum(shares) / 2 for name, shares in right.items()}
    assert min(right["cheat"]) > 0.95 and max(right["honest"]) < 0.17
    return found


class _Guesser(nn.Module):
    """Letters and places in, nn.MultiheadAttention under a mask, the next letter out."""

    def __init__(self, mask):
        super().__init__()
        self.letter, self.place, self.mask = nn.Embedding(8, 32), nn.Embedding(12, 32), mask
        self.attend, self.answer = nn.MultiheadAttention(32, 2, batch_first=True), nn.Linear(32, 8)

    def forward(self, letters):
        x = self.letter(letters) + self.place.weight
        return self.answer(self.attend(x, x, x, attn_mask=self.mask, need_weights=False)[0])

    def losses(self, letters):
        guesses = self(letters)[:, :-1]
        return F.cross_entropy(guesses.mT, letters[:, 1:], reduction="none").mean(dim=-1)


def _guesses_the_next(cheat, seed):
    """The share of right guesses on new letters."""

    def draw(count, generator):
        return torch.randint(8, (count, 12), generator=generator)

    torch.manual_seed(seed)
    allowed = mha_lab.causal_mask(12)
    model = _Guesser(allowed if cheat else ~allowed)
    train.fit_whole(model, draw, steps=400, lr=1e-2, seed=seed, progress=False)
    letters = draw(1000, torch.Generator().manual_seed(99))
    with torch.no_grad():
        return (model(letters)[:, :-1].argmax(dim=-1) == letters[:, 1:]).float().mean().item()


@claim(
    "03.half",
    cell="half-words",
    says="In other runs, over both formats and several lengths, fused and all in 16 bits were off by {fused:.1f} and "
    "{all_16:.1f} times as much",
    tried="bfloat16 and float16, 64, 512 and 2,048 words, scores four times as large; and the three-dimensional call "
    "that an earlier version of this lesson took for the fused kernel.",
    attacks=("size", "seeds", "one thing"),
    out="Fused {low:.1f} to {high:.1f} times, all in 16 bits at least {least:.1f} times, ours {ours:.2f} times; the "
    "call with three dimensions {three:.2f} times: it is another kernel.",
    minutes=0.2,
)
def half():
    off = {"fused": [], "all_16": [], "ours": [], "three": []}
    for dtype in torch.bfloat16, torch.float16:
        for N in 64, 512, 2048:
            for loud in 1, 2:
                for name, times in _off_in_16_bits(dtype, N, loud).items():
                    off[name].append(times)
    low, high, least = min(off["fused"]), max(off["fused"]), min(off["all_16"])
    assert 1.1 < low and high < least and max(off["ours"]) < 1.05
    found = {name: sum(times) / len(times) for name, times in off.items()}
    return found | {"low": low, "high": high, "least": least}


def _off_in_16_bits(dtype, N, loud):
    """How far each way is off, in mean rounding errors of the exact result."""
    q, k, v = (torch.randn(3, 1, 1, N, 64, generator=torch.Generator().manual_seed(N)) * loud).to(dtype)
    exact = attention(q.double(), k.double(), v.double())[0]
    ways = {
        "fused": F.scaled_dot_product_attention(q, k, v),
        "all_16": (q @ k.mT / 8).softmax(dim=-1) @ v,
        "ours": attention(q, k, v)[0],
        "three": F.scaled_dot_product_attention(q[0], k[0], v[0])[None],
    }
    best = (exact.to(dtype).double() - exact).abs().mean()
    return {name: ((way.double() - exact).abs().mean() / best).item() for name, way in ways.items()}


SENSES = [  # a word, two sentences, and for each a word of that sense, which stands in neither
    ("bark", "the bark of the tree was rough", "the bark of the dog was loud", "wood", "wolf"),
    ("bank", "she sat on the bank of the river", "she put her money in the bank", "lake", "finance"),
    ("bat", "the bat flew out of the cave", "he hit the ball with the bat", "bird", "cricket"),
    ("mouse", "the cat chased the mouse", "he clicked with the mouse of his computer", "rat", "keyboard"),
    ("apple", "she ate a red apple", "apple sold a new computer", "fruit", "microsoft"),
    ("spring", "the flowers bloom in spring", "they drank water from the spring", "summer", "river"),
    ("seal", "the seal swam in the sea", "the seal on the letter was broken", "whale", "stamp"),
    ("match", "he lit the fire with a match", "the team won the match", "flame", "football"),
    ("light", "the bag was light and easy to carry", "the light of the lamp was bright", "heavy", "sun"),
    ("palm", "the palm grew on the beach", "he wrote the number on the palm of his hand", "leaf", "finger"),
    ("plant", "she watered the plant in the garden", "the workers left the plant in the evening", "flower", "factory"),
    ("crane", "the crane flew over the lake", "the crane lifted the steel of the building", "bird", "machine"),
    ("star", "the star shone in the night sky", "the star of the film was an actress", "moon", "actor"),
    ("pitcher", "she poured milk from the pitcher", "the pitcher threw the ball", "glass", "baseball"),
    ("rock", "the rock fell into the water", "the rock band played loud music", "stone", "guitar"),
    ("ring", "she wore a ring of gold", "we heard the ring of the phone", "jewelry", "bell"),
    ("tie", "he wore a tie and a suit", "the game ended in a tie", "shirt", "score"),
    ("nail", "he hit the nail with a hammer", "she painted the nail of her finger", "wood", "skin"),
    ("jam", "she ate bread and jam", "the cars stood in a jam", "butter", "traffic"),
    ("pen", "he wrote the letter with a pen", "the sheep slept in the pen", "pencil", "farm"),
]


@claim(
    "03.word-moves",
    cell="word-says",
    says="In {pairs} pairs of sentences with such a word, the layer moved it towards a word of the right sense, which "
    "stood in neither sentence, in {attention}. With the same weight on every word it did so in {even}, and "
    "{share:.0%} as far. A plain average of the sentence's word vectors in the layer's place did it in {average}",
    tried="The first attention layer of MiniLM, twenty words with two senses: does the word come nearer to a word of "
    "its sense than in the other sentence, by the difference of two cosines, before and behind the layer? With the "
    "trained heads; with the same values and even weights; with the mean vector of the sentence's words, scaled to the "
    "length of what the layer adds.",
    attacks=("seeds", "opponent", "one thing"),
    out="The trained heads move it by {far:.3f} on average, even weights by {even_far:.3f}, the plain average by "
    "{average_far:.3f}: that a word comes nearer to its sense shows that words were mixed in, and not that heads chose "
    "well. The sentence says so. In the recorded sentence with the dog, head 1 lays {weight_1:.2f} on it, and bark is "
    "{without_1:.3f} nearer to tree without it; head 11 lays {weight_11:.2f}, and bark is {without_11:.3f} farther.",
    minutes=0.2,
)
def word_moves():
    model, moved = pretrained.MiniLM.load(), {"attention": [], "even": [], "average": []}
    for word, first, second, sense, other in SENSES:
        for way, each in moved.items():
            each.append(
                sum(_towards(model, word, *case, way) for case in ((first, sense, other), (second, other, sense)))
            )
    right = {way: sum(far > 0 for far in each) for way, each in moved.items()}
    far = {way: sum(each) / len(each) for way, each in moved.items()}
    assert right["attention"] >= 15 and far["attention"] > 1.5 * far["even"]
    found = {"pairs": len(SENSES), "share": far["even"] / far["attention"], **right}
    found |= {"far": far["attention"], "even_far": far["even"], "average_far": far["average"]}
    return found | _heads_at_the_dog()


def _heads_at_the_dog():
    """In the recorded sentence: what heads 1 and 11 lay on the dog, and how the word moves without each of them."""
    (_, dog), names, vectors = pretrained.recorded_word()
    known = vectors[[names.index("tree"), names.index("dog")]]
    whole, found = dog.before + dog.shares.sum(dim=0) + dog.bias, {}

    def to_tree(vector):
        near, far = F.cosine_similarity(vector, known, dim=-1).tolist()
        return near - far

    moves = [to_tree(dog.normed(whole - share)) - to_tree(dog.after) for share in dog.shares]
    on_dog = dog.weights[:, dog.tokens.index("dog")]
    assert on_dog.argmax() == 1 == moves.index(max(moves)) and moves.index(min(moves)) == 11
    for head, sign in (1, 1), (11, -1):
        found |= {f"weight_{head}": on_dog[head].item(), f"without_{head}": sign * moves[head]}
    return found


@torch.no_grad()
def _towards(model, word, sentence, sense, other, way):
    """How much nearer the first layer brings a word to its sense than to the other one, compared with before."""
    ids, tokens = model.ids(sentence)
    x, block, at = model.embed(ids), model.blocks[0], tokens.index(word)
    query, key, value = block.attention.project(x, x)
    adds = block.attention(x)
    if way == "even":
        adds = block.attention.combine(value.mean(dim=2, keepdim=True).expand_as(value), x)
    if way == "average":
        mean = x.mean(dim=1, keepdim=True)
        adds = mean * (adds.norm(dim=-1, keepdim=True) / mean.norm())
    known = model.words.weight[[model.tokenizer.token_to_id(each) for each in (sense, other)]]
    before, after = (F.cosine_similarity(v[0, at], known, dim=-1) for v in (x, block.norm1(x + adds)))
    return ((after - before) @ torch.tensor([1.0, -1.0])).item()


@claim(
    "03.bare-stack",
    cell="stack-words",
    says="In {trials} other bare stacks, of widths 32 to 256 and 1 to 16 heads, less than a thousandth of x differed "
    "between words after four layers; with matrices twice as large {twice:.0%} did, and less than a thousandth after "
    "24: there a softmax almost picks one word, and the end comes later. None of these had a mask. Under a causal one, "
    "where each word has another past, {causal_low:.0%} to {causal_high:.0%} of x still differed after four layers, "
    "and less than a thousandth after 24.",
    tried="Other seeds, widths, head counts and texts of 100 words; and matrices twice as large, with which a softmax "
    "almost picks one word. Then all ten stacks under a causal mask.",
    attacks=("seeds", "size", "one thing"),
    out="At most {left:.0e} after 4 layers; with matrices twice as large {late:.0e} after 24. Under a causal mask "
    "{causal_late:.0e} at most after 24: the condition was added to the sentence.",
    minutes=0.2,
)
def bare_stack():
    settings = [(32, 1, 13), (64, 4, 13), (64, 16, 13), (256, 4, 13), (64, 4, 100)]
    left = [_difference_left(d, h, N, 1, seed)[3] for d, h, N in settings for seed in (1, 2)]
    twice = _difference_left(64, 4, 13, 2, 0)
    causal = [_difference_left(d, h, N, 1, seed, causal=True) for d, h, N in settings for seed in (1, 2)]
    after_4, after_24 = ([stack[depth] for stack in causal] for depth in (3, 23))
    assert max(left) < 1e-3 and twice[3] > 0.1 and twice[23] < 1e-3
    assert min(after_4) > 0.05 and max(after_24) < 1e-3
    found = {"trials": len(left), "left": max(left), "twice": twice[3], "late": twice[23]}
    return found | {"causal_low": min(after_4), "causal_high": max(after_4), "causal_late": max(after_24)}


def _difference_left(d_model, num_heads, N, size, seed, causal=False):
    """After each of 24 bare layers, the part of x in which its words differ."""
    generator, left = torch.Generator().manual_seed(seed), []
    x = torch.randn(1, N, d_model, generator=generator)
    for _ in range(24):
        layer = MultiHeadAttention(d_model, num_heads, bias=False).requires_grad_(False)
        for parameter in layer.parameters():
            nn.init.normal_(parameter, std=size * d_model**-0.5, generator=generator)
        x = layer(x, causal=causal)
        left.append(((x - x.mean(dim=1, keepdim=True)).norm() / x.norm()).item())
    return left


@claim(
    "03.residual",
    cell="residual-says",
    says="In eight other stacks with both, {low:.0%} to {high:.0%} was left after 24 layers, and in eight of 96 layers "
    "{late_low:.0%} to {late_high:.0%}. (With matrices as small as PyTorch's usual ones, {usual_low:.0%} to "
    "{usual_high:.0%} after 24.) A causal mask does not prevent it either: {causal:.0%} after 384.",
    tried="The lesson had said that the residual keeps each word's own line open, and that with both the words drift "
    "together a little. Widths 32 to 512, 1 to 8 heads, 13 to 100 words, two seeds each; four times the depth, with "
    "eight seeds; matrices 1/√3 times as large, twelve seeds and three other sizes (it was one, and 84%); and a causal "
    "mask, up to 384 layers, two seeds.",
    attacks=("seeds", "size", "budget", "one thing"),
    out="With the residual alone {alone_low:.1%} to {alone_high:.0%} was left after 24 layers, {alone:.1%} in the "
    "middle; the largest is one seed of the stack with a single head. Under a causal mask {causal_24:.0%} after 24 "
    "layers with both, {causal:.0%} after 384: later, and not prevented.",
    minutes=0.3,
)
def residual():
    settings = [(64, 4, 13), (256, 8, 50), (32, 1, 100), (512, 8, 13)]
    each = [(*sizes, seed) for sizes in settings for seed in (31, 32)]
    both = [_left_by_residual(*case, 24, norm=True) for case in each]
    alone = sorted(_left_by_residual(*case, 24, norm=False) for case in each)
    late = [_left_by_residual(64, 4, 13, seed, 96, norm=True) for seed in range(50, 58)]
    small = [(64, 4, 13, seed) for seed in range(30, 42)] + each[2:]
    usual = [_left_by_residual(*case, 24, norm=True, size=3**-0.5) for case in small]
    causal_24, causal = (
        sum(_left_by_residual(64, 4, 13, seed, depth, norm=True, causal=True) for seed in (41, 42)) / 2
        for depth in (24, 384)
    )
    assert 0.15 < min(both) and max(both) < 0.6 and max(late) < 0.2 and min(usual) > 0.6 and alone[3] < 0.05
    assert causal < 0.2 < causal_24
    found = {"low": min(both), "high": max(both), "late_low": min(late), "late_high": max(late), "causal": causal}
    found |= {"usual_low": min(usual), "usual_high": max(usual), "causal_24": causal_24}
    return found | {"alone_low": alone[0], "alone_high": alone[-1], "alone": alone[3]}


def _left_by_residual(d_model, num_heads, N, seed, depth, norm, size=1.0, causal=False):
    """The part of x in which its words differ, after layers with a residual, and with or without a norm before each."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, N, d_model, generator=generator)
    for _ in range(depth):
        layer = MultiHeadAttention(d_model, num_heads, bias=False).requires_grad_(False)
        for parameter in layer.parameters():
            nn.init.normal_(parameter, std=size * d_model**-0.5, generator=generator)
        x = x + layer(F.rms_norm(x, (d_model,), eps=1e-6) if norm else x, causal=causal)
    return ((x - x.mean(dim=1, keepdim=True)).norm() / x.norm()).item()


@claim(
    "03.gates",
    cell="gate-words",
    says="With them head i still has a term of its own",
    tried="Both released gates and the gated linear unit at other widths, with shared K/V heads and large random "
    "weights in float64: the output of all heads against the sum of the heads one by one.",
    attacks=("size", "construction"),
    out="Before W^O: off by at most {before:.0e} of the output. The gated linear unit: off by at least {fusion:.0%}; "
    "with all its gates' weights set to 0 by hand (each gate one half) it is a sum again, off by {shut:.0e}.",
    minutes=0.1,
)
def gates():
    generator, off = torch.Generator().manual_seed(6), {"before": [], "fusion": [], "shut": []}
    for d_model, num_heads, groups in (16, 4, 4), (24, 6, 2), (64, 8, 1):
        for kind in GatedAttention, HeadGatedAttention, MultiHeadAttention:
            layer = kind(d_model, num_heads, groups, bias=False)
            if kind is MultiHeadAttention:
                layer.out_proj = models.GatedFusion(d_model)
            for parameter in layer.double().requires_grad_(False).parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
            name = "fusion" if kind is MultiHeadAttention else "before"
            off[name].append(_off_from_a_sum(layer, generator))
            if kind is MultiHeadAttention:
                layer.out_proj.gate.weight.zero_()
                off["shut"].append(_off_from_a_sum(layer, generator))
    found = {"before": max(off["before"]), "fusion": min(off["fusion"]), "shut": max(off["shut"])}
    assert found["before"] < 1e-12 and found["shut"] < 1e-12 and found["fusion"] > 0.1
    return found


def _off_from_a_sum(layer, generator):
    heads = torch.randn(2, layer.num_heads, 5, layer.d_head, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 5, layer.d_model, generator=generator, dtype=torch.float64)
    only = torch.eye(layer.num_heads, dtype=torch.float64)[:, :, None, None]
    together, alone = layer.combine(heads, x), sum(layer.combine(heads * row, x) for row in only)
    return ((together - alone).norm() / together.norm()).item()
