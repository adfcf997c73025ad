"""make claims under interrupts, damaged files, full disks and second runs: no measured number is lost."""

import json
import os
import signal
import subprocess
import sys

import pytest
import try_claims

import claims
from mha_lab import _whole


def stands():
    return {"gain": claims.kept("01.stands part", lambda: 0.5)}


def falls():
    claims.kept("01.falls part", lambda: 1)
    raise AssertionError("the gain is gone")


def breaks():
    raise RuntimeError("a fault in the experiment")


TRIED = {}  # what each claim does; a test may put something else


@pytest.fixture(autouse=True)
def three_claims(tmp_path, monkeypatch):
    """A register of three claims, in a folder of its own."""
    names = {"01.breaks": breaks, "01.falls": falls, "01.stands": stands}
    TRIED.clear()
    TRIED.update(names)
    register = {
        name: claims.Claim(
            name, "a", "{gain}", "much", ("size",), "a gain of {gain}", 1, lambda name=name: TRIED[name]()
        )
        for name in names
    }
    monkeypatch.setattr(claims, "register", lambda: register)
    monkeypatch.setattr(claims, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(claims, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(try_claims, "PAGE", tmp_path / "CLAIMS.md")


def kept():
    return sorted(path.name for path in claims.KEPT.glob("[!.]*"))


def test_a_claim_that_breaks_or_falls_stops_no_other_and_the_end_says_which(capsys):
    assert try_claims.main([]) == 2
    said = capsys.readouterr()
    assert list(claims.results("01")) == ["01.stands"] and kept() == []
    assert "01.breaks: FAILED RuntimeError: a fault in the experiment." in said.out and "Traceback" in said.err
    assert "01.falls: REFUTED the gain is gone" in said.out and "01.stands: stands (0 s). a gain of 0.5" in said.out
    assert "1 did not stand: 01.falls\n1 could not be tried or recorded: 01.breaks" in said.out


@pytest.mark.parametrize("content", [b"", b'{"01.stands": ', b"[]", b'{"01.stands": 3}', b"\xff", b"[" * 10**5])
def test_a_damaged_record_is_told_before_anything_is_tried_and_left_alone(content):
    TRIED["01.stands"] = lambda: pytest.fail("it was tried")
    claims.RESULTS.mkdir()
    path = claims.RESULTS / "01.json"
    path.write_bytes(content)
    for arguments in ["01.stands"], ["--page"]:
        with pytest.raises(SystemExit, match="01.json is damaged: `git restore` brings back"):
            try_claims.main(arguments)
    assert path.read_bytes() == content


def test_a_damaged_part_is_told_and_measured_anew(capsys):
    claims.KEPT.mkdir()
    (claims.KEPT / "01.stands part.part.json").write_bytes(b'{"cut')
    assert try_claims.main(["01.stands"]) == 0
    assert "part.json is damaged: what it held is measured anew" in capsys.readouterr().out


def test_an_interrupt_keeps_what_was_measured():
    def interrupted():
        claims.kept("01.falls part", lambda: 1)
        raise KeyboardInterrupt

    TRIED["01.falls"], TRIED["01.breaks"] = interrupted, stands
    with pytest.raises(SystemExit, match="Interrupted: what has ended is kept"):
        try_claims.main([])
    assert list(claims.results("01")) == ["01.breaks"] and "01.falls part.part.json" in kept()
    TRIED["01.breaks"] = lambda: pytest.fail("it was over")
    TRIED["01.falls"] = lambda: {"gain": claims.kept("01.falls part", lambda: pytest.fail("it was kept"))}
    assert try_claims.main([]) == 0
    assert list(claims.results("01")) == ["01.breaks", "01.falls", "01.stands"] and kept() == []


def test_on_a_full_disk_the_old_record_stays_and_the_new_numbers_are_shown(capsys, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    assert try_claims.main(["01.stands"]) == 0
    before = claims.results("01")
    TRIED["01.stands"] = lambda: {"gain": claims.kept("01.stands part", lambda: 0.75)}
    monkeypatch.setattr(_whole, "write", full)
    with pytest.raises(SystemExit, match="No space left on device. What has been recorded is kept"):
        try_claims.main(["01.stands"])  # nor can the page be written
    said = capsys.readouterr().out
    assert "could not be written (No space left on device): an interrupt would cost it" in said
    assert "FAILED OSError" in said and '"gain": 0.75' in said and claims.results("01") == before


def test_of_two_runs_the_second_leaves_a_claim_to_the_first_and_a_killed_one_holds_nothing(capsys):
    claims.KEPT.mkdir()
    code = """
import sys, time
import claims
claims.KEPT = claims.Path(sys.argv[1])
with claims.alone("01.stands") as free:
    print(free, flush=True)
    time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": str(claims.ROOT)}
    command = [sys.executable, "-c", code, str(claims.KEPT)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout.readline() == "True\n"
            assert try_claims.main(["01.stands"]) == 0
            assert "01.stands: another run is trying it at this moment" in capsys.readouterr().out
        finally:
            first.kill()
    assert try_claims.main(["01.stands"]) == 0
    assert list(claims.results("01")) == ["01.stands"]


def test_a_run_with_an_older_register_drops_no_result_and_the_page_says_what_goes(capsys):
    newer = {"found": {"gain": 1}, "machine": "ours", "seconds": 1}
    claims.RESULTS.mkdir()
    (claims.RESULTS / "01.json").write_text(json.dumps({"01.newer": newer}))
    assert try_claims.main(["01.stands"]) == 0
    assert list(claims.results("01")) == ["01.stands", "01.newer"]
    assert try_claims.main(["--page"]) == 0
    assert list(claims.results("01")) == ["01.stands"]
    assert "no claim is called 01.newer any more; its result goes" in capsys.readouterr().out


def test_a_result_of_before_the_row_had_other_numbers_is_told_in_the_page():
    old = {"found": {"loss": 1}, "machine": "ours", "seconds": 1}
    claims.RESULTS.mkdir()
    (claims.RESULTS / "01.json").write_text(json.dumps({"01.stands": old}))
    assert "tried when the row had other numbers: try it again" in try_claims.page()


def test_parts_from_before_the_experiment_was_changed_are_told(capsys):
    claims.KEPT.mkdir()
    part = claims.KEPT / "01.stands part.part.json"
    part.write_text("0.5")
    os.utime(part, (0, 0))
    assert try_claims.main(["01.stands"]) == 0
    assert "has parts from before test_claims_faults.py was changed" in capsys.readouterr().out


def test_an_unknown_name_is_told(capsys):
    with pytest.raises(SystemExit):
        try_claims.main(["99"])
    assert "no claim begins with 99; the register is docs/CLAIMS.md" in capsys.readouterr().err


def test_without_assertions_nothing_is_tried():
    answer = subprocess.run([sys.executable, "-O", try_claims.__file__, "01"], capture_output=True, text=True)
    assert answer.returncode == 1 and "no claim could be refuted" in answer.stderr


# an interrupt while a tool still loads -------------------------------------------------------------------------------


TOOLS = ["make_handouts", "run_benchmarks", "run_notebooks", "try_claims"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("name", TOOLS)
def test_an_interrupt_while_a_tool_loads_is_one_line_and_nothing_else_is_hidden(name, tmp_path):
    tool = claims.ROOT / "tools" / f"{name}.py"
    for fault, shown in ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", False), ("1 / 0", True):
        for module in "torch", "nbformat", "nbconvert":
            code = f"import os, signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{fault}\n"
            (tmp_path / f"{module}.py").write_text(code)
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        answer = subprocess.run(
            [sys.executable, tool, "--help"], env=environment, capture_output=True, text=True, timeout=60
        )
        if shown:
            assert "ZeroDivisionError" in answer.stderr and answer.returncode == 1
        else:
            assert answer.stderr == "\nInterrupted.\n" and answer.returncode == -signal.SIGINT


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_script_that_a_tool_runs_leaves_it_to_the_tool_to_tell(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint(__name__, *sys.argv[1:], sys.path[0])\nraise KeyboardInterrupt")
    command = [sys.executable, claims.ROOT / "tools" / "_interrupt.py", script, "a", "b"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (answer.stdout, answer.stderr) == (f"__main__ a b {tmp_path}\n", "")
