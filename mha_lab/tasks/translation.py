"""English → French from a grammar of our own, which knows of every French word which English words it stands for.

What French asks of the order: adjectives of colour follow their noun (the black cat, le chat noir), a possessor follows
what is possessed (my sister's cat, le chat de ma sœur), pronouns stand before the verb (sees them, les voit), adverbs
after it (often sees, voit souvent). Two words become one (looks for, cherche; in front of, devant), one becomes two or
three (not, ne … pas; potato, pomme de terre), and articles and adjectives agree with a noun that may stand further on.
Every French word that would elide (l'arbre) is left out.
"""

import random
from functools import cache
from typing import NamedTuple

from mha_lab import _door
from mha_lab.tasks._pairs import Aligned, Corpus, corpus, part_of


class Noun(NamedTuple):
    english: tuple[str, str]
    """Singular and plural, as all pairs here."""
    french: tuple[str, str]
    gender: int
    """0 masculine, 1 feminine."""


PEOPLE = (
    Noun(("brother", "brothers"), ("frère", "frères"), 0),
    Noun(("neighbour", "neighbours"), ("voisin", "voisins"), 0),
    Noun(("sister", "sisters"), ("sœur", "sœurs"), 1),
    Noun(("baker", "bakers"), ("boulangère", "boulangères"), 1),
)
ANIMALS = (
    Noun(("dog", "dogs"), ("chien", "chiens"), 0),
    Noun(("cat", "cats"), ("chat", "chats"), 0),
    Noun(("horse", "horses"), ("cheval", "chevaux"), 0),
    Noun(("mouse", "mice"), ("souris", "souris"), 1),
    Noun(("hen", "hens"), ("poule", "poules"), 1),
    Noun(("cow", "cows"), ("vache", "vaches"), 1),
)
THINGS = (
    Noun(("book", "books"), ("livre", "livres"), 0),
    Noun(("knife", "knives"), ("couteau", "couteaux"), 0),
    Noun(("hat", "hats"), ("chapeau", "chapeaux"), 0),
    Noun(("mobile phone", "mobile phones"), ("portable", "portables"), 0),
    Noun(("car", "cars"), ("voiture", "voitures"), 1),
    Noun(("flower", "flowers"), ("fleur", "fleurs"), 1),
    Noun(("key", "keys"), ("clé", "clés"), 1),
    Noun(("potato", "potatoes"), ("pomme de terre", "pommes de terre"), 1),
)
PLACES = (
    Noun(("garden", "gardens"), ("jardin", "jardins"), 0),
    Noun(("castle", "castles"), ("château", "châteaux"), 0),
    Noun(("house", "houses"), ("maison", "maisons"), 1),
    Noun(("chapel", "chapels"), ("chapelle", "chapelles"), 1),
)
# English, then French for (masculine, feminine) in the singular and in the plural
BEFORE_THE_NOUN = {
    "small": (("petit", "petite"), ("petits", "petites")),
    "big": (("grand", "grande"), ("grands", "grandes")),
    "new": (("nouveau", "nouvelle"), ("nouveaux", "nouvelles")),
    "beautiful": (("beau", "belle"), ("beaux", "belles")),
}
AFTER_THE_NOUN = {
    "black": (("noir", "noire"), ("noirs", "noires")),
    "white": (("blanc", "blanche"), ("blancs", "blanches")),
    "green": (("vert", "verte"), ("verts", "vertes")),
    "heavy": (("lourd", "lourde"), ("lourds", "lourdes")),
}
DETERMINERS = (
    {
        "the": ("le", "la"),
        "a": ("un", "une"),
        "my": ("mon", "ma"),
        "your": ("ton", "ta"),
        "this": ("ce", "cette"),
    },
    {"the": ("les", "les"), "my": ("mes", "mes"), "your": ("tes", "tes"), "these": ("ces", "ces")}
    | {"two": ("deux", "deux"), "three": ("trois", "trois")},
)
# English verb and its second word, in the singular and in the plural; French the same
VERBS = (
    (("sees", "see"), "", ("voit", "voient")),
    (("finds", "find"), "", ("trouve", "trouvent")),
    (("takes", "take"), "", ("prend", "prennent")),
    (("wants", "want"), "", ("veut", "veulent")),
    (("paints", "paint"), "", ("peint", "peignent")),
    (("hides", "hide"), "", ("cache", "cachent")),
    (("looks", "look"), "for", ("cherche", "cherchent")),
    (("looks", "look"), "at", ("regarde", "regardent")),
    (("picks", "pick"), "up", ("ramasse", "ramassent")),
    (("puts", "put"), "down", ("pose", "posent")),
)
PRONOUNS = {"him": "le", "her": "la", "them": "les"}
ADVERBS = {"often": "souvent", "always": "toujours", "already": "déjà"}
PREPOSITIONS = {"in": "dans", "behind": "derrière", "in front of": "devant", "far from": "loin de"}
TIMES = {"today": "aujourd'hui", "tonight": "ce soir", "every day": "chaque jour"}
NEW = "new pairs"
MOST = 200_000  # different sentences, made in a quarter of a minute

NOUNS = {word for noun in PEOPLE + ANIMALS + THINGS + PLACES for form in noun.english for word in form.split()}
"""Every English word that is a noun or part of one."""
ARTICLES = {form for forms in DETERMINERS[0].values() for form in forms}
"""The French articles of one thing, which tell its gender: le, la, un, une, mon …"""


class Words:
    """An English and a French text under construction; each French word with the English places it stands for."""

    def __init__(self):
        self.english, self.french, self.pairs = [], [], set()

    def say(self, text: str) -> tuple[int, ...]:
        """Add English words; their places."""
        first = len(self.english)
        self.english += text.split()
        return tuple(range(first, len(self.english)))


def write(text, places):
    return [(word, places) for word in text.split()]


def translation(num_sentences: int = 20_000) -> Corpus:
    """Different English sentences with their French ones.

    A sentence belongs to one part. A tenth is for validation, a tenth for the test; and certain adjectives never stand
    before certain nouns outside the part "new pairs", so that its sentences hold a pair that no training sentence has:
    the words are known, their meeting is not."""
    if not 100 <= _door.whole("num_sentences", num_sentences, at_least=None) <= MOST:
        raise ValueError(f"{num_sentences} different sentences: there must be 100 to {MOST:,}.")
    return _translation(num_sentences).copy()


@cache
def _translation(num_sentences):
    source, drawn = random.Random(0), {}
    while len(drawn) < num_sentences:
        words = sentence(source)
        drawn[" ".join(words.english)] = words
    examples = {"training": [], "validation": [], "test": [], NEW: []}
    for text, words in drawn.items():
        part = NEW if any(held_back(*pair) for pair in words.pairs) else part_of(text)
        french, right = zip(*words.french)
        examples[part].append(Aligned(tuple(words.english), french, right))
    return corpus("translation", examples, split, " ".join)


def split(text: str) -> list[str]:
    """Typed English as the corpus writes it: lower case, 's a word of its own, no full stop."""
    return text.lower().replace("’", "'").replace("'s", " 's").rstrip(" .").split()


def held_back(adjective: str, noun: Noun) -> bool:
    """Whether this adjective may stand before this noun only in "new pairs": one pair in eight."""
    adjectives, nouns = [*BEFORE_THE_NOUN, *AFTER_THE_NOUN], PEOPLE + ANIMALS + THINGS + PLACES
    return (adjectives.index(adjective) - nouns.index(noun)) % 8 == 0


def sentence(source: random.Random) -> Words:
    """One sentence: when, who, does what, to whom, where; in French: who, does what, to whom, where, when."""
    words = Words()
    when = source.choice(list(TIMES)) if source.random() < 0.25 else ""
    at_the_end = write(TIMES.get(when, ""), words.say(when))
    plural = source.random() < 0.4
    subject = noun_phrase(words, source, PEOPLE + ANIMALS, plural, owner=0.15)

    negated = source.random() < 0.3
    if negated:
        words.say("do" if plural else "does")
        negation = words.say("not")
    adverb = source.choice(list(ADVERBS)) if source.random() < 0.25 else ""
    adverb = write(ADVERBS.get(adverb, ""), words.say(adverb))
    (third_person, base), second_word, verb = source.choice(VERBS)
    places = words.say(base if plural or negated else third_person)
    pronoun = source.choice(list(PRONOUNS)) if source.random() < 0.25 else ""
    separable = second_word in ("up", "down")
    if pronoun and separable:  # picks them up, but looks for them
        clitic = write(PRONOUNS[pronoun], words.say(pronoun))
        places += words.say(second_word)
    else:
        places += words.say(second_word)
        clitic = write(PRONOUNS.get(pronoun, ""), words.say(pronoun))
    verb = write(verb[plural], places)
    if negated:
        verb = [*write("ne", negation), *clitic, *verb, *write("pas", negation)]
    else:
        verb = [*clitic, *verb]
    target = [] if pronoun else noun_phrase(words, source, ANIMALS + THINGS, source.random() < 0.3, denied=negated)
    where = []
    if source.random() < 0.25:
        preposition = source.choice(list(PREPOSITIONS))
        where = write(PREPOSITIONS[preposition], words.say(preposition))
        where = contracted(where, noun_phrase(words, source, PLACES, source.random() < 0.2, adjectives=0.3))
    words.french = [*subject, *verb, *adverb, *target, *where, *at_the_end]
    return words


def noun_phrase(words, source, nouns, plural, *, owner=0.1, adjectives=0.4, denied=False):
    """Says who or what in English; the French for it. Its owner, where there is one, comes first in English and last in
    French, with an article that stands for no English word. Denied, a becomes de (does not see a cat, pas de chat)."""
    possessor = []
    if source.random() < owner:
        possessor = noun_phrase(words, source, PEOPLE, False, owner=0, denied=None)
        possessor = contracted(write("de", words.say("'s")), possessor)
        article = write(DETERMINERS[plural]["the"][0], ())
        determiner = "the"
    else:
        choices = [word for word in DETERMINERS[plural] if word != "a" or denied is not None]
        determiner = source.choice(choices)
        article = write("?", words.say(determiner))
    early = source.choice(list(BEFORE_THE_NOUN)) if source.random() < adjectives else ""
    noun = source.choice(nouns)
    coloured = noun not in PEOPLE and source.random() < adjectives
    late = source.choice(list(AFTER_THE_NOUN)) if coloured else ""
    early_places, late_places = words.say(early), words.say(late)
    named = write(noun.french[plural], words.say(noun.english[plural]))
    words.pairs |= {(adjective, noun) for adjective in (early, late) if adjective}
    article = write(DETERMINERS[plural][determiner][noun.gender], article[0][1])
    if denied and determiner == "a":
        article = write("de", article[0][1])
    if early:
        early = write(BEFORE_THE_NOUN[early][plural][noun.gender], early_places)
    if late:
        late = write(AFTER_THE_NOUN[late][plural][noun.gender], late_places)
    return [*article, *early, *named, *late, *possessor]


def contracted(before, after):
    """de le → du, de les → des: one French word that stands for the words of both."""
    short = {"le": "du", "les": "des"}.get(after[0][0])
    if not before or before[-1][0] != "de" or short is None:
        return [*before, *after]
    return [*before[:-1], *write(short, before[-1][1] + after[0][1]), *after[1:]]
