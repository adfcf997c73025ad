"""Real images and a question: two handwritten digits side by side, "left" or "right"?"""

import math
import numbers
from functools import cache

import torch
from torch import Tensor

from mha_lab import _door
from mha_lab.tasks._base import draws, on_cpu, permutations
from mha_lab.tasks._reading import ReadingBatch, ReadingTask

WORDS = "left", "right"
SHADES = 16  # a pixel of scikit-learn's digits is a whole number from 0 to 16
ROWS, COLUMNS, SIDE = 4, 8, 2  # 32 patches of 2 × 2 pixels make an image of 8 × 16


def two_digits(part: str = "training", *, noise: float = 0.0) -> ReadingTask:
    """Two digits side by side, cut into 32 patches, and the question "left right" or "right left": each word is to be
    answered with the digit of its half. A patch has 4 features, its pixels from 0 (paper) to 1 (ink).

    part   "training" (1,197 digits), "validation" (300) or "test" (300): no digit is in two of them.
    noise  standard deviation of normal noise on every pixel, new in every draw: it keeps a model from learning so few
           digits by heart

    The images are scikit-learn's: the test set of *Optical Recognition of Handwritten Digits* (Alpaydin and Kaynak
    1998, UCI Machine Learning Repository), by 13 people, each of whom may be in all parts."""
    images, digits = _digits(part)

    if not isinstance(noise, numbers.Real) or not 0 <= noise < math.inf:
        raise ValueError(f"noise is {_door.told(noise)}; it must be a number, 0 or above.")

    @draws(ROWS * COLUMNS * (SIDE * SIDE * 12 + 2))
    def draw(B, generator=None):
        chosen = torch.randint(len(images), (B, 2), generator=generator)  # the left digit, the right digit
        question = permutations(B, 2, generator=generator)
        context = patches(torch.cat(images[chosen].unbind(dim=1), dim=-1))
        if noise:
            context = context + noise * torch.randn(context.shape, generator=generator, dtype=torch.float32)
        return ReadingBatch(question, context, digits[chosen].gather(1, question), halves()[question])

    return ReadingTask(f"two digits, {part}", WORDS, ROWS * COLUMNS, 10, draw)


def patches(images: Tensor) -> Tensor:
    """(B, 8, 16) → (B, 32, 4): patches of 2 × 2 pixels, row by row; the pixels of a patch row by row."""
    pieces = images.unflatten(1, (ROWS, SIDE)).unflatten(3, (COLUMNS, SIDE))  # (B, 4, 2, 8, 2)
    return pieces.transpose(2, 3).flatten(3).flatten(1, 2)


def images_of(context: Tensor) -> Tensor:
    """(B, 32, 4) → (B, 8, 16): the inverse of `patches`."""
    pieces = context.unflatten(1, (ROWS, COLUMNS)).unflatten(3, (SIDE, SIDE))  # (B, 4, 8, 2, 2)
    return pieces.transpose(2, 3).flatten(3).flatten(1, 2)


@on_cpu
def halves() -> Tensor:
    """(2, 32) boolean: the patches of the left half, and those of the right."""
    column = torch.arange(ROWS * COLUMNS) % COLUMNS
    return torch.stack([column < COLUMNS // 2, column >= COLUMNS // 2])


@cache
@on_cpu
def _digits(part):
    """The images (images, 8, 8) of a part, from 0 to 1, and their digits (images,)."""
    number = {"test": 0, "validation": 1, "training": 2}
    if part not in number:
        raise ValueError(f'part is "training", "validation" or "test", not {part!r}.')
    from sklearn.datasets import load_digits  # a second; only who draws digits pays for it

    data = load_digits()
    images = torch.from_numpy(data.images).float() / SHADES
    mine = torch.arange(len(images)).remainder(6).clamp(max=2) == number[part]  # every sixth is held back, and the next
    return images[mine], torch.from_numpy(data.target).long()[mine]
