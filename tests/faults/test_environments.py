"""Twenty settings that people have: a lesson's numbers and figures are the same in each, to the pixel."""

import base64
import io
import os
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import run_notebooks
from nbclient import NotebookClient
from PIL import Image

import mha_lab

SOURCES = (
    """
import importlib, pkgutil
import mha_lab
for module in pkgutil.walk_packages(mha_lab.__path__, "mha_lab."):
    importlib.import_module(module.name)
""",
    """
import numpy as np
import torch
from mha_lab import MultiHeadAttention, checks, cost, plots, pretrained, tasks, widgets
tokens = "The 奖杯 costs $5 or $6".split()
x = torch.linspace(-1, 1, len(tokens) * 8).reshape(1, len(tokens), 8).sin()
layer = MultiHeadAttention(8, 2)
for parameter in layer.parameters():
    parameter.data = torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape).cos() / 4
output, weights = layer(x, causal=True, need_weights=True)
print(np.round(output.detach().numpy()[0, :, 0].astype(float), 3).tolist())
print(np.round(weights.detach().numpy()[0, 1, -1].astype(float), 3).tolist())
print(cost.parameters(768, 12), sum(len(recording.tokens) for recording in pretrained.recorded()))
print(tasks.lookup().draw(3, torch.Generator().manual_seed(0)).right.sum().item())
""",
    """
plots.attention_map(weights[0, 1].detach(), tokens);
""",
    """
widgets.HeadExplorer(pretrained.recorded())
""",
)
SITE = "import torch\ntorch.set_default_dtype(torch.float64)\n"
RC = {
    "usetex": "text.usetex: True",
    "upside down, blurred and with a grid": "image.origin: lower\nimage.interpolation: bilinear\n"
    "axes.grid: True\ngrid.color: red",
    "dark, coarse, and a font that is not here": "figure.facecolor: black\ntext.color: white\nxtick.color: white\n"
    "savefig.dpi: 40\nfont.family: No Such Font\nfont.size: 30",
    "another backend": "backend: svg",
}
# Settings that have nothing to do with each other share a run: a run takes seconds.
ENVIRONMENTS = {
    "MPLBACKEND=Agg, COLUMNS=30": {"MPLBACKEND": "Agg", "COLUMNS": "30", "LINES": "3"},
    "MPLBACKEND=svg, TZ": {"MPLBACKEND": "svg", "TZ": "Asia/Kathmandu"},
    "no home, no temporary folder": {
        **dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), "/proc/nowhere"),
        "TMPDIR": "/proc/nowhere",
    },
    "LC_ALL=C, PYTHONHASHSEED": {"LC_ALL": "C", "PYTHONHASHSEED": "4242"},
    "LC_ALL=C without UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "PYTHONUTF8=0, OMP_NUM_THREADS=7": {"PYTHONUTF8": "0", "OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": "3"},
    "python -OO, no byte code": {"PYTHONOPTIMIZE": "2", "PYTHONDONTWRITEBYTECODE": "1"},
    "python -X dev, OMP_NUM_THREADS=1": {"PYTHONDEVMODE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "3"},
}


def run(environment, folder):
    """(what is printed, the pictures) of the lesson, as a kernel in this environment and folder gives it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source.strip()) for source in SOURCES])
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        timeout=120,
        extra_arguments=["--log-level=ERROR"],
    )
    client.execute(env={**os.environ, **environment})
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return printed, [np.asarray(Image.open(io.BytesIO(base64.b64decode(p))).convert("RGB"), int) for p in pictures]


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """What every environment must give: what this one gives without the settings of whoever runs the tests."""
    with run_notebooks.own_settings():
        printed, pictures = run({}, tmp_path_factory.mktemp("usual"))
        assert len(printed.splitlines()) == 4 and len(pictures) == 2
        yield printed, pictures


def assert_as_usual(usual, environment, folder):
    printed, pictures = run(environment, folder)
    assert printed == usual[0]
    assert [picture.shape for picture in pictures] == [picture.shape for picture in usual[1]]
    for picture, expected in zip(pictures, usual[1]):
        assert abs(picture - expected).max() <= 2, "another picture"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_lesson_is_the_same_with(name, usual, tmp_path):
    assert_as_usual(usual, ENVIRONMENTS[name], tmp_path)


@pytest.mark.parametrize("name", RC)
def test_a_lesson_is_the_same_with_a_matplotlibrc_of(name, usual, tmp_path):
    (tmp_path / "matplotlibrc").write_text(RC[name] + "\n")
    assert_as_usual(usual, {"MATPLOTLIBRC": str(tmp_path)}, tmp_path)


def test_a_lesson_is_the_same_where_64_bits_are_the_default(usual, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SITE)
    assert_as_usual(usual, {"PYTHONPATH": str(tmp_path)}, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc may not be written, not even by root")
def test_a_lesson_is_the_same_in_a_folder_that_may_not_be_written(usual):
    assert_as_usual(usual, {}, "/proc")


def test_a_lesson_is_the_same_in_a_path_of_chinese_letters_and_spaces(usual, tmp_path):
    folder = tmp_path / "多头 注意力 (2)"
    shutil.copytree(Path(mha_lab.__file__).parent, folder / "mha_lab", ignore=shutil.ignore_patterns("__pycache__"))
    assert_as_usual(usual, {"PYTHONPATH": str(folder), "LC_ALL": "C"}, folder)
