"""The training loop: seeded, interruptible, and going on exactly where it stopped."""

import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import warnings
from collections import namedtuple
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from mha_lab import _checkpoint, memory, models, tasks, train

TASK = tasks.lookup(4, 4, 1)


def encoder(seed=0, **options):
    torch.manual_seed(seed)
    return models.Encoder(TASK.vocabularies, TASK.answers, d_model=16, **{"num_heads": 2} | options)


def fit(model, draw=TASK.draw, steps=30, **options):
    return train.fit(model, draw, steps=steps, **{"batch_size": 16, "progress": False} | options)


def at_step(number, act, draw=TASK.draw):
    """A draw that first does something at one of its steps."""
    drawn = []

    def drawing(B, generator):
        drawn.append(B)
        batch = draw(B, generator)
        if len(drawn) == number:
            act()
        return batch

    drawing.__qualname__ = draw.__qualname__  # the same task, as far as a checkpoint is concerned
    return drawing


def fail():
    raise RuntimeError("a fault in draw")


def saved_steps(file):
    return len(_checkpoint.read(file)[0]["loss"])


@pytest.fixture(autouse=True)
def interrupts_are_heard():
    """Also where the tests run in the background of a shell, which lets a process ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_training_lowers_the_loss():
    history = fit(encoder(), steps=60)
    assert len(history.loss) == 60 and not history.interrupted and history.seconds > 0
    assert sum(history.loss[-5:]) < 0.9 * sum(history.loss[:5])


def test_the_same_seed_gives_the_same_model_and_another_seed_another():
    models_ = [encoder(), encoder(), encoder()]
    for model, seed in zip(models_, (0, 0, 1)):
        fit(model, seed=seed)
    first, again, other = map(weights, models_)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_an_interrupt_ends_between_two_steps_and_training_goes_on_as_if_it_had_not(tmp_path):
    whole, stopped, file = encoder(), encoder(), tmp_path / "lookup.safetensors"
    fit(whole)
    interrupted = at_step(10, lambda: signal.raise_signal(signal.SIGINT))
    history = fit(stopped, interrupted, checkpoint=file)
    assert history.interrupted and len(history.loss) == 10
    resumed = encoder(seed=7)
    assert len(fit(resumed, checkpoint=file).loss) == 30
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert [path.name for path in tmp_path.iterdir()] == ["lookup.safetensors"]


def test_a_second_interrupt_is_not_held_back():
    def stuck(B, generator):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(encoder(), stuck)


def test_the_learning_rate_rises_for_a_tenth_and_falls_to_nearly_nothing():
    rates = [train._rate(step, 1000) for step in range(1000)]
    assert rates[:100] == sorted(rates[:100]) and rates[99:] == sorted(rates[99:], reverse=True)
    assert rates[0] == 0.01 and rates[99] == rates[100] == 1 and 0 < rates[-1] < 1e-4
    assert [train._rate(step, 1) for step in range(1)] == [1]


@pytest.mark.parametrize("spoil", ["truncated", "of another model", "not a checkpoint"])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_refused_in_words(tmp_path, spoil):
    file = tmp_path / "model.safetensors"
    fit(encoder(mlp=8) if spoil == "of another model" else encoder(), steps=3, checkpoint=file)
    if spoil == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    if spoil == "not a checkpoint":
        file.write_text("hello")
    model = encoder()
    before = weights(model)
    words = "belongs to another model" if spoil == "of another model" else "is not a whole checkpoint"
    with pytest.raises(ValueError, match=words):
        fit(model, checkpoint=file)
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize("draw", [TASK.draw, at_step(2, fail)])
def test_every_module_is_left_in_the_mode_it_came_in(draw):
    model = encoder(mlp=8).eval()
    model.blocks[0].mlp.train()
    before = [module.training for module in model.modules()]
    try:
        fit(model, draw, steps=3)
    except RuntimeError:
        pass
    assert [module.training for module in model.modules()] == before and len(set(before)) == 2


# refused before the first step ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        *({"steps": value} for value in (0, -3, 2.5, float("nan"), "3", None, True, 10**400, (i for i in range(3)))),
        *({"batch_size": value} for value in (0, -1, 4.0, "4", 10**400)),
        *({"lr": value} for value in (0, -1e-3, 1e38, float("nan"), float("inf"), "fast", None, True, 10**400)),
        *({"lr": value} for value in (Fraction(1, 10**400), Decimal("0.001"), torch.ones(9, 9))),
        *({"weight_decay": value} for value in (-0.1, 1e300, float("nan"), "some" * 99, 10**400)),
        *({"seed": value} for value in (1.5, "one", None, 2**70, -(10**400))),
        *({"checkpoint": value} for value in (3, b"run", "", "a\0b", "\ud800")),
        {"progress": "no"},
    ],
    ids=lambda wrong: ascii(re.sub(" at 0x[0-9a-f]+", "", str(wrong))[:60]),
)
def test_what_means_nothing_is_refused_in_one_sentence_that_names_it(wrong):
    model = encoder().eval()
    before = weights(model)
    with pytest.raises((TypeError, ValueError), match=f"^{next(iter(wrong))}[ =]") as refused:
        fit(model, at_step(1, fail), **wrong)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200
    assert torch.equal(weights(model), before) and not model.training


def test_more_steps_than_a_history_could_hold_are_refused_before_the_first(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**30)
    with pytest.raises(MemoryError, match="1.0 GiB of memory and 1.0 GiB are free"):
        fit(encoder(), at_step(1, fail), steps=2**25)


def test_what_cannot_be_trained_is_refused_in_words():
    for model, draw, words in (
        (None, TASK.draw, "must be a torch.nn.Module"),
        (nn.Linear(2, 2), TASK.draw, "no method losses"),
        (encoder(), [1, 2], "must be a function draw"),
        (encoder().requires_grad_(False), TASK.draw, "no parameter"),
        (encoder(norm=lambda size: nn.LazyBatchNorm1d()), TASK.draw, "norm.weight holds no numbers yet"),
        (encoder().to("meta"), TASK.draw, "holds no numbers yet"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            fit(model, draw)
    with torch.no_grad(), pytest.raises(ValueError, match="switched off"):
        fit(encoder())


@pytest.mark.parametrize("losses", [1.0, torch.ones(3), torch.ones(3, dtype=torch.int64)], ids=str)
def test_losses_that_teach_nothing_are_refused_in_words(losses):
    model = encoder()
    model.losses = lambda batch: losses
    with pytest.raises((TypeError, ValueError), match=r"^model.losses\(batch\) gave"):
        fit(model)


@pytest.mark.parametrize("where", ["no folder/a", "", "loop", "x" * 300, "fifo", "read-only", "/dev/null", "/proc/a"])
@pytest.mark.skipif(sys.platform == "win32", reason="files of Unix")
def test_a_checkpoint_that_cannot_be_written_is_found_out_before_the_first_step(where, tmp_path, monkeypatch):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "read-only").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: "read-only" not in str(path))  # root may write everywhere
    with pytest.raises(OSError, match="cannot be written: "):
        fit(encoder(), at_step(1, fail), checkpoint=tmp_path / where)
    assert sorted(os.listdir(tmp_path)) == ["fifo", "loop", "read-only"]


def test_a_disk_without_room_for_the_last_state_is_found_out_before_the_first_step(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total free")
    size = sum(p.numel() for p in encoder().parameters()) * 4
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 2 * size))  # the weights would fit, AdamW's not
    with pytest.raises(OSError, match="will need 0.02 MB, and 0.01 MB are free"):
        fit(encoder(), at_step(1, fail), checkpoint=tmp_path / "run")
    assert os.listdir(tmp_path) == []


# nothing is lost -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["draw", "losses", "the step"])
def test_an_exception_keeps_what_was_learnt_and_training_goes_on_to_the_same_numbers(place, tmp_path, monkeypatch):
    whole, stopped, resumed, file = encoder(), encoder(), encoder(seed=7), tmp_path / "run"
    expected = fit(whole).loss
    draw, taught = TASK.draw, 11
    if place == "draw":
        draw = at_step(12, fail)
    if place == "losses":
        calls, losses = [], stopped.losses
        stopped.losses = lambda batch: fail() if len(calls) == 11 else (calls.append(1), losses(batch))[1]
    with monkeypatch.context() as patched:
        if place == "the step":  # half of it is done: neither the old weights nor the new ones
            steps, step = [], torch.optim.AdamW.step

            def torn(self):
                steps.append(1)
                if len(steps) < 12:
                    return step(self)
                with torch.no_grad():
                    next(stopped.parameters()).add_(1)
                fail()

            patched.setattr(torch.optim.AdamW, "step", torn)
            patched.setattr(train, "KEPT_SHARE", 1e9)  # a copy at each step
        with pytest.raises(RuntimeError, match="a fault in draw") as raised:
            fit(stopped, draw, checkpoint=file)
    assert raised.value.history.loss == expected[:11] and raised.value.history.interrupted
    assert f"what {taught} of 30 steps have taught it. So does {file}" in raised.value.__notes__[0]
    assert saved_steps(file) == taught
    torch.testing.assert_close(weights(stopped), torch.cat([t.flatten() for t in parameters_in(file)]), rtol=0, atol=0)
    assert fit(resumed, checkpoint=file).loss == expected
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)


def parameters_in(file):
    tensors = load_file(file)
    return [tensors[f"model.{name}"] for name, _ in encoder().named_parameters()]


def test_the_file_is_there_before_the_first_step_and_is_saved_now_and_then(tmp_path, monkeypatch):
    file, found = tmp_path / "run", []
    monkeypatch.setattr(train, "SAVE_EVERY", 0)
    monkeypatch.setattr(train, "KEPT_SHARE", 1e9)

    def draw(B, generator):
        found.append(saved_steps(file))
        return TASK.draw(B, generator)

    fit(encoder(), draw, steps=5, checkpoint=file)
    assert found == [0, 0, 1, 2, 3] and saved_steps(file) == 5  # a state is saved when its next loss is known


def test_between_two_savings_nothing_is_written(tmp_path, monkeypatch):
    written, write = [], _checkpoint.write
    monkeypatch.setattr(_checkpoint, "write", lambda *args: (written.append(len(args[1]["loss"])), write(*args)))
    fit(encoder(), checkpoint=tmp_path / "run")
    assert written == [0, 30]


class Tied(nn.Module):
    """Weights in two places, views of one buffer, a buffer made by expand, numbers of many kinds, and a counter."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.embed, self.out, self.norm = nn.Embedding(5, 4), nn.Linear(4, 5), nn.BatchNorm1d(4)
        self.out.weight = self.embed.weight
        table = torch.rand(3, 4)
        for name, tensor in {
            "table": table,
            "row": table[1],
            "turned": table.T,
            "repeated": torch.full((1, 1), float(seed)).expand(3, 4),
            "hidden": torch.full((2, 2), -torch.inf),
            "none": torch.zeros(0),
            "short": torch.ones(2, dtype=torch.bfloat16),
            "flag": torch.tensor(True),
        }.items():
            self.register_buffer(name, tensor)
        self.calls = 0

    def losses(self, batch):
        self.calls += 1
        return F.cross_entropy(self.out(self.norm(self.embed(batch))), batch, reduction="none")


def letters(B, generator):
    return torch.randint(5, (B,), generator=generator)


def test_tied_weights_and_views_are_saved_and_stay_tied(tmp_path):
    whole, stopped, resumed, file = Tied(), Tied(), Tied(seed=1), tmp_path / "run"
    fit(whole, letters)
    with pytest.raises(RuntimeError, match="a fault in draw"):
        fit(stopped, at_step(20, fail, letters), checkpoint=file)
    fit(resumed, letters, checkpoint=file)
    assert resumed.out.weight is resumed.embed.weight and resumed.row.data_ptr() == resumed.table[1].data_ptr()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


def test_a_counter_in_a_model_makes_it_no_other_model(tmp_path):
    model, file = Tied(), tmp_path / "run"
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a fault in draw"):
            fit(model, at_step(10, fail, letters), checkpoint=file)
    assert saved_steps(file) == 18 and len(fit(model, letters, checkpoint=file).loss) == 30


def test_what_no_file_can_hold_is_refused_before_the_first_step(tmp_path):
    model = Tied()
    model.register_buffer("odd", torch.eye(3).to_sparse())
    with pytest.raises(TypeError, match="odd of the model is no plain tensor"):
        fit(model, at_step(1, fail, letters), checkpoint=tmp_path / "run")


def test_what_no_file_can_hold_trains_without_one():
    model = Tied()
    model.get_extra_state, model.set_extra_state = dict, lambda state: None
    model.register_buffer("odd", torch.eye(3).to_sparse())
    spoilt_from(20, model, float("nan"))
    with pytest.raises(FloatingPointError):
        fit(model, letters)
    assert weights(model).isfinite().all()


def test_a_long_setting_is_told_apart_too(tmp_path):
    for words, expected in ((["a"] * 999, None), (["a"] * 998 + ["b"], "words is .*… .* there and")):
        model = Tied()
        model.words = words
        if expected:
            with pytest.raises(ValueError, match=expected):
                fit(model, letters, steps=2, checkpoint=tmp_path / "run")
        else:
            fit(model, letters, steps=2, checkpoint=tmp_path / "run")


def full_disk(after):
    """A writer whose disk is full after so many savings."""
    write, written = _checkpoint.write, []

    def writing(*args):
        written.append(1)
        if after < len(written):
            raise OSError(28, "No space left on device")
        write(*args)

    return writing


def test_a_saving_that_fails_ends_nothing_and_is_told(tmp_path, monkeypatch):
    whole, model, file = encoder(), encoder(), tmp_path / "run"
    expected = fit(whole).loss
    monkeypatch.setattr(train, "SAVE_EVERY", 0)
    monkeypatch.setattr(train, "KEPT_SHARE", 1e9)
    monkeypatch.setattr(_checkpoint, "write", full_disk(after=6))
    with pytest.warns(RuntimeWarning) as told:
        history = fit(model, checkpoint=file)
    words = [str(warning.message) for warning in told]
    assert len(words) == 2 and "Step 5 could not be saved" in words[0] and "tries again" in words[0]
    assert f"Step 30 could not be saved in {file} (No space left on device)." == history.unsaved
    assert history.unsaved in words[1] and {warning.filename for warning in told} == {__file__}
    assert history.loss == expected and torch.equal(weights(model), weights(whole)) and saved_steps(file) == 4


def test_a_saving_that_fails_once_is_made_good(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "SAVE_EVERY", 0)
    with monkeypatch.context() as patched, pytest.warns(RuntimeWarning, match="tries again"):
        patched.setattr(_checkpoint, "write", full_disk(after=1))
        history = fit(encoder(), at_step(20, patched.undo), checkpoint=tmp_path / "run")
    assert not history.unsaved and saved_steps(tmp_path / "run") == 30


def test_the_history_survives_where_warnings_are_errors_and_where_an_exception_meets_a_full_disk(tmp_path, monkeypatch):
    with monkeypatch.context() as patched, warnings.catch_warnings(), pytest.raises(RuntimeWarning) as raised:
        patched.setattr(_checkpoint, "write", full_disk(after=1))
        warnings.simplefilter("error")
        fit(encoder(), checkpoint=tmp_path / "one")
    assert len(raised.value.history.loss) == 30
    monkeypatch.setattr(_checkpoint, "write", full_disk(after=1))
    with pytest.raises(RuntimeError, match="a fault in draw") as raised:
        fit(encoder(), at_step(10, fail), checkpoint=tmp_path / "two")
    assert len(raised.value.history.loss) == 9 and "Step 9 could not be saved" in raised.value.__notes__[0]


# a loss that is no number --------------------------------------------------------------------------------------------


def spoilt_from(call, model, value):
    """The model, whose losses are no numbers from one call on."""
    losses, calls = model.losses, []
    model.losses = lambda batch: (calls.append(1), losses(batch))[1] * (value if len(calls) >= call else 1)
    return model


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_no_number_stops_in_words_and_leaves_the_last_good_state(value, tmp_path, monkeypatch):
    file = tmp_path / "run"
    monkeypatch.setattr(train, "KEPT_SHARE", 1e9)
    model = spoilt_from(13, encoder(), value)
    with pytest.raises(
        FloatingPointError, match="In step 13, at a learning rate of .*Begin anew with a lower lr"
    ) as stop:
        fit(model, checkpoint=file)
    assert len(stop.value.history.loss) == 12  # finite; the weights after the twelfth step are those that broke
    assert saved_steps(file) == 11 and "what 11 of 30 steps have taught it" in stop.value.__notes__[0]
    assert torch.equal(weights(model), torch.cat([tensor.flatten() for tensor in parameters_in(file)]))
    sound = encoder()
    assert fit(sound, checkpoint=file).loss == fit(encoder()).loss


def test_a_training_that_breaks_never_overwrites_a_good_checkpoint(tmp_path):
    file = tmp_path / "run"
    with pytest.raises(RuntimeError, match="a fault in draw"):
        fit(encoder(), at_step(21, fail), checkpoint=file)
    with pytest.raises(FloatingPointError):
        fit(spoilt_from(1, encoder(), float("nan")), checkpoint=file)
    assert saved_steps(file) == 20 and fit(encoder(), checkpoint=file).loss == fit(encoder()).loss


@pytest.mark.parametrize("lr", [1e9, 1e30])
def test_a_learning_rate_far_too_high_is_told_and_leaves_finite_weights(lr, tmp_path):
    model = encoder()
    with pytest.raises(FloatingPointError):
        fit(model, lr=lr, steps=300, checkpoint=tmp_path / "run")
    assert weights(model).isfinite().all()
    assert all(tensor.isfinite().all() for tensor in parameters_in(tmp_path / "run"))


def test_weights_that_the_last_step_broke_are_told_too(tmp_path, monkeypatch):
    model, step = encoder(), torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: (step(self), model.norm.weight.data.fill_(torch.nan)))
    with pytest.raises(FloatingPointError, match="In the first step the weights after it are not finite"):
        fit(model, steps=1, checkpoint=tmp_path / "run")
    assert saved_steps(tmp_path / "run") == 0 and weights(model).isfinite().all()


# whose checkpoint it is ----------------------------------------------------------------------------------------------


def test_a_checkpoint_names_what_it_is_of(tmp_path):
    fit(encoder(window=3), steps=4, checkpoint=tmp_path / "run")
    with safe_open(tmp_path / "run", "pt") as file:
        about = json.loads(file.metadata()["about"])
    assert about["model"] == "Encoder" and about["modules"]["blocks.0.attention"] == "MultiHeadAttention"
    assert about["settings"]["blocks.0.attention.num_heads"] == "2" and about["settings"]["window"] == "3"
    assert about["parameters"] == sum(parameter.numel() for parameter in encoder().parameters())
    recipe = [about[name] for name in ("lr", "weight_decay", "batch_size", "seed", "steps", "step")]
    assert recipe == [3e-3, 0.01, 16, 0, 4, 4]
    assert about["optimiser"].startswith("AdamW") and about["draw"] == TASK.draw.__qualname__


@pytest.mark.parametrize(
    "other, words",
    [
        ({"num_heads": 4}, "num_heads is 2 there and 4 here"),
        ({"causal": True}, "causal is False there and True here"),
        ({"window": 2}, "window is None there and 2 here"),
        ({"positions": nn.Dropout(0.1)}, "positions is Identity there and Dropout here"),
        ({"mlp": 8}, "6 of 19 parameters differ"),
    ],
    ids=str,
)
def test_another_models_checkpoint_is_refused_also_where_the_shapes_are_equal(other, words, tmp_path):
    file = tmp_path / "run"
    fit(encoder(), steps=4, checkpoint=file)
    refused_untouched(file, encoder(seed=3, **other), f"belongs to another model.*{words}", steps=4)


def frozen(model):
    model.embed.requires_grad_(False)
    return model


def tied(model):
    model.embed[1].weight = model.embed[0].weight
    return model


@pytest.mark.parametrize(
    "before, after, words",
    [
        (frozen, None, "embed.0.weight is frozen there and learned here"),
        (None, frozen, "embed.0.weight is learned there and frozen here"),
        (tied, None, "embed.1.weight is the same as embed.0.weight there and learned here"),
        (None, tied, "embed.1.weight is learned there and the same as embed.0.weight here"),
    ],
)
def test_a_checkpoint_with_other_parts_frozen_or_tied_is_refused(before, after, words, tmp_path):
    made = [change(encoder()) if change in (frozen, tied) else encoder() for change in (before, after)]
    with pytest.raises(RuntimeError, match="a fault in draw"):
        fit(made[0], at_step(10, fail), checkpoint=tmp_path / "run")
    refused_untouched(tmp_path / "run", made[1], f"belongs to another model.*{words}", steps=30)


@pytest.mark.parametrize("change", [frozen, tied])
def test_a_model_with_frozen_or_tied_parts_goes_on_to_the_same_numbers(change, tmp_path):
    whole = fit(change(encoder())).loss
    with pytest.raises(RuntimeError, match="a fault in draw"):
        fit(change(encoder()), at_step(10, fail), checkpoint=tmp_path / "run")
    assert fit(change(encoder(seed=3)), checkpoint=tmp_path / "run").loss == whole


@pytest.mark.parametrize("other", [{"lr": 1e-2}, {"weight_decay": 0.5}, {"batch_size": 8}, {"seed": 3}], ids=str)
def test_another_recipe_is_refused_with_both_numbers(other, tmp_path):
    file = tmp_path / "run"
    fit(encoder(), steps=4, checkpoint=file)
    (name, value), *_ = other.items()
    refused_untouched(file, encoder(seed=3), f"was trained with {name}=.*asks for {name}={value}", steps=4, **other)


def refused_untouched(file, model, words, **options):
    content, before, mode = file.read_bytes(), weights(model), model.training
    with pytest.raises(ValueError, match=words):
        fit(model, at_step(1, fail), checkpoint=file, **options)
    assert torch.equal(weights(model), before) and model.training == mode
    assert file.read_bytes() == content and os.listdir(file.parent) == [file.name]


def test_a_training_can_be_made_longer_which_is_told_and_not_shorter_than_it_is(tmp_path):
    file = tmp_path / "run"
    history = fit(encoder(), steps=4, checkpoint=file)
    refused_untouched(file, encoder(), "has 4 steps behind it, more than steps=3", steps=3)
    with pytest.warns(UserWarning, match="begun as a training of 4 steps and goes on, after 4, as one of 8"):
        longer = fit(encoder(), steps=8, checkpoint=file)
    assert longer.loss[:4] == history.loss and len(longer.loss) == 8


def test_another_draw_is_told(tmp_path):
    fit(encoder(), steps=4, checkpoint=tmp_path / "run")
    with pytest.warns(UserWarning, match="was trained on lookup.<locals>.draw and goes on with .*<lambda>"):
        fit(encoder(), lambda B, generator: TASK.draw(B, generator), steps=4, checkpoint=tmp_path / "run")


def test_a_training_that_is_over_gives_its_losses_again_and_takes_no_step(tmp_path):
    history, model = fit(encoder(), checkpoint=tmp_path / "run"), encoder(seed=3)
    again = fit(model, at_step(1, fail), checkpoint=tmp_path / "run")
    assert again.loss == history.loss and not again.interrupted


def test_a_flipped_bit_anywhere_is_refused_and_nothing_is_replaced(tmp_path):
    file, chance = tmp_path / "run", random.Random(0)
    fit(encoder(), steps=4, checkpoint=file)
    content = file.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for trial in range(80):
        place = chance.randrange(header) if trial % 2 else chance.randrange(header, len(content))
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << chance.randrange(8)
        file.write_bytes(spoilt)
        refused_untouched(file, encoder(seed=3), "is not a whole checkpoint", steps=4)


def without_names(file):
    """The file as it was written before checkpoints named what they are of; its tensors."""
    tensors = load_file(file)
    save_file(tensors, file)
    return tensors


def test_a_checkpoint_of_before_they_had_names_is_gone_on_from(tmp_path):
    file, resumed = tmp_path / "run", encoder(seed=3)
    with pytest.raises(RuntimeError, match="a fault in draw"):
        fit(encoder(), at_step(10, fail), checkpoint=file)
    without_names(file)
    assert fit(resumed, checkpoint=file).loss == fit(encoder()).loss and _checkpoint.read(file)[1]["step"] == 30


@pytest.mark.parametrize(
    "part, change",
    [
        ("loss", None),
        ("loss", torch.zeros(2, 2, dtype=torch.float64)),
        ("loss", torch.full((4,), torch.nan, dtype=torch.float64)),
        ("generator", None),
        ("generator", torch.zeros(3, dtype=torch.uint8)),
        ("optimiser.0.exp_avg", None),
        ("optimiser.0.exp_avg", torch.zeros(2)),
        ("optimiser.0.step", torch.zeros(2)),
        ("optimiser.x.step", torch.zeros(())),
        ("optimiser.99.step", torch.zeros(())),
        ("optimiser", torch.zeros(())),
        ("model.norm.weight", torch.full((16,), torch.nan)),
    ],
    ids=str,
)
def test_every_part_is_looked_at_before_the_first_is_replaced(part, change, tmp_path):
    file = tmp_path / "run"
    fit(encoder(), steps=4, checkpoint=file)
    tensors = without_names(file)
    if part == "optimiser":
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("optimiser")}
    elif change is None:
        del tensors[part]
    else:
        tensors[part] = change
    save_file(tensors, file)
    refused_untouched(file, encoder(seed=3), "is not a whole checkpoint", steps=4)


# one file, several writers -------------------------------------------------------------------------------------------


def test_a_second_training_of_the_same_file_is_told_and_the_first_ends_well(tmp_path):
    file, link, told = tmp_path / "run", tmp_path / "link", []
    link.symlink_to(file)

    def second():
        for name in file, link:
            try:
                fit(encoder(), checkpoint=name)
            except OSError as error:
                told.append(str(error))

    def elsewhere():
        second()  # in the midst of the first
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    fit(encoder(), at_step(5, elsewhere), checkpoint=file)
    assert len(told) == 4 and all(
        f"another training writes it at this moment (process {os.getpid()})" in t for t in told
    )
    assert saved_steps(file) == 30 and sorted(os.listdir(tmp_path)) == ["link", "run"]


def test_what_a_killed_training_left_half_written_is_removed_and_nothing_else(tmp_path):
    left, others = ".run.a1b2c3_4.partial", {".run.other.a1b2c3_4.partial", "run.partial", ".run.lock2"}
    for name in {left, ".run.lock"} | others:
        (tmp_path / name).touch()
    fit(encoder(), steps=2, checkpoint=tmp_path / "run")
    assert set(os.listdir(tmp_path)) == others | {"run"}


def test_what_is_recorded_was_trained_to_the_end():
    stopped = at_step(10, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match="after 10 steps"):
        train.fit_whole(encoder(), stopped, steps=60, batch_size=16, progress=False)


def test_no_recording_and_no_claim_keeps_a_training_that_was_stopped():
    root = Path(__file__).parents[2]
    programs = [*root.glob("data/*.py"), *root.glob("claims/*.py")]
    assert programs and [path.name for path in programs if "train.fit(" in path.read_text(encoding="utf-8")] == []
