"""Every recording and every file of a model × what can happen to a file: one sentence, at once, and no code is run.

The recordings are tried in a copy of the package, in a Python of its own: this file is also the program that it runs.
"""

import io
import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

PACKAGE = Path(__file__).parents[2] / "mha_lab"
FILES = sorted(path.name for path in (PACKAGE / "data").iterdir())
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 357472\n"
SPARSE = 40 * 10**9
AT_ONCE = 2.0  # seconds, on a busy core

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows knows no pipes and devices among its files.")


class Runs:
    """What leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def npz(mark):
    file = io.BytesIO()
    np.savez(file, sentences=np.array([Runs(mark)], dtype=object))
    return file.getvalue()


def other_bytes(change):
    """A fault that writes other bytes: `change(content, mark)`."""

    def fault(path, mark):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(changed := change(content, mark))
        assert changed != content

    return fault


def in_its_place(make):
    """A fault that puts something else in the file's place: `make(path)`."""

    def fault(path, mark):
        path.unlink()
        make(path)

    return fault


def sparse(path):
    path.touch()
    os.truncate(path, SPARSE)


CHANGED = {
    "empty": other_bytes(lambda content, mark: b""),
    "cut": other_bytes(lambda content, mark: content[:-1]),
    "halved": other_bytes(lambda content, mark: content[: len(content) // 2]),
    "one bit": other_bytes(lambda content, mark: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]),
    "one byte more": other_bytes(lambda content, mark: content + b"\0"),
    "another file": other_bytes(lambda content, mark: Path(__file__).read_bytes()),
    "pickle with code": other_bytes(lambda content, mark: pickle.dumps(Runs(mark))),
    "npz with code": other_bytes(lambda content, mark: npz(mark)),
    "LFS pointer": other_bytes(lambda content, mark: LFS_POINTER),
    "CR LF": other_bytes(lambda content, mark: content.replace(b"\n", b"\r\n")),
}
MISSING = {
    "missing": in_its_place(lambda path: None),
    "dangling link": in_its_place(lambda path: path.symlink_to("nowhere")),
}
REPLACED = {
    "link to /dev/null": in_its_place(lambda path: path.symlink_to("/dev/null")),
    "link to /dev/zero": in_its_place(lambda path: path.symlink_to("/dev/zero")),
    "folder": in_its_place(Path.mkdir),
    "pipe": in_its_place(os.mkfifo) if hasattr(os, "mkfifo") else None,
    "link to itself": in_its_place(lambda path: path.symlink_to(path.name)),
    "40 GB": in_its_place(sparse),
    "no right to read": lambda path, mark: path.chmod(0),
}
FAULTS = CHANGED | MISSING | REPLACED


@contextmanager
def without_rights():
    """Root may read everything: so for a while we are nobody."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def tried(load, fault):
    """The error's kind and words, or None where it loads, and the seconds that it took."""
    start = time.perf_counter()
    try:
        if fault == "no right to read":
            with without_rights():
                load()
        else:
            load()
    except Exception as error:
        return type(error).__name__, str(error), time.perf_counter() - start
    return None, "", time.perf_counter() - start


@contextmanager
def damaged(path, fault, mark):
    """The file with the fault; afterwards as it was."""
    kept, mode = path.read_bytes(), path.stat().st_mode
    FAULTS[fault](path, mark)
    try:
        yield
    finally:
        if stat.S_ISDIR(path.lstat().st_mode if os.path.lexists(path) else 0):
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(kept)
        path.chmod(mode)  # whatever the umask is: other recordings' loads, without rights, read it too


def expected(fault):
    return "FileNotFoundError" if fault in MISSING else "ValueError"


def program(mark):
    """Runs in a copy of the package: each fault of each recording, as JSON."""
    from mha_lab import _data, long_sequences, models, pretrained, tasks
    from mha_lab.models.intents import TRAINED
    from mha_lab.tasks import memories_results
    from mha_lab.widgets import _timings

    counts = tasks.recorded_head_counts()
    read_by = {
        "digit_readers.safetensors": [tasks.recorded_digit_readers],
        "head_counts.npz": [tasks.recorded_head_counts],
        "head_maps.npz": [lambda: tasks.HeadCounts.readings.func(counts)],  # anew, and this file alone
        "intent_speed.npz": [tasks.recorded_intent_speed],
        "intents.npz": [tasks.recorded_intents],
        "long_sequences.npz": [long_sequences.recorded],
        "memories.npz": [memories_results.recorded_memories],
        "minilm_ablations.npz": [pretrained.recorded_ablations],
        "minilm_attention.npz": [pretrained.recorded, pretrained.recorded_projection],
        "minilm_intents.npz": [tasks.recorded_minilm_intents],
        "minilm_layer.npz": [pretrained.recorded_word, pretrained.recorded_heads],
        "modern.npz": [tasks.recorded_modern],
        "names.npz": [tasks.recorded_names],
        "smollm2.npz": [pretrained.recorded_smollm2],
        "smollm2_step.npz": [pretrained.inside_smollm2],
        "speech.wav": [pretrained.recorded_speech],
        "timings.json": [_timings.recorded_timings],
        "trained_heads.npz": [tasks.recorded_heads],
        "translators.safetensors": [models.recorded_translators],
        "whisper.npz": [pretrained.recorded_transcript],
        "windows.npz": [tasks.recorded_windows],
    }
    for name in TRAINED:
        read_by[models.intent_checkpoint(name).name] = [lambda name=name: models.trained_intent_model(name)]
    found = []
    for name, loads in read_by.items():
        for load in loads:
            found.append((name, "none", *tried(load, "none")))  # and whatever is imported late is now
            for fault in FAULTS:
                with damaged(_data.FOLDER / name, fault, mark):
                    found.append((name, fault, *tried(load, fault)))
            found.append((name, "mended", *tried(load, "none")))
    print(json.dumps(found))


@pytest.fixture(scope="module")
def copy():
    """A folder that everybody may enter, which pytest's own are not: without rights only the file shall be closed."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def found(copy):
    shutil.copytree(PACKAGE, copy / "mha_lab", ignore=shutil.ignore_patterns("__pycache__"))
    run = subprocess.run(
        [sys.executable, __file__, copy / "mark"],
        env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert run.returncode == 0, run.stderr
    assert not (copy / "mark").exists()
    return json.loads(run.stdout), copy / "mha_lab" / "data"


def test_every_recording_is_tried_and_loads_before_and_after(found):
    results, _ = found
    assert {name for name, *_ in results} == set(FILES)
    assert [r for r in results if r[1] in ("none", "mended") and r[2]] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_recording_gets_one_sentence_at_once_and_runs_no_code(found, fault):
    results, folder = found
    faulty = [result for result in results if result[1] == fault]
    assert len(faulty) > len(FILES)
    for name, _, kind, words, seconds in faulty:
        assert kind == expected(fault), (name, kind, words)
        assert words.startswith(f"{folder / name} ") and "\n" not in words, words
        assert words.endswith(
            "; install mha-lab again, from where you have it, with `pip install --force-reinstall --no-deps`."
        ), words
        assert seconds < AT_ONCE, (name, seconds)


@pytest.mark.parametrize("fault", ["missing", "a file", "a link to itself", "empty"])
def test_a_folder_of_recordings_that_is_none_gets_one_sentence(fault, tmp_path):
    from mha_lab import _data

    folder = tmp_path / "mha_lab" / "data"
    folder.parent.mkdir()
    {
        "missing": lambda: None,
        "a file": folder.touch,
        "a link to itself": lambda: folder.symlink_to("data"),
        "empty": folder.mkdir,
    }[fault]()
    with pytest.raises((FileNotFoundError, ValueError), match=r"^[^\n]+; install mha-lab again[^\n]+\.$"):
        _data.read(folder / "speech.wav", "0" * 64)


# Somebody's own model, whose bytes nobody knows beforehand


UNKNOWABLE = {"one bit", "one byte more", "cut", "CR LF"}  # it may be read as another model


@pytest.fixture
def model_folder(tmp_path, monkeypatch):
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is absent: run `make models`.")
    from safetensors.torch import save_file

    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "unit"))
    from test_model_files import CONFIGS, bert, theirs

    from mha_lab.pretrained import Bert

    model = Bert(vocabulary=20, max_tokens=16, d_model=8, num_heads=2, num_layers=2, d_hidden=12)
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(theirs(model, bert._NAMES), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIGS[Bert]))
    tokenizers.Tokenizer(tokenizers.models.WordLevel({"w0": 0}, unk_token="w0")).save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in UNKNOWABLE])
def test_a_damaged_file_of_a_model_gets_one_sentence_at_once_and_runs_no_code(model_folder, name, fault, tmp_path):
    from mha_lab.pretrained import Bert

    Bert.from_folder(model_folder)
    with damaged(model_folder / name, fault, tmp_path / "mark"):
        kind, words, seconds = tried(lambda: Bert.from_folder(model_folder), fault)
    assert kind == expected(fault), words
    place = f"{model_folder}/" if fault == "no right to read" else f"{model_folder / name} "  # nobody enters tmp_path
    assert words.startswith(place) and words.endswith(".") and "\n" not in words
    assert seconds < AT_ONCE
    assert not (tmp_path / "mark").exists()


if __name__ == "__main__":
    program(Path(sys.argv[1]))
