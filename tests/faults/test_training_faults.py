"""Training under kill -9, interrupts, full disks and two writers: nothing is lost, and nothing is silent."""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from mha_lab import _checkpoint, models, tasks, train

pytestmark = pytest.mark.faults
resource = pytest.importorskip("resource", reason="signals and limits of Unix")
TASK = tasks.lookup(4, 4, 1)
STEPS = 1500
TRIALS = 20


def fit(model, file=None, draw=TASK.draw, steps=STEPS):
    return train.fit(model, draw, steps=steps, batch_size=16, progress=False, checkpoint=file)


def encoder(seed=0):
    torch.manual_seed(seed)
    return models.Encoder(TASK.vocabularies, TASK.answers, d_model=16, num_heads=2)


def trains(file, save_every, begun):
    """What a process of its own does: a training that an interrupt ends in good order."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process may have been told to ignore it
    torch.set_num_threads(1)
    train.SAVE_EVERY = save_every
    begun.set()
    with suppress(KeyboardInterrupt):  # one that came before or after the training
        fit(encoder(seed=1), file)


@pytest.fixture(scope="module")
def processes():
    """New processes that need not import everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mha_lab.models", "mha_lab.tasks", "mha_lab.train", "torch._dynamo"])
    return context


@pytest.fixture(scope="module")
def undisturbed():
    torch.set_num_threads(1)
    model = encoder(seed=1)
    return fit(model).loss, model.state_dict()


def started(processes, file, save_every):
    begun = processes.Event()
    process = processes.Process(target=trains, args=(file, save_every, begun))
    process.start()
    assert begun.wait(60)
    return process


def disturbed(processes, file, save_every, numbers, seed):
    """Train to the end, with each of these lists of signals sent at a random moment; steps that each process left."""
    chance, found = random.Random(seed), [0]
    for _ in range(TRIALS):
        if found[-1] == STEPS:  # begin anew, so that every trial disturbs a training
            file.unlink(missing_ok=True)
        process = started(processes, file, save_every)
        time.sleep(chance.uniform(0, 0.3))
        for number in numbers:
            with suppress(ProcessLookupError):  # it has ended
                os.kill(process.pid, number)
            time.sleep(chance.uniform(0, 0.01))
        process.join(60)
        assert process.exitcode is not None, "it hangs"
        assert signal.SIGINT in numbers or process.exitcode in (0, -numbers[0]), "it failed of its own"
        if file.exists():  # the signal may have come before anything was written
            steps = len(_checkpoint.read(file)[0]["loss"])  # read verifies every bit
            assert steps >= found[-1] % STEPS, "steps that were saved are gone"
            found.append(steps)
    return found[1:]


def is_as_undisturbed(file, undisturbed):
    losses, weights = undisturbed
    model = encoder(seed=2)
    assert fit(model, file).loss == losses
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize(
    "numbers, save_every",
    [
        ([signal.SIGKILL], 0),
        ([signal.SIGKILL], 60),
        ([signal.SIGINT], 60),
        ([signal.SIGINT] * 2, 60),
        ([signal.SIGINT] * 4, 0),
        ([signal.SIGTERM], 60),
    ],
    ids=lambda value: "+".join(number.name for number in value) if isinstance(value, list) else f"{value} s",
)
def test_signals_at_random_moments_lose_nothing_that_was_saved(numbers, save_every, processes, undisturbed, tmp_path):
    file = tmp_path / "run"
    steps = disturbed(processes, file, save_every, numbers, seed=len(numbers))
    if numbers == [signal.SIGKILL] and save_every:
        assert set(steps) <= {0, STEPS}  # a kill costs what came after the last saving, here the first
    else:
        assert len(set(steps)) > 3  # it went on, again and again
    is_as_undisturbed(file, undisturbed)


def test_a_terminated_training_has_saved_and_ends_as_terminated(processes, tmp_path):
    file = tmp_path / "run"
    process = started(processes, file, save_every=60)
    time.sleep(0.2)
    process.terminate()
    process.join(60)
    assert process.exitcode == -signal.SIGTERM and len(_checkpoint.read(file)[0]["loss"]) > 0


# two writers ---------------------------------------------------------------------------------------------------------


def competes(file, answers):
    torch.set_num_threads(1)
    train.SAVE_EVERY = 0
    try:
        answers.put(len(fit(encoder(seed=1), file, steps=400).loss))
    except OSError as error:
        answers.put(str(error))


def test_of_two_trainings_of_one_file_one_ends_well_and_the_other_is_told(processes, tmp_path):
    for race in range(5):
        file, answers = tmp_path / f"run{race}", processes.Queue()
        both = [processes.Process(target=competes, args=(file, answers)) for _ in range(2)]
        for process in both:
            process.start()
        told = sorted([answers.get(timeout=60) for _ in both], key=str)
        for process in both:
            process.join(60)
        assert told[0] == 400 and len(_checkpoint.read(file)[0]["loss"]) == 400
        if told[1] != 400:  # else the second began when the first had ended, and found its work done
            assert "another training writes it at this moment" in told[1]
    assert sorted(os.listdir(tmp_path)) == [f"run{race}" for race in range(5)]


# full disks ----------------------------------------------------------------------------------------------------------

FULL = """
import os, sys, warnings
from pathlib import Path
import torch
sys.path.insert(0, {here!r})
from test_training_faults import TASK, encoder, fit, train
from mha_lab import _checkpoint

torch.set_num_threads(1)
train.SAVE_EVERY = 0
folder, drawn = Path({folder!r}), []
file, ballast = folder / "run", folder / "ballast"

def fill():
    with ballast.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            pass

def draw(B, generator):
    drawn.append(B)
    if len(drawn) == 50:
        fill()
    if len(drawn) == {room_at}:
        ballast.unlink()
    return TASK.draw(B, generator)

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    history = fit(encoder(seed=1), file, draw, steps=200)
words = [str(warning.message) for warning in told]
saved = len(_checkpoint.read(file)[0]["loss"])
assert len(history.loss) == 200, history
assert "No space left on device" in words[0] and "tries again" in words[0], words
if {room_at} <= 200:
    assert saved == 200 and len(words) == 1 and not history.unsaved, (saved, words)
else:
    assert 0 < saved <= 50 and len(words) == 2 and history.unsaved in words[1], (saved, words)
    ballast.unlink()
    assert fit(encoder(seed=1), file, TASK.draw, steps=200).loss == history.loss
    fill()
    try:
        fit(encoder(seed=1), folder / "second", draw, steps=200)
        raise SystemExit("a full disk was not found out")
    except OSError as error:
        assert "cannot be written" in str(error), error
    ballast.unlink()
assert os.listdir(folder) == ["run"], os.listdir(folder)
print("nothing lost")
"""


def small_disk(folder):
    """The command that runs something where `folder` is a disk of 1 MB, or None where this machine allows none."""
    if not shutil.which("unshare"):
        return None
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--user", "--map-root-user"]
    command = [*own, "sh", "-c", f"mount -t tmpfs -o size=1m none '{folder}' && exec \"$@\"", "sh"]
    return command if subprocess.run([*command, "true"], capture_output=True).returncode == 0 else None


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk is made by Linux")
@pytest.mark.parametrize("room_at", [120, 999], ids=["there is room again", "there is none till the end"])
def test_a_full_disk_loses_nothing_and_is_told(room_at, tmp_path):
    command = small_disk(tmp_path)
    if command is None:
        pytest.skip("no disk may be mounted here")
    code = FULL.format(here=str(Path(__file__).parent), folder=str(tmp_path), room_at=room_at)
    answer = subprocess.run([*command, sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert answer.stdout == "nothing lost\n", answer.stderr


def reaches_its_limit(file, answers):
    """A process that may write no file of more than some bytes, as a quota has it: enough for the first state only."""
    torch.set_num_threads(1)
    train.SAVE_EVERY = 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    history = fit(encoder(seed=1), file, steps=200)
    answers.put((len(history.loss), history.unsaved))


def test_a_quota_that_is_reached_loses_nothing_and_is_told(processes, tmp_path):
    file, answers = tmp_path / "run", processes.Queue()
    process = processes.Process(target=reaches_its_limit, args=(file, answers))
    process.start()
    steps, unsaved = answers.get(timeout=60)
    process.join(60)
    assert steps == 200 and f"Step 200 could not be saved in {file} (File too large)" in unsaved
    assert len(_checkpoint.read(file)[0]["loss"]) == 0 and os.listdir(tmp_path) == ["run"]
