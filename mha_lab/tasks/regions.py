"""What was trained for lesson 08 on two digits and on long documents."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor

from mha_lab import _data

DIGIT_READERS = _data.FOLDER / "digit_readers.safetensors"
DIGIT_READERS_SHA256 = "fb580bff2b96d691a4c499cf8c9abad5397cf628be1bba74f5be9da025e214ba"
WINDOWS = _data.FOLDER / "windows.npz"
WINDOWS_SHA256 = "d78cb5f014a6dfb20f46f2a130c81bd18ad4006ec14d75fcbc86d50d93fac287"


@dataclass(frozen=True, eq=False)
class DigitReaders:
    """Readers of two digits, five seeds each. "apart": every patch for itself; "mixed": after a layer of self-attention
    among the patches; "forced": mixed too, and trained while every word may look at the other half only.

    accuracy    {name: (5,)} share of right answers about 1,000 images of unseen digits
    mass        {"apart" and "mixed": (5, H)} each head's share of weight on the asked half
    few_tokens  how many tokens were kept: 1, 2, 4 … 32
    few         {"apart" and "mixed": (5, 6)} accuracy when a word may look only at the tokens that it looks at most
    weights     {name: state_dict} of seed 0's model, as `models.digit_reader` takes it; half precision on file
    """

    accuracy: dict[str, Tensor]
    mass: dict[str, Tensor]
    few_tokens: list[int]
    few: dict[str, Tensor]
    weights: dict[str, dict[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Windows:
    """The same small model with W windows and three seeds each, on documents of 128 tokens.

    windows      the W widths; the last is the whole document
    accuracy     (W, 3, 2) share of right answers to the near question and to the far one
    by_distance  (W, 3, 127) of the far one where the fact stands 1 … 127 tokens back
    mass         (W, 3, 2, H) each head's share of weight on the near answer's token, and on the far one's
    distance     (W, 3, H) how far each head looks, in tokens
    """

    windows: list[int]
    accuracy: Tensor
    by_distance: Tensor
    mass: Tensor
    distance: Tensor


def recorded_digit_readers() -> DigitReaders:
    """What mha_lab/data/digit_readers.safetensors holds, verified. data/train_digit_readers.py trains it again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    tensors = load(_data.read(DIGIT_READERS, DIGIT_READERS_SHA256))
    weights = {"apart": {}, "mixed": {}, "forced": {}}
    measured = {"accuracy": {}, "mass": {}, "few": {}}
    for key, tensor in tensors.items():
        if "." in key:
            name, parameter = key.split(".", 1)
            weights[name][parameter] = tensor.float()
        elif key != "few_tokens":
            name, what = key.split()
            measured[what][name] = tensor
    return DigitReaders(**measured, few_tokens=tensors["few_tokens"].tolist(), weights=weights)


def recorded_windows() -> Windows:
    """What mha_lab/data/windows.npz holds, verified. data/sweep_windows.py trains it again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(WINDOWS, WINDOWS_SHA256)), allow_pickle=False)
    arrays = {name: torch.from_numpy(file[name]) for name in ("accuracy", "by_distance", "mass", "distance")}
    return Windows(windows=file["windows"].tolist(), **arrays)
