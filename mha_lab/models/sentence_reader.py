"""A trained classifier that reads what somebody types: its answer, and where its heads looked."""

from typing import NamedTuple

import torch
from torch import Tensor

from mha_lab.models.sentences import Sentences
from mha_lab.tasks import INTENTS, Intents


class Reading(NamedTuple):
    """What a model made of one sentence of N tokens.

    weights        (layers, H, N, N) where its heads look; None for a model without heads
    shares         (N,) how much of the answer is read from each token
    probabilities  (answers,) of each intent;  names  theirs, in Chinese and English
    message        one sentence that names unknown words; empty where there are none
    """

    sentence: str
    tokens: list[str]
    weights: Tensor | None
    shares: Tensor
    probabilities: Tensor
    names: list[str]
    message: str

    @property
    def answer(self) -> str:
        return self.names[int(self.probabilities.argmax())]


class SentenceReader:
    """SentenceReader(model, corpus).read(sentence): for explorers, whose model= takes it, and for one sentence."""

    def __init__(self, model: Sentences, corpus: Intents, *, most: int = 128):
        """most   tokens of a sentence that is read: its maps grow with the square.

        Raises ValueError for a model of another vocabulary."""
        known = model.embed.num_embeddings
        if known != len(corpus.vocabulary):
            raise ValueError(f"the model knows {known} tokens and the corpus {len(corpus.vocabulary)}: not its own.")
        self.model, self.corpus, self.most = model, corpus, most
        self.names = [f"{intent.zh} · {intent.en}" for intent in INTENTS]

    @torch.no_grad()
    def read(self, sentence: str) -> Reading:
        """Raises ValueError, in one sentence, for an empty sentence and for one of more than `most` tokens."""
        encoded = self.corpus.encode(sentence, most=self.most)
        training, device = self.model.training, self.model.embed.weight.device
        try:
            inputs, lengths = encoded.inputs.to(device), encoded.lengths.to(device)
            logits, maps, shares = self.model.eval()(inputs, lengths, need_weights=True)
        finally:
            self.model.train(training)
        weights = None if maps is None else maps[0]
        probabilities = logits[0].softmax(dim=-1)
        return Reading(sentence.strip(), encoded.tokens, weights, shares[0], probabilities, self.names, encoded.message)
