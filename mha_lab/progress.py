"""What a learner passed, guessed and answered, kept from one sitting to the next in a small file that people can read.

Nothing needs the file. Where none can be kept (no home, a folder that is read-only, a full disk), what was passed,
guessed and answered is remembered for as long as this Python runs, and everything else works as it does with one.
"""

import copy
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from mha_lab import _data, _whole

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

ABOUT = (
    "What you passed and guessed in the Multi-Head Attention Lab. "
    "To forget it, call checks.reset('everything') or delete this file."
)
LARGEST = 2**20  # bytes; ten thousand guesses have fewer
PATIENCE = 2.0  # seconds in which another kernel has surely written its few lines

_waiting: dict[Path | None, list[Callable]] = {}  # what no file could take so far, by the file's place
_problem: dict[Path | None, str] = {}  # why


# where it is kept ----------------------------------------------------------------------------------------------------


def place() -> Path | None:
    """The file: in the folder that MHA_LAB_HOME names, else where this system keeps what belongs to a user; None where
    no home is known."""
    try:
        named = os.environ.get("MHA_LAB_HOME")
        folder = Path(named).expanduser().absolute() if named else _data_folder() / "mha-lab"
    except RuntimeError:  # nobody knows the home
        return None
    return folder / "progress.json"


def problem() -> str:
    """Why nothing can be kept at the moment, in a few words; "" where all is well."""
    return _problem.get(place(), "")


def _data_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    named = os.environ.get("XDG_DATA_HOME", "")
    return Path(named) if os.path.isabs(named) else Path.home() / ".local" / "share"


# what is kept --------------------------------------------------------------------------------------------------------


def kept() -> dict[str, dict]:
    """{"passed": {exercise: day}, "guesses": {key: {"asked", "said", "day", and "it_was" once the answer was seen}},
    "interview": {key: {"asked", "said", "day", and "points", those that were said, once they were shown}},
    "forgotten": when something was forgotten last, "" where nothing was}.

    The file is read each time: another kernel may have written it meanwhile."""
    path = place()
    try:
        content, broken = _content(path)
        if broken:
            with _alone(path):
                content = _mended(path)
    except OSError as why:
        content = _nothing()
        _problem[path] = _in_words(why)
    for change in _waiting.get(path, ()):
        change(content)
    return content


def passed(exercise: str) -> None:
    """Remember that an exercise was passed, and on which day for the first time."""
    _change(lambda content: content["passed"].setdefault(exercise, _today()))


def guessed(key: str, asked: str, said: str) -> None:
    """Remember what was said to a question; "" takes the guess back."""

    def change(content):
        content["guesses"].pop(key, None)
        if said:
            content["guesses"][key] = {"asked": asked, "said": said, "day": day}

    day = _today()
    if kept()["guesses"].get(key, {}).get("said", "") != said:
        _change(change)


def answered(key: str, it_was: str) -> None:
    """Remember that the learner has seen the answer to a guess. Where nobody guessed, there is nothing to remember."""

    def change(content):
        if key in content["guesses"]:
            content["guesses"][key]["it_was"] = it_was

    _change(change)


def interviewed(key: str, asked: str, said: str, points: Iterable[int] | None) -> None:
    """Remember what was said to a question of the mock interview, and which of its points, counted from 0, were in it;
    None as long as they were not shown. Nothing said and nothing shown is nothing to remember."""
    answer = {"asked": asked, "said": said, "day": _today()}
    if points is not None:
        answer["points"] = list(points)

    def change(content):
        content["interview"].pop(key, None)
        if said or points is not None:
            content["interview"][key] = answer

    known = kept()["interview"].get(key, {})
    if (known.get("said", ""), known.get("points")) != (said, answer.get("points")):
        _change(change)


def forget(
    exercises: Iterable[str] | None = None, guesses: Iterable[str] | None = None, answers: Iterable[str] | None = None
) -> None:
    """Forget these exercises, guesses and answers of the interview; None stands for all of them.

    When that was is remembered: a page may have kept what is to be forgotten."""

    def change(content):
        for part, names in zip(("passed", "guesses", "interview"), chosen):
            for name in list(content[part]) if names is None else names:
                if content[part].pop(name, None) is not None:
                    content["forgotten"] = now

    chosen = [None if names is None else list(names) for names in (exercises, guesses, answers)]
    now = datetime.now().isoformat(timespec="milliseconds")
    _change(change)


def _change(change: Callable[[dict], object]) -> None:
    """Make a change to what the file holds now, whoever wrote it. What cannot be written waits for the next change."""
    content = kept()
    before = copy.deepcopy(content)
    change(content)
    if content == before:
        return
    path = place()
    waiting = _waiting.setdefault(path, [])
    waiting.append(change)
    try:
        if path is None:
            raise OSError("no home folder is known")
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            content = _mended(path)
            for each in waiting:
                each(content)
            _whole.write(path, _text(content))
    except OSError as why:
        _problem[path] = _in_words(why)
    else:
        waiting.clear()
        _problem.pop(path, None)


# the file ------------------------------------------------------------------------------------------------------------


def _nothing() -> dict[str, dict]:
    return {"about": ABOUT, "passed": {}, "guesses": {}, "interview": {}, "forgotten": ""}


def _content(path: Path | None) -> tuple[dict[str, dict], bool]:
    """What the file holds as far as it makes sense, and whether anything in it does not.

    Raises OSError, in words, for a file that cannot be read."""
    if path is None:
        return _nothing(), False
    try:
        found = _data.content(path, largest=LARGEST)
    except FileNotFoundError:
        return _nothing(), False
    except ValueError as why:
        raise OSError(str(why)) from None
    try:
        found = json.loads(found.decode("utf-8-sig"))  # Windows' editor may have put its mark before the text
    except (ValueError, RecursionError):
        return _nothing(), True
    if not isinstance(found, dict):
        return _nothing(), True
    content = {**_nothing(), **found}
    for part, makes_sense in PARTS.items():
        entries = content[part] if isinstance(content[part], dict) else {}
        content[part] = {name: entry for name, entry in entries.items() if makes_sense(entry)}
    if not isinstance(content["forgotten"], str):
        content["forgotten"] = ""
    return content, any(part in found and content[part] != found[part] for part in PARTS)


def _is_day(entry) -> bool:
    return isinstance(entry, str)


def _is_guess(entry) -> bool:
    if not isinstance(entry, dict) or not {"asked", "said"} <= set(entry):
        return False
    return all(isinstance(words, str) for words in entry.values())


def _is_answer(entry) -> bool:
    if not isinstance(entry, dict):
        return False
    points = entry.get("points", [])
    words = {name: words for name, words in entry.items() if name != "points"}
    return _is_guess(words) and isinstance(points, list) and all(type(point) is int for point in points)


PARTS = {"passed": _is_day, "guesses": _is_guess, "interview": _is_answer}
"""What the file holds, and whether an entry of it makes sense."""


def _mended(path: Path) -> dict[str, dict]:
    """What the file holds. One that does not make sense is put aside under another name, and what does is kept.
    Only who holds the lock may call it."""
    content, broken = _content(path)
    if broken:
        aside = _free(path)
        path.rename(aside)
        if any(content[part] for part in PARTS):
            _whole.write(path, _text(content))
        print(f"What you passed and guessed could not be read from {path}: it is kept as {aside.name} beside it.")
    return content


def _free(path: Path) -> Path:
    """A name beside it that nothing has: progress (broken).json, progress (broken 2).json …"""
    for number in itertools.count(1):
        name = path.with_name(f"{path.stem} (broken{f' {number}' if number > 1 else ''}){path.suffix}")
        if not os.path.lexists(name):
            return name


def _text(content: dict) -> bytes:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "replace")  # half a letter, which a page may send, is no text


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While the block runs, no other kernel writes the file. One that never ends its writing is not waited for."""
    file = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _locked(file) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield
    finally:
        os.close(file)  # which gives the lock back


def _locked(file: int) -> bool:
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):  # the second one is what Windows says
        return False
    except OSError:  # a file system without locks
        pass
    return True


def _in_words(why: OSError) -> str:
    return why.strerror or str(why)


def _today() -> str:
    return date.today().isoformat()
