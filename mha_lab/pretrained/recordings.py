"""What is recorded in data/: where MiniLM's heads looked in twelve sentences, and a spoken one. No model is needed."""

import io
import wave
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mha_lab import _data

RECORDINGS = _data.FOLDER / "minilm_attention.npz"
RECORDINGS_SHA256 = "fa98c807a3b2e62cd6e73173c2a84536bb0f84842956d94d19c57d37e2b05ed7"
SPEECH = _data.FOLDER / "speech.wav"
SPEECH_SHA256 = "46e2b29a518d3761ff0800c988ddadbc40ba52e3745c6f89887c2aef37bb787a"
HEARD = _data.FOLDER / "whisper.npz"
HEARD_SHA256 = "d879e9e745ed4c7647b970b779611512fa2ed7e448f19bd88b93fd15e73ac04f"
PROJECTION_LAYER = 1  # the layer whose queries and keys are recorded: head 1.3 joins pronouns to nouns, 1.8 looks ahead


@dataclass(frozen=True, eq=False)
class Recording:
    """What every head of a trained model looked at in one sentence."""

    sentence: str
    tokens: list[str] = field(repr=False)  # N of them, with the model's own [CLS] and [SEP]
    weights: Tensor = field(repr=False)  # (layers, H, N, N) float32; each row sums to 1


@dataclass(frozen=True, eq=False)
class Transcript:
    """What was said, and where in the sound each token was heard."""

    text: str
    tokens: list[str] = field(repr=False)  # N pieces of the text
    weights: Tensor = field(repr=False)  # (layers, H, N, frames): cross-attention of the step that wrote the token
    seconds: float  # the length of the sound; a frame is 0.02 of them
    alignment_heads: list[tuple[int, int]] = field(repr=False)  # those that follow the sound, by Whisper's authors


def recorded() -> list[Recording]:
    """The recordings in data/, six layers of twelve heads for each sentence. The first is the running sentence.

    Stored with 16 bits a weight: within 1/65535 of what the model computed, and rows still sum to 1.
    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    recordings = []
    with _open_recordings() as file:
        for i, sentence in enumerate(file["sentences"].tolist()):
            weights = torch.from_numpy(file[f"weights_{i}"].astype(np.float32) / 65535)
            recordings.append(Recording(sentence, file[f"tokens_{i}"].tolist(), weights))
    return recordings


def recorded_projection() -> tuple[Tensor, Tensor, list[str]]:
    """Queries and keys (N, 384) float32 of layer `PROJECTION_LAYER` for the running sentence, and its tokens.

    Heads are cut from these columns, so any head count that divides 384 can be tried. The model was trained with 12:
    softmax(split_heads(query, 12) split_heads(key, 12)ᵀ / √32) is `recorded()[0].weights[PROJECTION_LAYER]` to 2e-5."""
    with _open_recordings() as file:
        return torch.from_numpy(file["query"]), torch.from_numpy(file["key"]), file["tokens_0"].tolist()


def recorded_speech() -> Tensor:
    """A sentence spoken by espeak-ng: samples (n,) float32 between −1 and 1, 16,000 a second.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    with wave.open(io.BytesIO(_data.read(SPEECH, SPEECH_SHA256))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return torch.from_numpy(samples.astype(np.float32) / 32768)


def recorded_transcript() -> Transcript:
    """What Whisper wrote down of `recorded_speech`, and what its cross-attention heads listened to: the frames of the
    clip, 16 bits a weight. What the rows lack to 1 lay on the silence after it."""
    with np.load(io.BytesIO(_data.read(HEARD, HEARD_SHA256)), allow_pickle=False) as file:
        return Transcript(
            text=str(file["text"]),
            tokens=file["tokens"].tolist(),
            weights=torch.from_numpy(file["weights"].astype(np.float32) / 65535),
            seconds=float(file["seconds"]),
            alignment_heads=[tuple(pair) for pair in file["alignment_heads"].tolist()],
        )


def _open_recordings():
    return np.load(io.BytesIO(_data.read(RECORDINGS, RECORDINGS_SHA256)), allow_pickle=False)
