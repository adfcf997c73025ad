"""Weights that a file holds in few bits, as float32 on disk: made once, and mapped into memory by all who read them.

A hub names the folder in MHA_LAB_SHARED. Whoever may write there makes the file at the first load; every kernel after
that maps it for reading, and thirty kernels hold its pages once. Without the variable nothing is kept.
"""

import os
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from mha_lab import _whole
from mha_lab.pretrained._files import loaded

FOLDER = "MHA_LAB_SHARED"


def shared(sha256: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `make()` gives, which reads the file with this sha256; from the shared folder where it is there already.

    Raises ValueError where the file there was cut short."""
    if not os.environ.get(FOLDER):
        return make()
    path = Path(os.environ[FOLDER]) / f"{sha256}.safetensors"
    if not path.is_file():
        weights = make()
        if not os.access(path.parent, os.W_OK):  # a student's kernel
            return weights
        from safetensors.torch import save_file

        with _whole.beside(path) as partial:
            save_file({name: tensor.contiguous() for name, tensor in weights.items()}, partial)
    from safetensors.torch import load_file

    return loaded(load_file, path, path)
