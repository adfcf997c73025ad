"""Small networks made of attention, for tasks of a few thousand tokens and a minute of training.

Letters: B batch, N tokens, F features of a token, R questions asked at a token, L layers.
"""

from mha_lab.models.biases import ALiBi, RelativeBias
from mha_lab.models.by_hand import lookup_by_hand
from mha_lab.models.decoder import Decoder
from mha_lab.models.encoder import Block, Encoder
from mha_lab.models.encoder_decoder import EncoderDecoder
from mha_lab.models.intents import (
    INTENT_MODELS,
    all_right,
    answers,
    clause_share,
    elsewhere,
    intent_checkpoint,
    intent_model,
    of_like_length,
    same_answers,
    trained_intent_model,
    weight_by_distance,
    with_every,
    with_norm,
)
from mha_lab.models.parts import GatedFusion, HeadGate, Learned, Sinusoidal
from mha_lab.models.reader import Features, Reader, digit_reader
from mha_lab.models.sentence_reader import Reading, SentenceReader
from mha_lab.models.sentences import AttentionClassifier, BiLSTM, num_parameters
from mha_lab.models.today import back_copy_model, trained_back_copy
from mha_lab.models.translators import Translators, recorded_translators, translator

__all__ = [
    "INTENT_MODELS",
    "ALiBi",
    "AttentionClassifier",
    "BiLSTM",
    "Block",
    "Decoder",
    "Encoder",
    "EncoderDecoder",
    "Features",
    "GatedFusion",
    "HeadGate",
    "Learned",
    "Reader",
    "Reading",
    "RelativeBias",
    "SentenceReader",
    "Sinusoidal",
    "Translators",
    "all_right",
    "answers",
    "back_copy_model",
    "clause_share",
    "digit_reader",
    "elsewhere",
    "intent_checkpoint",
    "intent_model",
    "lookup_by_hand",
    "num_parameters",
    "of_like_length",
    "recorded_translators",
    "same_answers",
    "trained_back_copy",
    "trained_intent_model",
    "translator",
    "weight_by_distance",
    "with_every",
    "with_norm",
]
