"""Lesson 00: habits of heads that somebody trained, tried on sentences that the lesson has not recorded."""

from functools import cache
from itertools import permutations, product

import torch

from claims import claim
from mha_lab import MultiHeadAttention, pretrained

FRAMES = (
    "the {} saw the {} and {} waved",
    "the {} met the {} because {} was late",
    "the {} was near the {} when {} fell",
    "because the {} followed the {} , {} stopped",
)
OTHER_FRAMES = ("yesterday the {} stood behind the {} until {} left", "if the {} touches the {} , {} will move")
ONE = "girl", "teacher", "dog", "doctor", "king"
MANY = "boys", "students", "cats", "soldiers", "farmers"
THINGS = "table", "bottle", "car", "letter", "house"
PEOPLE = "man", "girl", "teacher", "doctor", "boy"
MEN = "boy", "man", "king", "father", "brother"
WOMEN = "girl", "woman", "queen", "mother", "sister"
GROUPS = ("they", MANY, ONE), ("it", THINGS, PEOPLE), ("he", MEN, WOMEN), ("she", WOMEN, MEN)
OTHER_GROUPS = (
    ("they", ("women", "horses", "sailors"), ("pilot", "farmer", "cat")),
    ("it", ("chair", "stone", "boat"), ("woman", "sailor", "nurse")),
    ("he", ("uncle", "son", "husband"), ("aunt", "daughter", "wife")),
    ("she", ("aunt", "daughter", "wife"), ("uncle", "son", "husband")),
)
NEW_SENTENCES = (
    "Three of the 17 trains to Hamburg were cancelled on Monday, two more were late.",
    "def is no word of English, and yet every programmer reads it a hundred times a day.",
    "Water boils at 100 degrees, unless you are on a mountain; then it boils earlier.",
    "Why would anybody paint the kitchen green, when the cupboards are orange?",
    "She sells sea shells on the sea shore.",
    "In 1969 two men walked on the moon while a third one waited above them, alone.",
    "stop",
    "Dear Sir or Madam, my parcel (number 4711) has not arrived; please send it again!",
    "the the the the the the the",
    "Photosynthesis turns light, carbon dioxide and water into sugar and oxygen.",
    "He said: yes, no, perhaps, and finally nothing at all.",
    "If you add two odd numbers, the sum is even, and that needs no experiment.",
)
WINOGRAD = (
    ("the ball broke the table because it was made of", "steel", "glass", "ball", "table"),
    ("the bottle did not fit in the box because it was too", "large", "little", "bottle", "box"),
    ("the truck passed the bus because it was going so", "fast", "slow", "truck", "bus"),
    ("the table did not go through the door because it was too", "wide", "narrow", "table", "door"),
    ("the sack lay on the bag so it had to be moved", "first", "last", "sack", "bag"),
    ("the cup did not fit in the bag because it was too", "big", "small", "cup", "bag"),
    ("the car did not fit in the garage because it was too", "big", "small", "car", "garage"),
    ("the letter hid the card because it was too", "large", "small", "letter", "card"),
)

MORE_WINOGRAD = (
    ("the stone did not fit in the bucket because it was too", "big", "small", "stone", "bucket"),
    ("the truck passed the car because it was driving so", "fast", "slow", "truck", "car"),
    ("the sofa did not go through the window because it was too", "wide", "narrow", "sofa", "window"),
    ("the shelf broke under the book because it was so", "weak", "heavy", "shelf", "book"),
    ("the cake did not fit in the tin because it was too", "large", "small", "cake", "tin"),
    ("the tree fell on the roof so it had to be", "cut", "repaired", "tree", "roof"),
    ("the fish ate the bird because it was", "hungry", "tasty", "fish", "bird"),
    ("the dog chased the cat because it was", "angry", "scared", "dog", "cat"),
    ("the hammer broke the cup because it was made of", "iron", "glass", "hammer", "cup"),
    ("the wolf did not catch the rabbit because it was too", "slow", "fast", "wolf", "rabbit"),
    ("the box did not hold the statue because it was too", "small", "big", "box", "statue"),
    ("the plane was late but the train waited because it was", "delayed", "patient", "plane", "train"),
)


@cache
def _model():
    return pretrained.MiniLM.load()


def _looks_more_at(sentence, pronoun, noun, other):
    """(layers, H) boolean: the heads in which the pronoun gives the noun more weight than the other."""
    recording = _model().read(sentence)
    at = recording.tokens.index
    row = recording.weights[:, :, at(pronoun)]
    return row[:, :, at(noun)] > row[:, :, at(other)]


def _agreeing(frames, groups):
    """(sentences, layers, H): does the head prefer the noun that fits? Nearer to the pronoun in every second one."""
    found = []
    for pronoun, fitting, others in groups:
        for noun, other in zip(fitting, others, strict=True):
            for frame, (first, second) in product(frames, ((noun, other), (other, noun))):
                found.append(_looks_more_at(frame.format(first, second, pronoun), pronoun, noun, other))
    return torch.stack(found)


@claim(
    "00.word-before",
    cell="exercise-0-3",
    says="in twelve sentences of another kind its smallest weight on the word before is {least:.2f}",
    tried="Twelve sentences that are not recorded: numbers, names, brackets, one word, the same word seven times. The "
    "strongest other head of all 72 on the same sentences.",
    attacks=("seeds", "opponent"),
    out="Mean {mean:.3f}, smallest {least:.2f}; the next best head has a mean of {other:.2f}.",
    minutes=0.1,
)
def word_before():
    recordings = [_model().read(sentence) for sentence in NEW_SENTENCES]
    weights = torch.cat([r.weights[0, 2].diagonal(-1) for r in recordings])
    means = torch.stack([r.weights.diagonal(-1, -2, -1).mean(dim=-1) for r in recordings]).mean(dim=0)
    other = means.flatten().sort(descending=True).values[1].item()
    assert means.argmax() == 2 and weights.min() > 0.8 and other < 0.6
    return {"mean": weights.mean().item(), "least": weights.min().item(), "other": other}


@claim(
    "00.word-before-long",
    cell="exercise-0-3",
    says="Its limit is a length: in three texts of up to {tokens} tokens its smallest weight is {short:.2f}, but in "
    "three of {from_tokens} to {to_tokens} some words look ahead, most to places from 128 on.",
    tried="Long texts in place of sentences: the new sentences one after another, from three beginnings, 100 and 130 "
    "words each; which words do not look at the one before, and where do they look?",
    attacks=("size",),
    out="In the longer texts the smallest weight is {least:.3f}. {strays} words look elsewhere, all of them among the "
    "first {last} places, and {ahead:.0%} of them look at place 128 or a later one.",
    minutes=0.1,
)
def word_before_long():
    sentences = [sentence for sentence in NEW_SENTENCES if sentence != "stop" and not sentence.startswith("the the")]
    words = " ".join([*sentences, *(f"{start} {one}." for start, one, *_ in WINOGRAD + MORE_WINOGRAD)]).split()
    maps = {
        length: [_model().read(" ".join(words[start : start + length])).weights[0, 2] for start in (0, 60, 120)]
        for length in (100, 130)
    }
    weights = {length: torch.cat([each.diagonal(-1) for each in found]) for length, found in maps.items()}
    places, looks = [], []
    for each in maps[130]:
        stray = (each.diagonal(-1) < 0.5).nonzero().flatten() + 1
        places += stray.tolist()
        looks += each[stray].argmax(dim=-1).tolist()
    ahead = sum(look >= 128 for look in looks) / len(looks)
    assert weights[100].min() > 0.9 and len(places) > 10 and ahead > 0.8 and max(places) <= 128
    lengths = {length: [len(each) for each in found] for length, found in maps.items()}
    found = {"tokens": max(lengths[100]), "from_tokens": min(lengths[130]), "to_tokens": max(lengths[130])}
    found |= {"short": weights[100].min().item(), "least": weights[130].min().item(), "strays": len(places)}
    return found | {"last": max(places) + 1, "ahead": ahead}


@claim(
    "00.word-after",
    cell="exercise-0-3",
    says="Its line is less clean.",
    tried="The same twelve sentences: is it the same head, and is any other as good?",
    attacks=("seeds", "opponent"),
    out="Head 1.8 has {best:.2f} of its weight there, the next best {other:.2f}.",
    minutes=0.1,
)
def word_after():
    recordings = [_model().read(sentence) for sentence in NEW_SENTENCES]
    means = torch.stack([r.weights.diagonal(1, -2, -1).mean(dim=-1) for r in recordings]).mean(dim=0)
    best, other = means.flatten().sort(descending=True).values[:2].tolist()
    assert means.argmax() == 12 + 8 and 0.5 < best < 0.9 and other < 0.45
    return {"best": best, "other": other}


@claim(
    "00.cls-share",
    cell="cls",
    says="a head that has found little still has to look somewhere: see the bright first columns",
    tried="The twelve new sentences: how much do the heads of layer 1 give [CLS], and does [SEP] serve as well?",
    attacks=("seeds", "opponent"),
    out="[CLS] has {mean:.0%} on average, {least:.0%} to {most:.0%} by sentence; [SEP] {sep:.0%}.",
    minutes=0.1,
)
def cls_share():
    recordings = [_model().read(sentence) for sentence in NEW_SENTENCES]
    shares = torch.stack([r.weights[1, :, 1:, 0].mean() for r in recordings])
    sep = torch.stack([r.weights[1, :, :-1, -1].mean() for r in recordings]).mean().item()
    assert shares.mean() > 0.35 and shares.mean() > 2 * sep
    return {"mean": shares.mean().item(), "least": shares.min().item(), "most": shares.max().item(), "sep": sep}


@claim(
    "00.agreement",
    cell="agreement-then",
    says="In {right} of 160 the head looks more at the noun that fits; the nearest noun is right in 80, and no other "
    "of the 72 heads reaches more than {other}.",
    tried="160 sentences: number, thing or person, gender; the noun that fits nearer in half of them. The strongest of "
    "the 71 other heads, chosen on the very same sentences. Then 48 sentences in two other frames with other nouns. "
    "And 240 sentences in which both nouns fit.",
    attacks=("seeds", "opponent"),
    out="{right} of 160; in the other frames {again} of 48. Where both nouns fit, the head takes the first in {first} "
    "of 240: the nearest noun explains neither.",
    minutes=0.2,
)
def agreement():
    found = _agreeing(FRAMES, GROUPS).sum(dim=0)
    again = _agreeing(OTHER_FRAMES, OTHER_GROUPS).sum(dim=0)[1, 3].item()
    right = found[1, 3].item()
    found[1, 3] = 0
    first = 0
    for pronoun, nouns in ("it", THINGS), ("he", MEN), ("they", MANY):
        for (one, other), frame in product(permutations(nouns, 2), FRAMES):
            first += _looks_more_at(frame.format(one, other, pronoun), pronoun, one, other)[1, 3].item()
    assert right >= 144 and again >= 40 and found.max() < right - 10
    return {"right": right, "other": found.max().item(), "again": again, "first": first}


@claim(
    "00.nobody-moves",
    cell="the-doubt",
    says="of their 576 heads {moved} moves from the one noun to the other.",
    tried="Eight other pairs of sentences in which one word turns the meaning, all 72 heads of each.",
    attacks=("seeds",),
    out="{moved} of 576 has the first noun as its favourite in one sentence and the second in the other; {changed} "
    "change their favourite at all.",
    minutes=0.1,
)
def nobody_moves():
    moved = changed = 0
    for start, one, other, *nouns in WINOGRAD:
        either = [_model().read(f"{start} {word}") for word in (one, other)]
        places = [either[0].tokens.index(noun) for noun in nouns]
        favourite = [r.weights[:, :, r.tokens.index("it")].argmax(dim=-1) for r in either]
        changed += (favourite[0] != favourite[1]).sum().item()
        for a, b in permutations(places):
            moved += ((favourite[0] == a) & (favourite[1] == b)).sum().item()
    assert moved <= 12  # 2% of the heads
    return {"moved": moved, "changed": changed}


@claim(
    "00.sense",
    cell="agreement-then",
    says="What would make sense in the world does not move it.",
    tried="Not which noun is the favourite, but how much: in 20 pairs of sentences in which one word turns the "
    "meaning, does the difference of the two nouns' weights move towards the noun that makes sense? In this head, and "
    "in the head of all 72 that moves most on eight of the pairs, tried on the other twelve.",
    attacks=("seeds", "opponent", "choice"),
    out="In head 1.3 the difference moves by {shift:.3f} on average, in {right} of 20 pairs the right way. The head "
    "chosen on eight pairs is right in {chosen} of the other 12.",
    minutes=0.1,
)
def sense():
    shifts = []  # (layers, H) each: above 0 where the word that fits the first noun moves the look towards it
    for start, one, other, *nouns in WINOGRAD + MORE_WINOGRAD:
        leads = []
        for word in (one, other):
            recording = _model().read(f"{start} {word}")
            first, second, it = (recording.tokens.index(token) for token in (*nouns, "it"))
            leads.append(recording.weights[:, :, it, first] - recording.weights[:, :, it, second])
        shifts.append(leads[0] - leads[1])
    shifts = torch.stack(shifts).flatten(1)  # (pairs, 72)
    head = 1 * 12 + 3
    chosen = (shifts[8:, shifts[:8].mean(dim=0).argmax()] > 0).sum().item()
    right = (shifts[:, head] > 0).sum().item()
    assert len(shifts) == 20 and shifts[:, head].abs().max() < 0.05 and max(right, chosen + 4) <= 14
    return {"shift": shifts[:, head].abs().mean().item(), "right": right, "chosen": chosen}


@claim(
    "00.one-head",
    cell="true-or-false",
    says="With one head, [CLS] takes nearly everything",
    tried="The queries and keys of the same layer in the twelve new sentences (those of three tokens and more), uncut; "
    "and those of the five other layers.",
    attacks=("seeds", "size"),
    out="In layer 1 the tokens give [CLS] {mean:.3f} on average, {least:.2f} in the sentence where it is least. In the "
    "other layers {others}: the sentence is about this layer.",
    minutes=0.1,
)
def one_head():
    shares = {layer: [] for layer in range(6)}
    for sentence in NEW_SENTENCES:
        x = _model().embed(_model().ids(sentence)[0])
        with torch.no_grad():
            for layer, block in enumerate(_model().blocks):
                q, k = block.attention.q_proj(x)[0], block.attention.k_proj(x)[0]
                if len(q) > 3:
                    shares[layer].append((q @ k.T / 384**0.5).softmax(dim=-1)[:, 0].mean().item())
                x, _ = block(x, None)
    means = [sum(row) / len(row) for row in shares.values()]
    assert means[1] > 0.9
    others = ", ".join(f"{means[layer]:.2f}" for layer in (0, 2, 3, 4, 5))
    return {"mean": means[1], "least": min(shares[1]), "others": others}


@claim(
    "00.parameters",
    cell="head-count-then",
    says="The parameters do not move: heads are cut out of the same four matrices.",
    tried="Widths of 60, 384 and 1,024 with every head count that divides them; then heads of a width of their own.",
    attacks=("size", "one thing"),
    out="One number of parameters for each width, at {counts} head counts in all. With d_head fixed at 32 the "
    "parameters grow with the heads ({times:.0f} times from 12 heads to 24): the lesson speaks of a cut.",
    minutes=0.1,
)
def parameters():
    def count(width, heads, **sizes):
        return sum(p.numel() for p in MultiHeadAttention(width, heads, bias=False, **sizes).parameters())

    counts = 0
    for width in (60, 384, 1024):
        divisors = [h for h in range(1, width + 1) if width % h == 0]
        counts += len(divisors)
        assert len({count(width, h) for h in divisors[:: 1 if width < 1000 else 5]}) == 1
    times = count(384, 24, d_head=32) / count(384, 12, d_head=32)
    assert times == 2
    return {"counts": counts, "times": times}
