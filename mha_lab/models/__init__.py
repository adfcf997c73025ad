"""Small networks made of attention, for tasks of a few thousand tokens and a minute of training.

Letters: B batch, N tokens, F features of a token, R questions asked at a token, L layers.
"""

from mha_lab.models.encoder import Block, Encoder
from mha_lab.models.parts import GatedFusion, Learned, Sinusoidal

__all__ = ["Block", "Encoder", "GatedFusion", "Learned", "Sinusoidal"]
