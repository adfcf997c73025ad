"""The state of a training on disk: written whole, named, and verified before any of it takes the place of another."""

import hashlib
import json
import numbers
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Generator, Tensor, nn

from mha_lab import _whole
from mha_lab._door import instance

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

REMEMBERED = {"step", "exp_avg", "exp_avg_sq"}
"""What AdamW remembers of each parameter: a number, and two tensors of the parameter's shape and dtype."""

_REMEDY = "give another file's name, or remove this one, to begin anew."


# where it is written -------------------------------------------------------------------------------------------------


@contextmanager
def held(checkpoint: str | Path) -> Iterator[Path]:
    """The file's path, of what a link leads to; within the block no other training can hold it, in any process.

    Raises OSError, in words, where it could never be written or another training holds it; TypeError or ValueError for
    what is no path."""
    instance("checkpoint", checkpoint, (str, os.PathLike), "a path, such as 'run.safetensors'")
    if not str(checkpoint) or "\0" in str(checkpoint) or not _is_encodable(str(checkpoint)):
        raise ValueError(f"checkpoint={str(checkpoint)!r} is no name that a file could have.")
    with in_words(checkpoint):
        path = Path(checkpoint).resolve()
        _check_place(path)
        lock = path.with_name(f".{path.name}.lock")
        file = _locked(lock, path)
    try:
        _remove_leftovers(path)
        yield path
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(file)
        if fcntl is None:  # Windows removes no open file
            with suppress(OSError):
                lock.unlink()


def require_room(path: Path, model: nn.Module, steps: int) -> None:
    """Raise OSError where the disk has no room for the last state beside the one before it."""
    size = sum(t.numel() * t.element_size() for t in model.state_dict().values()) + 8 * steps
    size += 2 * sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    disk = shutil.disk_usage(path.parent)
    if disk.total and disk.free < size:  # some file systems count nothing
        raise OSError(f"it will need {size / 1e6:,.2f} MB, and {disk.free / 1e6:,.2f} MB are free on its disk")


def reason(problem: Exception) -> str:
    """Why a file could not be written, without its path and numbers."""
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__


@contextmanager
def in_words(path: str | Path) -> Iterator[None]:
    """What happens in this block to a file, in a sentence that names it."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as problem:  # RuntimeError: links in a circle
        kind = type(problem) if isinstance(problem, OSError) else OSError
        raise kind(f"The checkpoint {path} cannot be written: {reason(problem)}.") from None


def _is_encodable(name):
    try:
        return bool(os.fsencode(name))
    except UnicodeEncodeError:
        return False


def _check_place(path):
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    if path.is_dir():
        raise IsADirectoryError("it is a folder; give the name of a file")
    if path.exists() and not path.is_file():
        raise OSError("it is no ordinary file")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError("the file is read-only")


def _locked(lock, path):
    """An open file that nobody else has locked; a process that ends in any way gives its lock back."""
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(file)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), lock.stat()):  # else its holder has just removed it
                    with suppress(OSError):
                        os.truncate(file, 0)
                        os.write(file, str(os.getpid()).encode())
                    return file
        except BlockingIOError:
            holder = os.read(file, 20).decode(errors="replace") or "another process"
            os.close(file)
            raise BlockingIOError(
                f"another training writes it at this moment (process {holder}); wait for its end, or give each a "
                "file of its own"
            ) from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file):
    if fcntl is None:
        os.lseek(file, 2**20, os.SEEK_SET)  # beyond the process number, which stays readable
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None
        os.lseek(file, 0, os.SEEK_SET)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks: each writer still writes whole files
        pass


def _remove_leftovers(path):
    """What a killed process left of its writing; whoever holds the lock is the only writer."""
    ours = re.compile(rf"\.{re.escape(path.name[:100])}\.[a-z0-9_]{{8}}\.partial")
    if len(path.name) <= 100:  # a longer name shares its beginning with others
        for name in filter(ours.fullmatch, os.listdir(path.parent)):
            with suppress(OSError):
                (path.parent / name).unlink()


# what is written -----------------------------------------------------------------------------------------------------


def state(model: nn.Module, optimiser: torch.optim.Optimizer, generator: Generator, losses: list[float]) -> dict:
    """Everything that the next step hangs on, by name: copies, so that tied tensors and views can be saved too."""
    plain = {name: value for name, value in model.state_dict().items() if _is_plain(value)}
    tensors = {f"model.{name}": tensor.detach().clone() for name, tensor in plain.items()}
    for i, known in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{name}": tensor.clone() for name, tensor in known.items()}
    return tensors | {
        "generator": generator.get_state(),
        "loss": torch.tensor(losses, dtype=torch.float64, device="cpu"),
    }


def put_back(tensors: dict[str, Tensor], model: nn.Module, optimiser: torch.optim.Optimizer, generator: Generator):
    """The losses so far, after model, optimiser and generator have become what they were."""
    own, saved = model.state_dict(), _within(tensors, "model.")
    repeated = {name for name in saved if 0 in own[name].stride()}  # made by expand: not writable as a whole
    model.load_state_dict({name: tensor for name, tensor in saved.items() if name not in repeated}, strict=False)
    for name in repeated:
        once = tuple(slice(None) if stride else slice(0, 1) for stride in own[name].stride())
        own[name][once].copy_(saved[name][once])
    remembered = optimiser.state_dict()
    remembered["state"] = _remembered(tensors)
    optimiser.load_state_dict(remembered)
    generator.set_state(tensors["generator"])
    return tensors["loss"].tolist()


def check_can_be_saved(model: nn.Module) -> None:
    """Raises TypeError where a part of the model's state is no plain tensor."""
    for name, value in model.state_dict().items():
        if not _is_plain(value):
            raise TypeError(f"{name} of the model is no plain tensor with numbers in it, and cannot be saved.")


def _is_plain(value):
    return isinstance(value, Tensor) and value.layout == torch.strided and value.device.type != "meta"


def write(path: Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Put a state and what it is of in the file's place, at one stroke."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    words = json.dumps(about | {"step": len(tensors["loss"])})
    _whole.write(path, save(tensors, {"about": words, "sha256": _digest(tensors, words)}))


def read(path: Path) -> tuple[dict[str, Tensor], dict]:
    """A state and what it is of, which is empty in files of before it was written down.

    Raises ValueError where the file is no checkpoint, or not as it was written."""
    try:
        content = path.read_bytes()
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size]).get("__metadata__", {})
        if "about" in header or "sha256" in header:
            if header.get("sha256") != _digest(tensors, header.get("about", "")):
                raise ValueError("it was altered: its sha256 is another one")
            return tensors, json.loads(header["about"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as problem:
        raise ValueError(f"{path} is not a whole checkpoint ({reason(problem)}): {_REMEDY}") from None
    return tensors, {}


def described(model: nn.Module) -> tuple[dict[str, str], dict[str, str]]:
    """The class of each module, and its settings: heads, sizes, causal, window … also where no shape shows them."""
    usual = vars(nn.Module())
    modules = dict(model.named_modules())
    settings = {
        f"{path}.{name}".lstrip("."): words if len(words) <= 200 else f"{words[:20]}… {_sha256(words)}"
        for path, module in modules.items()
        for name, value in vars(module).items()
        if name not in usual and (words := _plain(value)) is not None
    }
    return {path: type(module).__name__ for path, module in modules.items()}, settings


def roles(model: nn.Module) -> dict[str, str]:
    """Whether each parameter is learned, frozen, or another's very tensor."""
    first, found = {}, {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = first.setdefault(id(parameter), name)
        found[name] = f"the same as {owner}" if owner != name else "learned" if parameter.requires_grad else "frozen"
    return found


def _plain(value):
    """A setting in words; None for what is no setting."""
    if value is None or isinstance(value, (bool, str)):
        return repr(value)
    if isinstance(value, numbers.Integral):
        return repr(int(value))
    if isinstance(value, numbers.Real):
        return repr(float(value))
    if isinstance(value, (tuple, list)):
        parts = [_plain(part) for part in value]
        return None if None in parts else f"({', '.join(parts)})"
    name = getattr(value, "__qualname__", None)  # a function or a class
    return name if isinstance(name, str) else None


def _sha256(words):
    return hashlib.sha256(words.encode(errors="replace")).hexdigest()


def _digest(tensors, words):
    digest = hashlib.sha256(words.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _within(tensors, prefix):
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _remembered(tensors):
    """The optimiser's state: for each parameter's number, what is remembered of it."""
    found = {}
    for name, tensor in _within(tensors, "optimiser.").items():
        i, _, key = name.partition(".")
        found.setdefault(int(i) if i.isdecimal() else i, {})[key] = tensor
    return found


# whether it belongs here ---------------------------------------------------------------------------------------------


def check(path: Path, tensors: dict[str, Tensor], theirs: dict, ours: dict, model: nn.Module) -> None:
    """Raises ValueError where this state cannot be gone on from with this model and this recipe. Changes nothing."""
    own, saved = model.state_dict(), _within(tensors, "model.")
    different = list(own.keys() ^ saved.keys())
    different += [name for name in own.keys() & saved.keys() if _kind(own[name]) != _kind(saved[name])]
    if different:
        example = min(different)
        there, here = (_kind(t[example]) if example in t else "missing" for t in (saved, own))
        raise ValueError(
            f"{path} belongs to another model: {len(different)} of {len(own)} parameters differ, such as {example} "
            f"({there} there, {here} here)."
        )
    for kind in "modules", "settings", "roles":
        _refuse_difference(path, kind, theirs.get(kind, {}), ours[kind])
    for name in ("optimiser", "lr", "weight_decay", "batch_size", "seed"):
        if name in theirs and theirs[name] != ours[name]:
            raise ValueError(
                f"{path} was trained with {name}={theirs[name]}, and this training asks for {name}={ours[name]}: give "
                "the same, or another file's name to begin anew."
            )
    problem = _problem(tensors, list(model.named_parameters()))
    if problem:
        raise ValueError(f"{path} is not a whole checkpoint ({problem}): {_REMEDY}")


def _refuse_difference(path, kind, theirs, ours):
    names = theirs.keys() & ours.keys() if kind == "settings" else theirs.keys() | ours.keys() if theirs else ()
    different = [name for name in ours | theirs if name in names and theirs.get(name) != ours.get(name)]
    if different:
        name = different[0]
        there, here = (words.get(name, "missing") for words in (theirs, ours))
        raise ValueError(
            f"{path} belongs to another model, though its parameters have the same shapes: {name or 'the model'} is "
            f"{there} there and {here} here."
        )


def _problem(tensors, parameters):
    """What is wrong with the optimiser's, the generator's or the losses' part; None where all is right."""
    if not {"generator", "loss"} <= tensors.keys():
        return "it holds a model, and not how far its training was"
    losses = tensors["loss"]
    if losses.dtype != torch.float64 or losses.ndim != 1 or not losses.isfinite().all():
        return "its losses are no list of finite numbers"
    try:
        Generator().set_state(tensors["generator"])
    except (RuntimeError, TypeError):
        return "its random generator's state is none"
    for name, parameter in parameters:
        if parameter.requires_grad and not tensors[f"model.{name}"].isfinite().all():
            return f"its {name} is not finite"
    remembered = _remembered(tensors)
    if len(losses) and not remembered:
        return "the optimiser's state is missing"
    for i, known in remembered.items():
        if not isinstance(i, int) or i >= len(parameters) or known.keys() != REMEMBERED:
            return "its optimiser's state is another optimiser's"
        name, parameter = parameters[i]
        if known["step"].shape or any(_kind(known[key]) != _kind(parameter) for key in REMEMBERED - {"step"}):
            return f"what the optimiser remembers of {name} has another shape or dtype"
    return None


def _kind(tensor):
    return f"{tuple(tensor.shape)} of {tensor.dtype}"
