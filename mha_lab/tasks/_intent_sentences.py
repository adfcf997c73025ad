"""How the intent grammar makes sentences, with the label, and with what each token is there for."""

import hashlib
import random
import re
from collections.abc import Callable
from functools import cache
from itertools import groupby
from typing import NamedTuple

from mha_lab.tasks import _intent_grammar as grammar
from mha_lab.tasks.tokens import is_number, tokenise

MARKS = ("right", "number", "negation", "term", "order")
KINDS = ("double", "ordinal", "compound", "none", "plain", "negated", "other", "past", "mixed")
_SIGN = {"<": "term", ">": "term", "[": "negation", "]": "negation", "(": "order", ")": "order", "#": "number"}
_KEYS = [intent.key for intent in grammar.INTENTS]  # the last is "none": nothing is asked for
_ASKED = _KEYS[:-1]
# Requests that are easily taken for each other stand together more often than chance would have it.
_NEAR = [{"prepay", "prepayment_penalty", "late_fee"}, {"lpr_repricing", "rate_spread"}, {"statement", "invoice"}]
_NEAR += [
    {"repayment_date", "deferral", "repayment_card"},
    {"settlement_proof", "prepay"},
    {"credit_report", "late_fee"},
]


class Example(NamedTuple):
    """A customer's sentence.

    label      index into INTENTS: what the customer asks for themselves, now, and wants handled first
    traits     some of plain, compound, negated, ordinal, other, past, none, longer, double
    clauses    how many requests it names
    marks      by name of `MARKS`, a bool for each token. right: the words of the request that is the label
    clause_of  the clause, counted from 0, that each token stands in; −1 outside of clauses
    key        what it was made of, but for numbers and greetings: examples with one key are in one part
    """

    sentence: str
    language: str
    tokens: tuple[str, ...]
    label: int
    traits: frozenset[str]
    clauses: int
    marks: dict[str, tuple[bool, ...]]
    clause_of: tuple[int, ...]
    key: str

    @property
    def kind(self) -> str:
        """The one of `KINDS` that it is of, so that every sentence is counted once: what decides its label, and where
        nothing of the kind does, what stands beside the request."""
        for kind in KINDS[:4]:
            if kind in self.traits:
                return kind
        beside = self.traits & {"negated", "other", "past"}
        return "plain" if not beside else "mixed" if len(beside) > 1 else min(beside)

    @property
    def named(self) -> frozenset[str]:
        """The keys of all intents that the sentence names, wanted or not."""
        return frozenset(piece.rstrip("0123456789") for piece in self.key.split()) & frozenset(_ASKED)

    @property
    def most_negations(self) -> int:
        """How many separate negations the clause with the most of them has."""
        runs = [clause for (clause, negated), _ in groupby(zip(self.clause_of, self.marks["negation"])) if negated]
        return max(map(runs.count, runs), default=0)


class Dice:
    """Seeded choices that are the same in every version of Python, which promises that of random() alone."""

    def __init__(self, seed: str):
        self.random = random.Random(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")).random

    def below(self, n: int) -> int:
        return int(self.random() * n)

    def pick(self, choices):
        return choices[self.below(len(choices))]

    def chance(self, share: float) -> bool:
        return self.random() < share

    def several(self, choices, n: int) -> list:
        """n different ones, in random order."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(n)]


def share_of(key: str) -> float:
    """From 0 to 1, the same key always the same: which part of the corpus an example belongs to."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48


class _Draft:
    """A sentence in the making: pieces of marked text, and the key."""

    def __init__(self, language: str, dice: Dice, num_requests: int):
        self.language, self.dice = language, dice
        self.pieces, self.chosen, self.clauses, self.traits = [], [language], 0, set()
        first = dice.pick(_ASKED)
        near = sorted(set().union(*(group for group in _NEAR if first in group)) - {first})
        near = dice.several(near, min(len(near), 1 + dice.below(2))) if dice.chance(0.4) else []
        others = [key for key in _ASKED if key != first and key not in near]
        self.intents = dice.several([first, *near, *dice.several(others, 15 - len(near))][:num_requests], num_requests)

    @property
    def key(self) -> str:
        return " ".join(self.chosen)

    def request(self) -> tuple[str, str]:
        """The next intent and its words."""
        intent = self.intents.pop()
        choice = self.dice.below(len(grammar.REQUESTS[self.language][intent]))
        self.chosen.append(f"{intent}{choice}")
        return intent, grammar.REQUESTS[self.language][intent][choice]

    def choose(self, name: str, templates) -> str:
        choice = self.dice.below(len(templates))
        self.chosen.append(f"{name}{choice}")
        return templates[choice]

    def add(self, template: str, clause: int = -1, right: str = "", **requests: str) -> None:
        """A piece of the sentence: a template, the first clause in it, the slot that is the label, and the slots."""
        self.pieces.append((template, clause, right, requests))

    def example(self, label: str) -> Example:
        """Greetings, numbers and all: the sentence with its marks."""
        language, dice = self.language, self.dice
        opener = dice.pick(grammar.OPENERS[language]) if dice.chance(0.3) else ""
        closer = dice.pick(grammar.CLOSERS[language]) if dice.chance(0.2) else ""
        texts, tokens, marks, clause_of = [], [], [], []
        for text, on, clause in self._spelt(opener, closer + grammar.STOP[language]):
            if "{" in text:
                text = _with_numbers(text, dice)
            texts.append(text)
            for token, is_a_number, is_a_word in _tokens(text):
                tokens.append(token)
                marks.append(on | {"number"} if is_a_number and clause >= 0 else on)
                clause_of.append(clause if is_a_word else -1)
        sentence = "".join(texts)
        return Example(
            sentence=sentence[0].upper() + sentence[1:],
            language=language,
            tokens=tuple(map(_one, tokens)),
            label=_KEYS.index(label),
            traits=_one(frozenset(self.traits)),
            clauses=self.clauses,
            marks={mark: _one(tuple([mark in on for on in marks])) for mark in MARKS},
            clause_of=_one(tuple(clause_of)),
            key=self.key,
        )

    def _spelt(self, opener, ending):
        """Everything as (text, marks, clause)."""
        yield opener.replace("#", ""), frozenset(), -1
        for template, clause, right, requests in self.pieces:
            for text, on, slot, step in _parsed(template):
                if slot:
                    also = frozenset(["right"] if slot == right else [])
                    yield from ((inner, marks | also, clause + step) for inner, marks, _, _ in _parsed(requests[slot]))
                else:
                    yield text, on, clause + step
        yield ending, frozenset(), -1


_SEEN: dict = {}


def _one(value):
    """The one object that stands for all values equal to this: 20,000 sentences repeat their words and marks, and each
    kernel of a class holds them."""
    return _SEEN.setdefault(value, value)


@cache
def _parsed(template: str) -> list[tuple[str, frozenset, str, int]]:
    """A template as (text, marks, slot, how many clauses further)."""
    parts, on, step = [], frozenset(), 0
    for part in re.split(r"([<>\[\]()#|]|\{\w\})", template):
        if part == "|":
            step += 1
        elif part in _SIGN:
            on = on ^ {_SIGN[part]}
        elif part:
            parts.append((part, on, part[1] if re.fullmatch(r"\{\w\}", part) else "", step))
    return parts


@cache
def _tokens(text: str) -> list[tuple[str, bool, bool]]:
    """Tokens, and whether each is a number, and whether it is more than a punctuation mark."""
    return [(token, is_number(token), any(c.isalnum() for c in token)) for token in tokenise(text)]


def _with_numbers(text: str, dice: Dice) -> str:
    """The slots for numbers filled in."""
    make = {
        "{day}": lambda: 1 + dice.below(28),
        "{months}": lambda: 2 + dice.below(11),
        "{points}": lambda: 5 * (1 + dice.below(20)),
        "{amount}": lambda: 100 * (1 + dice.below(5000)),
        "{rate}": lambda: f"{3 + dice.below(200) / 100:.2f}%",
        "{ticket}": lambda: "".join("QXZJKV"[dice.below(6)] for _ in range(3)) + f"{dice.below(9000) + 1000}",
    }
    return re.sub(r"\{\w{2,}\}", lambda slot: str(make[slot[0]]()), text)


def compose(
    language: str, dice: Dice, *, accept: Callable[[str], bool], longer: bool = False, double: bool = False
) -> Example:
    """One sentence whose key is accepted. longer: 6 to 8 requests, where others have 1 to 4. double: what is wanted is
    denied twice."""
    while True:
        draft, label = _drafted(language, dice, longer, double)
        if accept(draft.key):
            return draft.example(label)


def _drafted(language, dice, longer, double):
    share = dice.random()
    if double:
        return _mixed(language, dice, 1 + dice.below(3), affirmed="double")
    if share < 0.08 and not longer:
        return _mixed(language, dice, 1)
    if share < 0.14 and not longer:
        return _mixed(language, dice, 1 + dice.below(3), affirmed=None)
    if share < 0.50:
        return _mixed(language, dice, 6 + dice.below(3) if longer else 2 + dice.below(3))
    return _ordered(language, dice, longer, compound=share < 0.75)


def _mixed(language, dice, num_requests, affirmed="wanted"):
    """One request that is wanted (none, where `affirmed` is None), at any place among others that do not count."""
    draft = _Draft(language, dice, num_requests)
    place, label = dice.below(num_requests) if affirmed else -1, "none"
    for i in range(num_requests):
        if i:
            draft.add(draft.dice.pick(grammar.JOINTS[language]))
        if i == place:
            label = _clause(draft, affirmed)
        else:
            _distract(draft)
    if affirmed == "double":
        draft.traits.add("double")
    return _finished(draft, label, num_requests)


def _ordered(language, dice, longer, compound):
    """Several requests of one's own, in an order that the sentence tells, perhaps among others that do not count."""
    if compound:
        choice = dice.below(len(grammar.COMPOUNDS[language]))
        template = grammar.COMPOUNDS[language][choice]
        own = 3 if "{c}" in template else 2
    else:
        own = 2 + dice.below(2)
    total = 6 + dice.below(3) if longer else min(4, own + dice.pick((0, 0, 1, 2)))
    draft = _Draft(language, dice, total)
    before = dice.below(total - own + 1)
    for _ in range(before):
        _distract(draft)
        draft.add(dice.pick(grammar.JOINTS[language]))
    if compound:
        draft.traits.add("compound")
        draft.chosen.append(f"compound{choice}")
        label, a = draft.request()
        requests = {"a": a} | {name: draft.request()[1] for name in "bc"[: own - 1]}
        draft.add(template, draft.clauses, right="a", **requests)
        draft.clauses += own
    else:
        label = _ordinals(draft, own)
    for _ in range(total - own - before):
        draft.add(dice.pick(grammar.JOINTS[language]))
        _distract(draft)
    return _finished(draft, label, total)


def _ordinals(draft, own):
    """Numbered requests, and which number counts: said before them or after."""
    language, dice = draft.language, draft.dice
    kind = draft.choose("", ("thing", "instalment", "year"))
    intro, item, first, not_this = grammar.ORDINALS[language][kind]
    draft.traits.add("ordinal")
    places = [(dice.below(5), number) for number in dice.several(range(own if kind == "thing" else 6), own)]
    if kind == "year" and dice.chance(0.5):  # 第2年第3期 beside 第3年第2期, or beside 第2年第4期
        year, number = places[0]
        swapped = number % 5, year
        places[1] = swapped if swapped not in places else (year, (number + 1) % 6)
        places = list(dict.fromkeys(places))
        places += [((year + 1) % 5, (number + 2) % 6)][: own - len(places)]
    if dice.chance(0.5):
        places.sort()
    in_words = dice.chance(0.4)

    def numbered(template, i):
        def name(n):
            return grammar.IN_WORDS[language][n] if in_words else str(n + 1)

        return template.replace("{o}", name(places[i][1])).replace("{y}", name(places[i][0]))

    chosen = dice.below(own)
    pointer = numbered(draft.choose("first", first), chosen)
    before = dice.chance(0.3)
    if own == 2 and dice.chance(0.2):
        pointer, before = numbered(not_this, 1 - chosen), False
        draft.traits.add("negated")
        draft.chosen.append("not")
    comma = grammar.COMMA[language]
    draft.chosen.append(f"before{before}")
    draft.add(intro + comma + (pointer + comma if before else ""))
    label = None
    for i in range(own):
        intent, words = draft.request()
        is_right = i == chosen
        draft.add(numbered(item, i), draft.clauses, right="v" if is_right else "", v=words)
        draft.clauses += 1
        draft.add(comma if i < own - 1 or not before else "")
        label = intent if is_right else label
    draft.add("" if before else pointer)
    return label


def _distract(draft):
    kind = draft.dice.pick(("negated", "negated", "other", "past"))
    draft.traits.add(kind)
    _clause(draft, kind)


def _clause(draft, kind):
    """A clause with the next request; its intent."""
    template = draft.choose(kind, grammar.CLAUSES[draft.language][kind])
    if template[0] == "我" and template[1] in "[想要" and draft.dice.chance(0.4):
        template = template[1:]  # Chinese often leaves "I" out
    intent, words = draft.request()
    draft.add(template, draft.clauses, right="v" if kind in ("wanted", "double") else "", v=words)
    draft.clauses += 1
    return intent


def _finished(draft, label, total):
    """The draft with its traits, and the label."""
    if label == "none":
        draft.traits.add("none")
    elif total == 1 and not draft.traits:
        draft.traits.add("plain")
    if total > 4:
        draft.traits.add("longer")
    return draft, label
