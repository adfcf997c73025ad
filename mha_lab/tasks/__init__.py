"""Small tasks on which the right attention is known, so that a map can be scored and not only admired.

A task draws batches: the same generator state gives the same batch, which is on the CPU and, where its numbers are not
whole, in float32, whatever the default device and type are. Letters: B batch, N tokens, F features of a token, R
questions asked at a token.
"""

from mha_lab.tasks._base import IGNORE, Batch, Task
from mha_lab.tasks._intent_rule import numbered_wishes, pointed_at
from mha_lab.tasks._pairs import END, PAD, START, Corpus, Pairs, Vocabulary, by_place, shortened
from mha_lab.tasks._reading import ReadingBatch, ReadingTask
from mha_lab.tasks.back_copy import back_copy
from mha_lab.tasks.dates import DATE_FIELDS, dates
from mha_lab.tasks.digits import halves, images_of, patches, two_digits
from mha_lab.tasks.documents import document, facts, far_distance
from mha_lab.tasks.finance_intents import INTENTS, IntentBatch, Intents, intents
from mha_lab.tasks.head_counts import HeadCounts, recorded_head_counts
from mha_lab.tasks.intent_results import IntentResults, IntentTraining, recorded_intents
from mha_lab.tasks.intent_speed import IntentSpeed, recorded_intent_speed
from mha_lab.tasks.lookups import induction, lookup, previous_and_match
from mha_lab.tasks.minilm_results import MiniLMResults, recorded_minilm_intents
from mha_lab.tasks.modern_results import Modern, recorded_modern
from mha_lab.tasks.names import LOANS, NAME_WORDS, NameResults, by_rule, few, last_named, names, recorded_names
from mha_lab.tasks.regions import DigitReaders, Windows, recorded_digit_readers, recorded_windows
from mha_lab.tasks.text import characters
from mha_lab.tasks.tokens import Encoded, Lexicon, tokenise
from mha_lab.tasks.trained_heads import recorded_heads
from mha_lab.tasks.translation import translation

__all__ = [
    "DigitReaders",
    "Windows",
    "recorded_digit_readers",
    "recorded_windows",
    "DATE_FIELDS",
    "END",
    "IGNORE",
    "INTENTS",
    "PAD",
    "START",
    "Batch",
    "Corpus",
    "Encoded",
    "HeadCounts",
    "IntentBatch",
    "IntentResults",
    "Intents",
    "Lexicon",
    "Pairs",
    "ReadingBatch",
    "ReadingTask",
    "Task",
    "LOANS",
    "IntentSpeed",
    "IntentTraining",
    "MiniLMResults",
    "Modern",
    "NAME_WORDS",
    "NameResults",
    "Vocabulary",
    "back_copy",
    "by_place",
    "by_rule",
    "characters",
    "dates",
    "document",
    "facts",
    "far_distance",
    "few",
    "halves",
    "images_of",
    "induction",
    "intents",
    "last_named",
    "lookup",
    "names",
    "numbered_wishes",
    "patches",
    "pointed_at",
    "previous_and_match",
    "recorded_head_counts",
    "recorded_heads",
    "recorded_intent_speed",
    "recorded_intents",
    "recorded_minilm_intents",
    "recorded_modern",
    "recorded_names",
    "shortened",
    "tokenise",
    "translation",
    "two_digits",
]
