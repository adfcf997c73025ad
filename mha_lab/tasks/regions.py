"""What was trained for lesson 08b on two digits and on long documents."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor

from mha_lab import _data

DIGIT_READERS = _data.FOLDER / "digit_readers.safetensors"
DIGIT_READERS_SHA256 = "cc8ba355a329d67f9c03826e00de6ab78d53002fcfb84d8511111be632ee13d6"
WINDOWS = _data.FOLDER / "windows.npz"
WINDOWS_SHA256 = "e4d4deb7a526728e026ac3c41fa88741eaa9cfc66f664d806bd3c77700572483"


@dataclass(frozen=True, eq=False)
class DigitReaders:
    """Readers of two digits, five seeds each. "apart": every patch for itself; "mixed": after a layer of self-attention
    among the patches; "forced": mixed too, and trained while every word may look at the other half only.

    accuracy    {name: (5,)} share of right answers about 1,000 images of unseen digits
    mass        {"apart" and "mixed": (5, H)} each head's share of weight on the asked half
    few_tokens  how many tokens were kept: 1, 2, 4 … 32
    few         {"apart" and "mixed": (5, 6)} accuracy when a word may look only at the tokens that it looks at most
    weights     {name: state_dict} of seed 0's model, as `models.digit_reader` takes it; half precision on file
    by_heads    {"1 head", "4 heads", "8 heads", "1 even head": (3, 2)} patches apart, 600 steps, by seed: accuracy, and
                how many patches a word looks at. The even head's weights are set by hand, alike on the asked half
    """

    accuracy: dict[str, Tensor]
    mass: dict[str, Tensor]
    few_tokens: list[int]
    few: dict[str, Tensor]
    weights: dict[str, dict[str, Tensor]]
    by_heads: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Windows:
    """The same small model with several windows and three seeds each, on documents of 128 tokens.

    windows      their widths; the last is the whole document
    accuracy     (windows, 3, 2) share of right answers to the near question and to the far one
    by_distance  (windows, 3, 127) of the far one where the fact stands 1 … 127 tokens back
    mass         (windows, 3, 2, H) each head's share of weight on the near answer's token, and on the far one's
    distance     (windows, 3, H) how far each head looks, in tokens
    one_accuracy, one_mass   (3, 2), (3, 2, 1) the same of one head that sees the whole document
    """

    windows: list[int]
    accuracy: Tensor
    by_distance: Tensor
    mass: Tensor
    distance: Tensor
    one_accuracy: Tensor
    one_mass: Tensor


def recorded_digit_readers() -> DigitReaders:
    """What mha_lab/data/digit_readers.safetensors holds, verified. data/train_digit_readers.py trains it again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    tensors = load(_data.read(DIGIT_READERS, DIGIT_READERS_SHA256))
    weights = {"apart": {}, "mixed": {}, "forced": {}}
    measured, by_heads = {"accuracy": {}, "mass": {}, "few": {}}, {}
    for key, tensor in tensors.items():
        if "." in key:
            name, parameter = key.split(".", 1)
            weights[name][parameter] = tensor.float()
        elif key.startswith("by_heads "):
            by_heads[key.removeprefix("by_heads ")] = tensor
        elif key != "few_tokens":
            name, what = key.split()
            measured[what][name] = tensor
    return DigitReaders(**measured, few_tokens=tensors["few_tokens"].tolist(), weights=weights, by_heads=by_heads)


def recorded_windows() -> Windows:
    """What mha_lab/data/windows.npz holds, verified. data/sweep_windows.py trains it again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    file = np.load(io.BytesIO(_data.read(WINDOWS, WINDOWS_SHA256)), allow_pickle=False)
    names = "accuracy", "by_distance", "mass", "distance", "one_accuracy", "one_mass"
    arrays = {name: torch.from_numpy(file[name]) for name in names}
    return Windows(windows=file["windows"].tolist(), **arrays)
