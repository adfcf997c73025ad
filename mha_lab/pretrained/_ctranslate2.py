"""Reads CTranslate2's model.bin: a list of named arrays, version 6 (opennmt.net/CTranslate2)."""

import struct
from pathlib import Path

import torch
from torch import Tensor

_TYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)


def read_ctranslate2(content: bytes, path: Path) -> dict[str, Tensor]:
    """The arrays of such a file by name, floats in float32. Raises ValueError where it is of another version."""
    place = 0

    def number(form):
        nonlocal place
        (value,) = struct.unpack_from("<" + form, content, place)
        place += struct.calcsize(form)
        return value

    def text():
        nonlocal place
        length = number("H")  # with a zero at its end
        place += length
        return content[place - length : place - 1].decode()

    version, kind, revision, num_arrays = number("I"), text(), number("I"), number("I")
    if (version, kind) != (6, "WhisperSpec"):
        raise ValueError(
            f"{path} is {kind} {revision} in version {version} of CTranslate2's form; we read Whisper in 6."
        )
    arrays = {}
    for _ in range(num_arrays):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        dtype, size = _TYPES[number("B")], number("I")
        array = torch.frombuffer(bytearray(content[place : place + size]), dtype=dtype).view(shape)
        arrays[name] = array.float() if dtype.is_floating_point else array
        place += size
    return arrays
