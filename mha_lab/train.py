"""One training loop for every small model: seeded, interruptible, and able to go on where it stopped."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Generator, nn
from tqdm.auto import tqdm


@dataclass
class History:
    """loss: mean loss of each step's batch, in nats; seconds: wall time of this call; interrupted: it stopped early."""

    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False


def fit(
    model: nn.Module,
    draw: Callable[[int, Generator], object],
    *,
    steps: int,
    batch_size: int = 64,
    lr: float = 3e-3,
    weight_decay: float = 0.01,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place on draw(batch_size, generator), by the mean of model.losses(batch).

    AdamW with betas (0.9, 0.98). The learning rate rises to `lr` over the first tenth of the steps and falls to 0 along
    half a cosine. The same seed draws the same batches; the model's first weights are the caller's.

    checkpoint   a safetensors file, written at the end and when interrupted. Where it exists, training goes on from it,
                 to the same numbers as if it had never stopped (given the same steps and lr, and no dropout).
    progress     a bar with the loss and the time left.

    An interrupt (Ctrl-C, the notebook's stop button) ends the training after the present step and keeps what it has.
    Raises ValueError for a checkpoint of another model, or a file that is none."""
    generator = Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr, betas=(0.9, 0.98), weight_decay=weight_decay)
    history = History()
    if checkpoint is not None and Path(checkpoint).exists():
        history.loss = _restore(Path(checkpoint), model, optimiser, generator)
    start, was_training = time.perf_counter(), model.training
    model.train()
    with _interrupts() as interrupted, tqdm(total=steps, initial=len(history.loss), disable=not progress) as bar:
        while len(history.loss) < steps and not interrupted.is_set():
            for group in optimiser.param_groups:
                group["lr"] = lr * _rate(len(history.loss), steps)
            loss = model.losses(draw(batch_size, generator)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            history.loss.append(loss.item())
            bar.set_postfix_str(f"loss {history.loss[-1]:.3f}", refresh=False)
            bar.update()
    model.train(was_training)
    history.seconds = time.perf_counter() - start
    history.interrupted = len(history.loss) < steps
    if checkpoint is not None:
        _save(Path(checkpoint), model, optimiser, generator, history.loss)
    return history


def _rate(step, steps):
    """The learning rate of a step as a share of its highest."""
    rising = max(1, steps // 10)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Within this block the first interrupt sets the event, so that no step is torn apart; a second one is not held."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread hears of interrupts
        yield asked
        return

    def ask(*_):
        asked.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _save(path, model, optimiser, generator, losses):
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for i, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{name}": tensor for name, tensor in state.items()}
    tensors |= {"generator": generator.get_state(), "loss": torch.tensor(losses, dtype=torch.float64)}
    partial = path.with_suffix(".partial")  # an interrupt while writing leaves the old file whole
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
    partial.replace(path)


def _restore(path, model, optimiser, generator):
    """Put everything back as it was saved; the losses so far."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as problem:
        raise ValueError(f"{path} is not a whole checkpoint ({problem}): remove it to begin anew.") from None
    saved = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    own = model.state_dict()
    different = [name for name in own.keys() | saved.keys() if name not in own or name not in saved]
    different += [name for name in own.keys() & saved.keys() if own[name].shape != saved[name].shape]
    if different or "generator" not in tensors:
        raise ValueError(
            f"{path} belongs to another model: {len(different)} of {len(own)} parameters differ, such as "
            f"{min(different, default='the generator')}."
        )
    model.load_state_dict(saved)
    state = optimiser.state_dict()
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, i, key = name.split(".")
            state["state"].setdefault(int(i), {})[key] = tensor
    optimiser.load_state_dict(state)
    generator.set_state(tensors["generator"])
    return tensors["loss"].tolist()
