"""Reads a language model from a GGUF file, the form that llama.cpp runs: 4-bit weights and the tokenizer's lists."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from mha_lab import _data
from mha_lab.pretrained._files import LARGEST, expect
from mha_lab.pretrained._shared import shared


def read_gguf(path: Path, sha256: str, remedy: str = ".") -> tuple[dict, dict[str, Tensor], object]:
    """The file's settings, its weights under the file's own names in float32, and its tokenizer."""
    with _data.opened(path, LARGEST, remedy) as file:
        import gguf  # a missing file is told first, and an altered one not before there is something to read it with

        _data.compare(path, hashlib.file_digest(file, "sha256").hexdigest(), sha256, remedy)
        reader = gguf.GGUFReader(file)  # maps into memory, for reading only, the file that was open while it was hashed
    settings = {name: field.contents() for name, field in reader.fields.items()}

    def dequantized():
        weights = {}
        for tensor in reader.tensors:
            numbers = gguf.dequantize(tensor.data, tensor.tensor_type)
            weights[tensor.name] = torch.from_numpy(numbers.copy() if numbers.base is not None else numbers)
        return weights

    return settings, shared(sha256, dequantized), _tokenizer(path, settings)


def _tokenizer(path, settings):
    """Byte-pair encoding (Sennrich 2016) of bytes, as in GPT-2; SmolLM2 takes each digit by itself before that."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    expect(path, settings, **{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm"})
    pieces = settings["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in settings["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = 3  # the type of <|im_start|> and its kin, which are never spelled out of smaller pieces
    kinds = settings["tokenizer.ggml.token_type"]
    tokenizer.add_special_tokens(
        [AddedToken(piece, special=True, normalized=False) for piece, kind in zip(pieces, kinds) if kind == control]
    )
    return tokenizer
