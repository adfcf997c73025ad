"""What the lessons need is in the package: a wheel holds it, and it is found in a clone, installed, in a zip."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from mha_lab import _data

ROOT = Path(__file__).parents[2]
EVERY_RECORDING = """
import mha_lab
from mha_lab import long_sequences, models, pretrained, published, tasks, widgets
print(mha_lab.__file__)
for module in long_sequences, models, pretrained, tasks:
    for name in sorted(vars(module)):
        if name.startswith("recorded"):
            getattr(module, name)()
            print(module.__name__, name)
from mha_lab.models.intents import TRAINED
for name in TRAINED:
    print(len(models.trained_intent_model(name).state_dict()))
print(widgets.HeadExplorer.from_projection(*pretrained.recorded_projection(), num_heads=12).timings[0]["machine"])
print(len(tasks.recorded_head_counts().readings))
print(len(published.MODELS))
"""
"""Each was verified by its checksum while it was read."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    run = subprocess.run(build, capture_output=True, text=True)
    if run.returncode and "hatchling" in run.stderr:
        pytest.skip("hatchling, which builds wheels, cannot be fetched: there is no network.")
    assert run.returncode == 0, run.stderr
    return next(folder.glob("mha_lab-*.whl"))


def printed(python, folder, *, path=""):
    """What every recording holds, as read by another Python whose folder and PYTHONPATH know nothing of this clone; the
    place of the package comes first."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(path)} if path else {}
    run = subprocess.run([python, "-c", EVERY_RECORDING], cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    place, _, content = run.stdout.partition("\n")
    return Path(place), content


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return printed(sys.executable, tmp_path_factory.mktemp("elsewhere"), path=ROOT)


def test_a_wheel_holds_every_recording_and_nothing_that_makes_them(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {path.name for path in _data.FOLDER.iterdir()} == {
        Path(name).name for name in names if name.startswith("mha_lab/data/")
    }
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"mha_lab"}


def test_a_wheel_holds_the_explorers_bundles_and_not_their_sources(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    bundles = {path.name for path in (ROOT / "mha_lab/widgets/static").iterdir()}
    assert {Path(name).name for name in names if name.startswith("mha_lab/widgets/static/")} == bundles
    assert [name for name in names if "frontend" in name or "node_modules" in name] == []


def test_an_installed_wheel_reads_every_recording_as_the_clone_does(wheel, here, tmp_path):
    """In an empty environment that shares only other people's packages with this one."""
    venv.create(tmp_path / "env", symlinks=os.name != "nt")
    python = tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    site = next((tmp_path / "env").rglob("mha_lab")).parent
    (site / "others.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    place, content = printed(python, tmp_path)
    assert place == site / "mha_lab" / "__init__.py"
    assert content == here[1] and content.count("recorded") >= 12


def test_a_wheel_that_is_not_even_unpacked_reads_them_too(wheel, here, tmp_path):
    place, content = printed(sys.executable, tmp_path, path=wheel)
    assert place == wheel / "mha_lab" / "__init__.py"
    assert content == here[1] and content.count("recorded") >= 12


def test_a_zip_whose_recording_was_altered_says_so_in_one_sentence(tmp_path):
    with zipfile.ZipFile(tmp_path / "lab.zip", "w") as archive:
        archive.writestr("mha_lab/data/speech.wav", b"noise")
        archive.writestr("mha_lab/data/windows.npz", b"some bytes that lie in the zip as they are")
    content = (tmp_path / "lab.zip").read_bytes()
    (tmp_path / "lab.zip").write_bytes(content.replace(b"some bytes", b"same bytes"))
    folder = zipfile.Path(tmp_path / "lab.zip") / "mha_lab" / "data"
    for name, problem in ("speech.wav", "its sha256 is"), ("windows.npz", "Bad CRC-32"):
        with pytest.raises(ValueError, match=f"{name} was altered or cut short: {problem}.*; fetch the zip that it"):
            _data.read(folder / name, "0" * 64)
    with pytest.raises(FileNotFoundError, match=r"timings.json is missing; fetch the zip that"):
        _data.read(folder / "timings.json", "0" * 64)
    with pytest.raises(ValueError, match="is no file"):
        _data.read(folder, "0" * 64)
