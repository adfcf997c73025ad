"""Finds and reads the files of trained models. They are opened for reading only, and their packages never imported."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

from torch import Tensor, nn

from mha_lab import _data, _door

LARGEST = 2**27
"""No file of the three models that we load, and no tokenizer, has more bytes."""
REQUIREMENTS = "requirements-models.txt"
WEIGHTS = "model.safetensors"
PART = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")
MOST = 10_000_000
"""No size of a model is larger: no vocabulary, no width."""


class ModelMissing(ImportError):
    """The model's package, or a package that reads it, is not installed; the message says how to get it."""


@contextmanager
def installed(model: str, package: str) -> Iterator[Path]:
    """The folder in which the package lies, named as pip takes it: name==version. What is found missing within this
    block is answered with ModelMissing."""
    try:
        # The package itself is never imported: it would pull in what nothing here needs. We want its files.
        yield Path(distribution(package.partition("==")[0]).locate_file(""))
    except FileNotFoundError as missing:
        raise ModelMissing(f"the real {model}: {missing}", name=package.partition("==")[0]) from None
    except ImportError as missing:
        raise _missing(f"the real {model}", getattr(missing, "name", None) or "a package", package) from None


def again(package: str) -> str:
    """The end of a sentence on a file of a package: how the right one comes back. The checksum tells if it did."""
    return f"; install its package again with `pip install --force-reinstall --no-deps {package}`."


def _missing(model, name, package=""):
    """Where the project's folder is there, it knows what belongs together; an installed mha_lab has no such folder."""
    known = package if package.partition("==")[0] == name else name
    how = f"run `pip install --no-deps {known}`."
    if isinstance(_data.PACKAGE, Path) and (_data.PACKAGE.parent / REQUIREMENTS).exists():
        how = "run `make models`, or in this project's folder "
        how += f"`pip install --no-deps --require-hashes -r {REQUIREMENTS}`."
    return ModelMissing(f"{model} needs {name}, which is not installed: {how}", name=name)


def read_verified(folder: Path, files: dict[str, str], package: str) -> dict[str, bytes]:
    """What stands in these files {name: sha256}, each read once and known to be the one this code was written for."""
    return {
        name: _data.content(folder / name, sha256, largest=LARGEST, remedy=again(package))
        for name, sha256 in files.items()
    }


def without(files: dict[str, str], name: str) -> dict[str, str]:
    return {other: sha256 for other, sha256 in files.items() if other != name}


def verified_folder(folder: Path, files: dict[str, str], package: str) -> tuple[dict, dict[str, Tensor], object]:
    """What `read_folder` gives, of files that are known by their sha256; nothing else in the folder is looked at."""
    from safetensors.torch import load_file

    content = read_verified(folder, without(files, WEIGHTS), package)
    path, remedy = folder / WEIGHTS, again(package)
    with _data.opened(path, LARGEST, remedy) as file:
        _data.compare(path, hashlib.file_digest(file, "sha256").hexdigest(), files[WEIGHTS], remedy)
        weights = floats(loaded(load_file, path, path))  # mapped: all kernels on a machine share these pages
        if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise ValueError(f"{path} was exchanged while it was read: load it again.")
    tokenizer = as_tokenizer(content["tokenizer.json"], folder / "tokenizer.json")
    return as_json(content["config.json"], folder / "config.json"), weights, tokenizer


def read_folder(folder: str | Path) -> tuple[dict, dict[str, Tensor], object]:
    """A model in Hugging Face's form: its config.json, its weights in float32, and its tokenizer. The weights are in
    model.safetensors, or else in its numbered parts, model-00001-of-0000n.safetensors and so on; what else lies in the
    folder is not read. Raises FileNotFoundError or ValueError, in one sentence."""
    from safetensors.torch import load_file

    _door.instance("folder", folder, str | os.PathLike, "the name of a folder")
    folder = Path(folder)
    remedy = ": a model's folder has config.json, tokenizer.json and the weights."
    config, tokenizer = (
        made(_data.content(folder / name, largest=LARGEST, remedy=remedy), folder / name)
        for name, made in (("config.json", as_json), ("tokenizer.json", as_tokenizer))
    )
    weights = {}
    for path in _parts(folder):
        with _data.opened(path, largest=2**50, remedy=remedy):  # known to be a file that can be read
            part = loaded(load_file, path, path)
        if twice := sorted(weights.keys() & part.keys()):
            raise ValueError(f"{path} has {twice[0]}, which another part of the weights has too: which one is right?")
        weights |= part
    return config, floats(weights), tokenizer


def _parts(folder):
    """The files that hold a folder's weights. Raises where parts are missing or belong to several models."""
    whole = folder / "model.safetensors"
    numbers = [tuple(map(int, match.groups())) for path in folder.iterdir() if (match := PART.fullmatch(path.name))]
    if not numbers or os.path.lexists(whole):
        return [whole]
    counts = sorted({count for _, count in numbers})
    if len(counts) > 1:
        raise ValueError(f"{folder} has parts of weights cut into {counts[0]} and into {counts[1]}: keep those of one.")
    expected = range(1, counts[0] + 1)
    if strange := sorted({number for number, _ in numbers} - set(expected)):
        raise ValueError(f"{folder} has part {strange[0]} of {counts[0]} of the weights: they begin at 1.")
    return (folder / f"model-{number:05}-of-{counts[0]:05}.safetensors" for number in expected)  # not all are there


def loaded(load: Callable[..., dict[str, Tensor]], source, path) -> dict[str, Tensor]:
    from safetensors import SafetensorError

    try:
        return load(source)
    except SafetensorError as problem:
        raise ValueError(f"{path} was altered or cut short: {problem}.") from None


def floats(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}


def as_json(content: bytes, path: Path) -> dict:
    """The settings in a JSON file."""
    try:
        settings = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"{path} was altered or cut short: {problem}.") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path} holds {_door.told(settings)}; it must hold settings with their names.")
    return settings


def as_tokenizer(content: bytes, path: Path):
    """A tokenizer that neither cuts nor fills up what it is given."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise _missing("a model that reads text", "tokenizers") from None
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as problem:  # the reader knows no narrower class
        raise ValueError(f"{path} was altered or cut short: {problem}.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def known(ids: list[int], vocabulary: int) -> list[int]:
    """The token ids, if the model has a vector for each. Raises ValueError where the tokenizer is another model's."""
    if ids and max(ids) >= vocabulary:
        raise ValueError(f"the tokenizer gives token {max(ids)}, and the model has {vocabulary} vectors.")
    return ids


def size(source: str | Path, config: dict, name: str, default: int | None = None, at_most: int = MOST) -> int:
    """A setting that is a count. Raises ValueError where it is missing or is none."""
    value = _setting(source, config, name, default)
    if type(value) is not int or not 1 <= value <= at_most:
        raise ValueError(f"{source} has for {name} {_door.told(value)}; it must be a whole number, 1 to {at_most:,}.")
    return value


def layers(source: str | Path, config: dict, weights: dict[str, Tensor]) -> int:
    """How many layers a model has: no more than it has weights, so that no million of them is made in vain."""
    return size(source, config, "num_hidden_layers", at_most=max(len(weights), 1))


def positive(source: str | Path, config: dict, name: str, default: float | None = None) -> float:
    """A setting that is a positive number, such as a small one that keeps a quotient finite."""
    value = _setting(source, config, name, default)
    if type(value) not in (int, float) or not 0 < value <= sys.float_info.max:
        raise ValueError(f"{source} has for {name} {_door.told(value)}; it must be a positive number.")
    return float(value)


def _setting(source, config, name, default):
    value = config.get(name, default)
    if value is None:
        raise ValueError(f"{source} has no {name} in its config.json: our model cannot be made without.")
    return value


def expect(source: str | Path, config: dict, **settings: object) -> None:
    """Raises ValueError where a setting differs from the only one that our model computes. Absent means the same."""
    for name, value in settings.items():
        if config.get(name, value) != value:
            found = repr(config[name])
            found = found if len(found) <= 200 else found[:199] + "…"
            raise ValueError(f"{source} has {name}={found}, and our model computes {name}={value!r} only.")


def fill(model: nn.Module, weights: dict[str, Tensor], source: str | Path) -> nn.Module:
    """The model, made on the meta device, with these weights as its own: ready to be asked, not to be trained.

    Raises ValueError where a weight is missing, is not part of the model or has another shape."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if missing := sorted(shapes.keys() - weights.keys()):
        raise ValueError(f"{source} lacks {len(missing)} of {len(shapes)} weights, the first of them {missing[0]}.")
    if unknown := sorted(weights.keys() - shapes.keys()):
        raise ValueError(f"{source} has {len(unknown)} weights that our model has not, the first of them {unknown[0]}.")
    for name, shape in shapes.items():
        if shape != tuple(weights[name].shape):
            raise ValueError(f"{source} has {name} of shape {tuple(weights[name].shape)}; our model's has {shape}.")
        if not (weights[name].is_floating_point() and weights[name].isfinite().all()):
            raise ValueError(f"{source} has {name} with what is no finite number: with it every answer would be wrong.")
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)


def renamed(weights: dict[str, Tensor], names: dict[str, str], left_out: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The weights under our names: each of `names` is replaced, in their order, wherever it stands in a name. Raises
    ValueError where two of theirs would be one of ours."""
    ours = {}
    for name, tensor in weights.items():
        if name.startswith(left_out):
            continue
        for theirs, our in names.items():
            name = name.replace(theirs, our)
        if name in ours:
            raise ValueError(f"the weights have {name} twice, under two names: which one is right?")
        ours[name] = tensor
    return ours
