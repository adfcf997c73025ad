"""One training loop for every small model: seeded, interruptible, and able to go on where it stopped."""

import math
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn.parameter import is_lazy
from tqdm.auto import tqdm

from mha_lab import _checkpoint
from mha_lab._door import finite, instance, told, whole
from mha_lab._door import seed as a_seed
from mha_lab.memory import require_memory

SAVE_EVERY = 60.0
"""Seconds between two savings of a checkpoint: what a power cut or kill -9 can cost."""

KEPT_SHARE = 0.003
"""Share of the time for keeping a copy of the last good state in memory, to which a NaN leads back."""

LARGEST = 1e30
"""Beyond it AdamW's own arithmetic leaves what 32 bits can hold."""

LOSS_BYTES = 32
"""What a step's loss takes in a History."""


@dataclass
class History:
    """loss: mean loss of each step's batch, in nats; seconds: wall time of this call; interrupted: it stopped early;
    unsaved: why the checkpoint could not be written at the end, and empty where it was."""

    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    unsaved: str = ""


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

    checkpoint   a safetensors file, written before the first step, once a minute (`SAVE_EVERY`), and however the
                 training ends. Where it exists, training goes on from it, to the same numbers as if it had never
                 stopped (without dropout). The model's classes and settings, what of it is frozen or tied, the
                 optimiser, lr, weight_decay, batch_size and seed must be those it was made with; another number of
                 steps, which changes the learning rates, or another draw is told by a warning.
    progress     a bar with the loss and the time left.

    An interrupt (Ctrl-C, the notebook's stop button) or SIGTERM ends the training after the present step and keeps what
    it has. So does an exception in draw or losses, which then goes on to the caller with the History as its `history`.
    A saving that fails ends nothing: a warning says so, it is tried again, and `History.unsaved` tells of the last one.
    Each module comes back in the mode it had.

    Raises TypeError or ValueError, before the first step and before anything is replaced, for numbers that mean nothing
    and a checkpoint of another model, of another recipe, or altered; MemoryError for more steps than a History could
    hold; OSError where the checkpoint cannot be written or another training writes it; FloatingPointError at the first
    loss that is NaN or infinite, with the `history` too: model and checkpoint are then as they were before the step
    that broke them, or a little earlier."""
    steps, batch_size = whole("steps", steps), whole("batch_size", batch_size)
    require_memory(LOSS_BYTES * steps)
    lr, weight_decay, seed = _checked(model, draw, lr, weight_decay, seed, progress)
    generator = Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr, betas=(0.9, 0.98), weight_decay=weight_decay)
    history, about = History(), None
    with _interrupts() as heard, nullcontext() if checkpoint is None else _checkpoint.held(checkpoint) as path:
        if path is not None:
            about = _about(model, draw, optimiser, steps=steps, batch_size=batch_size, seed=seed)
            history.loss = _begin(path, about, model, optimiser, generator)
        if len(history.loss) < steps:
            draw_batch = partial(draw, batch_size, generator)
            _train(model, draw_batch, optimiser, generator, history, steps, lr, heard, path, about, progress)
    return history


def fit_whole(model: nn.Module, draw: Callable[[int, Generator], object], **options) -> History:
    """`fit` for numbers that are recorded: no half-trained model is taken for a trained one.

    Raises KeyboardInterrupt where an interrupt or SIGTERM ended the training early, once `fit` has saved what it has;
    all else as `fit`."""
    history = fit(model, draw, **options)
    if history.interrupted:
        raise KeyboardInterrupt(f"the training was stopped after {len(history.loss)} steps")
    return history


def _checked(model, draw, lr, weight_decay, seed, progress):
    """The recipe's numbers as Python's own, where they mean something, and everything else is what it must be."""
    instance("model", model, nn.Module, "a torch.nn.Module")
    if not callable(getattr(model, "losses", None)):
        raise TypeError(f"The {type(model).__name__} has no method losses(batch), by whose mean it would be trained.")
    if not callable(draw):
        raise TypeError(f"draw is {told(draw)}; it must be a function draw(batch_size, generator) that makes a batch.")
    for name, parameter in model.named_parameters():
        if is_lazy(parameter) or parameter.is_meta or parameter.is_inference():
            raise ValueError(f"{name} holds no numbers yet, or was made in inference mode: it cannot be trained.")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"The {type(model).__name__} has no parameter that could be trained.")
    if not torch.is_grad_enabled():
        raise ValueError(
            "Gradients are switched off here (torch.no_grad, inference_mode): train outside of that block."
        )
    lr, weight_decay = finite("lr", lr), finite("weight_decay", weight_decay)
    if not 0 < lr <= LARGEST:
        raise ValueError(f"lr={lr}: the learning rate must be above 0 and at most {LARGEST:g}.")
    if not 0 <= weight_decay <= LARGEST:
        raise ValueError(f"weight_decay={weight_decay}: it must be from 0 to {LARGEST:g}.")
    seed = a_seed("seed", seed)
    instance("progress", progress, bool, "True or False")
    return lr, weight_decay, seed


def _about(model, draw, optimiser, **recipe):
    """What a checkpoint says it is of."""
    modules, settings = _checkpoint.described(model)
    return {
        "model": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "modules": modules,
        "settings": settings,
        "roles": _checkpoint.roles(model),
        "optimiser": f"{type(optimiser).__name__}, betas {optimiser.defaults['betas']}",
        "lr": optimiser.defaults["lr"],
        "weight_decay": optimiser.defaults["weight_decay"],
        "draw": str(getattr(draw, "__qualname__", type(draw).__name__)),
        **recipe,
    }


def _begin(path, about, model, optimiser, generator):
    """The losses so far, of a checkpoint that this training may go on from; and one that is there before it begins."""
    _checkpoint.check_can_be_saved(model)
    if path.exists():
        tensors, theirs = _checkpoint.read(path)
        _checkpoint.check(path, tensors, theirs, about, model)
        _tell_differences(path, len(tensors["loss"]), theirs, about)
    else:
        tensors = _checkpoint.state(model, optimiser, generator, [])
    if len(tensors["loss"]) < about["steps"]:
        with _checkpoint.in_words(path):
            _checkpoint.require_room(path, model, about["steps"])
            _checkpoint.write(path, tensors, about)
    return _checkpoint.put_back(tensors, model, optimiser, generator)


def _tell_differences(path, done, theirs, ours):
    """What may differ from the training that a checkpoint is of, and changes the numbers."""
    before, steps = theirs.get("steps", ours["steps"]), ours["steps"]
    if done > steps:
        raise ValueError(f"{path} has {done} steps behind it, more than steps={steps}: give as many or more.")
    if before != steps:
        warnings.warn(
            f"{path} was begun as a training of {before} steps and goes on, after {done}, as one of {steps}: "
            f"only from here on are its learning rates those of {steps} steps.",
            stacklevel=4,
        )
    if theirs.get("draw", ours["draw"]) != ours["draw"]:
        warnings.warn(f"{path} was trained on {theirs['draw']} and goes on with {ours['draw']}.", stacklevel=4)


def _train(model, draw_batch, optimiser, generator, history, steps, lr, heard, path, about, progress):
    """The loop itself: fills the history, and however it ends, leaves a good state in the model and in the file."""
    start, modes = time.perf_counter(), [(module, module.training) for module in model.modules()]
    rate, keep_next, save_next, failed_before = lr, start, start + SAVE_EVERY, False
    good = fresh = None  # copies of a state: the last whose next loss was finite, and one whose next is not yet known
    sound, drawn = True, generator.get_state()  # the model is between two steps; the generator as it was there

    def state():
        return _checkpoint.state(model, optimiser, generator, history.loss)

    def end():
        """Leave the last good state in the model and in the file, whatever interrupts come meanwhile; its steps."""
        history.seconds = time.perf_counter() - start
        history.interrupted = len(history.loss) < steps
        with _interrupts():
            if good is None or sound and _is_finite(model):
                generator.set_state(drawn)
                last = {} if path is None else state()
                done = len(history.loss)
            else:
                last = good
                done = len(_checkpoint.put_back(last, model, optimiser, generator))
            history.unsaved = _save(path, last, about, model)
        return done

    try:
        model.train()
        with tqdm(total=steps, initial=len(history.loss), disable=not progress) as bar:
            while len(history.loss) < steps and not heard:
                now = time.perf_counter()
                if now >= min(keep_next, save_next):
                    fresh = state()
                    keep_next = now + (time.perf_counter() - now) / KEPT_SHARE
                rate = lr * _rate(len(history.loss), steps)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                loss = _mean(model.losses(draw_batch()))
                value = loss.item()
                if not math.isfinite(value):
                    sound = False
                    raise FloatingPointError(_broken(f"the loss is {value}", history.loss, rate))
                if fresh is not None:
                    good, fresh = fresh, None
                    if now >= save_next:
                        failed = _save(path, good, about, model)
                        if failed and not failed_before:
                            _warn(f"{failed} The training goes on, and tries again.", history)
                        save_next, failed_before = time.perf_counter() + SAVE_EVERY, failed_before or bool(failed)
                optimiser.zero_grad()
                loss.backward()
                sound = False
                optimiser.step()
                history.loss.append(value)
                drawn = generator.get_state()
                sound = True
                bar.set_postfix_str(f"loss {value:.3f}", refresh=False)
                bar.update()
        if not _is_finite(model):
            raise FloatingPointError(_broken("the weights after it are not finite", history.loss[:-1], rate))
    except BaseException as error:
        done = end()
        error.history = history
        where = history.unsaved or ("" if path is None else f"So does {path}.")
        error.add_note(f"The model holds what {done} of {steps} steps have taught it. {where}".rstrip())
        raise
    else:
        end()
        if history.unsaved:
            _warn(f"{history.unsaved} The model itself is trained, and History holds its losses.", history)
    finally:
        for module, mode in modes:
            module.training = mode


def _mean(losses):
    if not isinstance(losses, Tensor) or not losses.is_floating_point():
        raise TypeError(f"model.losses(batch) gave {told(losses)}; it must give a tensor of floating-point losses.")
    if not losses.requires_grad:
        raise ValueError("model.losses(batch) gave losses that hang on no parameter: nothing can be learnt from them.")
    return losses.mean()


def _broken(what, losses, rate):
    """Why a training cannot go on, and what to do."""
    if not losses:
        return f"In the first step {what}: look at the first batch and at the weights that the model came with."
    return (
        f"In step {len(losses) + 1}, at a learning rate of {rate:.3g}, {what} (the loss before: {losses[-1]:.3g}). "
        "Begin anew with a lower lr; where that does not help, look for a batch in which nothing is asked."
    )


def _is_finite(model):
    return all(bool(p.isfinite().all()) for p in model.parameters() if p.requires_grad)


def _save(path, tensors, about, model):
    """Write a state, where there is a path; why it could not be written, empty where it could."""
    if path is None:
        return ""
    settings = _checkpoint.described(model)[1]  # what changes in training, such as a counter, is no setting
    kept = {name: value for name, value in about["settings"].items() if settings.get(name) == value}
    try:
        _checkpoint.write(path, tensors, about | {"settings": kept})
    except Exception as problem:  # of a disk, of memory: no reason for losing what is in memory
        return f"Step {len(tensors['loss'])} could not be saved in {path} ({_checkpoint.reason(problem)})."
    return ""


def _warn(words, history):
    try:
        warnings.warn(words, RuntimeWarning, stacklevel=4)
    except RuntimeWarning as error:  # where the caller has made errors of warnings
        error.history = history
        raise


def _rate(step, steps):
    """The learning rate of a step as a share of its highest."""
    rising = max(1, steps // 10)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Within this block the first interrupt or SIGTERM is only noted, so that no step is torn apart; a second one is
    not held. SIGTERM takes its course when the block has ended."""
    heard = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread hears of signals
        yield heard
        return

    def hear(number, _):
        heard.append(number)
        restore()

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if handler is not None and (number, handler) != (
            signal.SIGTERM,
            signal.SIG_IGN,
        ):  # None: not Python's to change
            before[number] = handler
            signal.signal(number, hear)
    try:
        yield heard
    finally:
        restore()
        if signal.SIGTERM in heard:
            signal.raise_signal(signal.SIGTERM)
