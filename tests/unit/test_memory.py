"""Memory is asked for before it is taken, and the answer is a sentence."""

import math
import subprocess
import sys

import psutil
import pytest
import torch

from mha_lab import memory


def test_what_would_not_fit_is_refused_with_both_amounts(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 10 * 2**30)
    memory.require_memory(9 * 2**30)
    with pytest.raises(MemoryError, match=r"about 9\.5 GiB .* 10\.0 GiB are free"):
        memory.require_memory(int(9.5 * 2**30))
    with pytest.raises(MemoryError, match=r"about 1,024\.5 TiB"):
        memory.require_memory(2**50 + 2**39)
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**20)
    with pytest.raises(MemoryError, match=r"about 300 MiB .* 1 MiB are free"):
        memory.require_memory(300 * 2**20)


def test_free_memory_is_no_more_than_the_machine_has():
    assert 0 < memory.free_memory() <= psutil.virtual_memory().total
    with pytest.raises(MemoryError):
        memory.require_memory(psutil.virtual_memory().total)


@pytest.mark.parametrize("version", [1, 2])
def test_free_memory_stays_within_the_limit_of_a_container(version, tmp_path):
    folder = tmp_path if version == 2 else tmp_path / "memory"
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    counts = "anon 700\ninactive_file 200\n" + ("" if version == 2 else "total_inactive_file 250\n")
    folder.mkdir(exist_ok=True)
    for name, text in zip((*names, "memory.stat"), ("1000\n", "900\n", counts)):
        (folder / name).write_text(text)
    assert memory._container_leaves(tmp_path) == 100 + (200 if version == 2 else 250)


def test_without_a_limit_a_container_leaves_everything(tmp_path):
    assert memory._container_leaves(tmp_path) > 2**60
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._container_leaves(tmp_path) > 2**60


@pytest.mark.parametrize("size", [math.nan, -5, math.inf, "10 GB"])
def test_what_is_no_number_of_bytes_is_refused(size):
    with pytest.raises(ValueError, match="must be a number of bytes"):
        memory.require_memory(size)


def test_shapes_without_numbers_need_no_memory():
    memory.require_memory(2**60, device="meta")
    with torch.device("meta"):
        memory.require_if_large(2**60)


def test_little_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 0)
    memory.require_if_large(memory.LARGE - 1)
    with pytest.raises(MemoryError):
        memory.require_if_large(memory.LARGE)


SHAPES_ONLY = """
import sys
import torch
from mha_lab import models
from mha_lab.memory import shapes_only
with shapes_only():
    parts = torch.nn.Embedding(5, 3), torch.nn.LSTM(3, 4), torch.nn.Linear(4, 2), torch.nn.Conv1d(2, 2, 3)
assert all(p.device.type == "meta" for part in parts for p in part.parameters())
models.trained_intent_model("BiLSTM")
assert not {"sympy", "torch._dynamo"} & set(sys.modules)
"""


def test_shapes_without_numbers_need_none_of_torchs_tools_for_tracing():
    """They are 70 MB in every kernel of a class, and two seconds before a model is there."""
    subprocess.run([sys.executable, "-c", SHAPES_ONLY], check=True)


def test_making_shapes_only_draws_no_random_number():
    before = torch.get_rng_state()
    with memory.shapes_only():
        torch.nn.Embedding(5, 3)
    assert torch.equal(torch.get_rng_state(), before)
