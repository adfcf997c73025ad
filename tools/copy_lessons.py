"""Gives the learner a copy of the lessons in my_notebooks/, and never overwrites what somebody wrote there.

Usage: python tools/copy_lessons.py [02 …]      (make lab; lessons that are named are given again, as make lab AGAIN=02)

A lesson is copied once; what answers its predictions has no output there until it is run. When another version has
come since, the copy is replaced only if it is, cell by cell, output by output, what the lab's git has held: then nobody
wrote into it or ran anything in it. Else the new version stands beside it, as "02_… (new).ipynb". A copy that was
deleted stays away until it is asked for.

What was done is told on stderr; stdout has the file to open first. Standard library only, so that it takes no time.
"""

import _interrupt  # isort: skip  # noqa: F401  # before all others

import argparse
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LESSONS, MINE = ROOT / "notebooks", ROOT / "my_notebooks"
RECORD = ".copied.json"
HOUR = 3600  # seconds
SHOWN = 4  # names in a sentence
SENTENCES = {
    "first": "The lessons are copied into {mine}/: what you write there is yours, and no update changes it.",
    "added": "New in {mine}/: {names}.",
    "replaced": "A newer version is in {mine}/, where you had written nothing: {names}.",
    "beside": "Another version stands in {mine}/ beside yours, which is as you left it: {names}.",
    "same": "There is no other version than the one in {mine}/: {names}.",
    "deleted": "Deleted from {mine}/, and not brought back unless you say make lab AGAIN={again}: {names}.",
    "changed": "Copied with what was written in {lessons}/; please go on writing in {mine}/: {names}.",
    "left": "Changed in {lessons}/, and not copied over yours in {mine}/ (beside it: make lab AGAIN={again}): {names}.",
    "unreadable": "What was copied before cannot be told, so no copy in {mine}/ is replaced: {names} is damaged.",
}
NOT_COPIED = "Not copied into {mine}/ ({fault}): {names}."


# what a file holds ---------------------------------------------------------------------------------------------------


def fingerprint(content):
    """Changes with all that somebody may have typed, set or computed in a notebook, and stays the same where it was
    merely opened and saved: the layout of the JSON, the kernel's version, folds, and when cells ran do not count."""
    try:
        notebook = json.loads(content)
        for cell in notebook["cells"]:
            cell.pop("execution_count", None)
            folded = cell["metadata"].pop("jupyter", {})  # is written in a second way, too, once the lesson is saved
            folded.pop("outputs_hidden", None)
            cell["metadata"] = without(cell["metadata"], "execution", "collapsed", "scrolled") | {"jupyter": folded}
            for output in cell.get("outputs", []):
                output.pop("execution_count", None)
        notebook["metadata"] = without(notebook["metadata"], "kernelspec", "language_info")
        states = notebook["metadata"].get("widgets", {})
        if not any(kind.get("state") for kind in states.values()):
            notebook["metadata"].pop("widgets", None)
        content = json.dumps(joined(notebook), sort_keys=True).encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # no notebook: as it stands
        pass
    return hashlib.sha256(content).hexdigest()


def without(mapping, *names):
    return {name: value for name, value in mapping.items() if name not in names}


def joined(value, name=""):
    """Text that stands in lines, which is one of two ways to write it, in one piece."""
    if isinstance(value, dict):
        return {key: joined(part, key) for key, part in value.items()}
    if not isinstance(value, list):
        return value
    if name != "tags" and all(isinstance(part, str) for part in value):
        return "".join(value)
    return [joined(part) for part in value]


def without_answers(content):
    """A lesson as a learner begins it: what answers a prediction has not run. JupyterLab would show the first line of a
    hidden output, which often is the answer."""
    try:
        notebook = json.loads(content)
        folds = [(cell, cell["metadata"].get("jupyter", {})) for cell in notebook["cells"]]
        hidden = [cell for cell, folded in folds if folded.pop("outputs_hidden", False)]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # no notebook: as it stands
        return content
    if not hidden:
        return content
    for cell in hidden:
        cell.update(outputs=[], execution_count=None)
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def held(path):
    """The fingerprint of what a file holds: None where there is none, or an empty one, "" where a link leads nowhere or
    a folder has its name."""
    if not os.path.lexists(path):
        return None
    if not os.path.isfile(path):
        return ""
    content = path.read_bytes()
    return fingerprint(content) if content else None


def lessons(folder):
    """{name with its subfolder: path} of the notebooks in a folder, without empty ones and those that Jupyter hides."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.ipynb"))}
    seen = {name: path for name, path in found.items() if not re.search(r"(^|/)\.", name)}
    return {name: path for name, path in seen.items() if os.path.isfile(path) and os.path.getsize(path)}


def changed_since_commit(folder):
    """The files of a folder that git does not hold as they are; None where git cannot say."""
    if not (folder.parent / ".git").exists():
        return None
    found = set()
    for ask in ["diff", "--name-only", "--relative", "-z", "HEAD", "--", "."], ["ls-files", "--others", "-z"]:
        try:
            run = subprocess.run(["git", "-C", folder, *ask], capture_output=True, stdin=subprocess.DEVNULL, timeout=30)
        except (OSError, subprocess.SubprocessError):
            return None
        if run.returncode:
            return None
        found.update(os.fsdecode(run.stdout).split("\0"))
    return found


# writing -------------------------------------------------------------------------------------------------------------


@contextmanager
def written_beside(path, content):
    """A file with this content in the same folder, which the block moves to its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{secrets.token_hex(8)}.copying")
    try:
        with open(partial, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        with suppress(OSError):
            partial.unlink()


def replace(path, content, there):
    """Write a file whole in place of one with the fingerprint `there`. Raises FileExistsError where that one changed
    meanwhile: somebody may be typing."""
    with written_beside(path, content) as partial:
        if held(path) != there:
            raise FileExistsError(f"{path} has just been written by somebody else")
        os.replace(partial, path)


def create(path, content):
    """Write a new file, whole or not at all. Raises FileExistsError where somebody has just made one of that name."""
    with written_beside(path, content) as partial:
        try:
            os.link(partial, path)
        except FileExistsError:
            if held(path) is not None:
                raise
            os.replace(partial, path)  # an empty one
        except OSError:  # a disk without links: an empty file, which held() takes for none, claims the name
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o666))
            os.replace(partial, path)


def remove_remains(folders):
    """What a copy left that was killed; never that of one which is at work."""
    for path in (path for folder in folders for path in folder.glob(".*.copying")):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - HOUR:
                path.unlink()


# the record ----------------------------------------------------------------------------------------------------------


def read_record(path):
    """{lesson: {"last": fingerprint of the version that was given last, "upstream": [those that git has held]}}.

    Raises ValueError where the file holds something else."""
    try:
        record = json.loads(path.read_bytes())["lessons"]
        if not all(isinstance(entry["last"], str) and isinstance(entry["upstream"], list) for entry in record.values()):
            raise ValueError
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{path} is no record") from None
    return record


@contextmanager
def recorded(path, record, told):
    """Write the record if the block changes it, also where an interrupt ends the block; tell a fault like others."""
    before = json.dumps(record)
    try:
        yield
    finally:
        if json.dumps(record) != before:
            try:
                write_record(path, record)
            except OSError as error:
                told[error.strerror or str(error)].append(path.name)


def write_record(path, record):
    about = "Written by tools/copy_lessons.py: the versions of each lesson that were copied."
    content = json.dumps({"about": about, "lessons": record}, indent=1, sort_keys=True) + "\n"
    with written_beside(path, content.encode()) as partial:
        os.replace(partial, path)


# the copy ------------------------------------------------------------------------------------------------------------


def names_beside(path):
    """02.ipynb → 02 (new).ipynb, 02 (new 2).ipynb, …"""
    yield path.with_name(f"{path.stem} (new){path.suffix}")
    yield from (path.with_name(f"{path.stem} (new {number}){path.suffix}") for number in count(2))


def give(mine, content, entry, changed, asked):
    """Bring one lesson to the learner: (what was done, as in SENTENCES, or "" for nothing; the file in question).

    mine: where their copy is or belongs; content: the lesson as it is now; entry: what the record says of it, and is
    told; changed: whether somebody changed it since git held it, None where git cannot say."""
    version = fingerprint(content)

    def is_upstreams(path, there):
        return changed is False and not path.is_symlink() and there in entry["upstream"]

    def given(word, path):
        entry["last"] = version
        return word, path

    there = held(mine)
    if there == version:
        return given("same" if asked else "", mine)
    if there is None:
        if entry["last"] and not asked:
            return "deleted", mine
        create(mine, content)
        return given("changed" if changed else "added", mine)
    if is_upstreams(mine, there):
        replace(mine, content, there)
        return given("replaced", mine)
    if not asked and entry["last"] == version:  # theirs, and no other version has come since
        return "", mine
    if not asked and changed:  # nothing came: somebody works in the lessons themselves
        return "left", mine
    for path in names_beside(mine):
        there = held(path)
        if there == version:
            return given("same" if asked else "", path)
        if there is None:
            create(path, content)
        elif is_upstreams(path, there):
            replace(path, content, there)
        else:
            continue
        return given("beside", path)


def bring(source, target, changed=None, asked=()):
    """Bring every lesson of the folder `source` to the folder `target`, those in `asked` again.

    changed: the names of those that somebody changed since git held them; None where git cannot say. Returns what is to
    be told: {what was done: names}, where a fault counts as done under its own words."""
    told = defaultdict(list)
    if os.path.realpath(target) == os.path.realpath(source):  # a link: somebody's own arrangement
        return told
    try:
        record = read_record(target / RECORD)
    except ValueError:
        told["unreadable"], record = [RECORD], {}
    found = {}
    for name, path in lessons(source).items():
        try:
            found[name] = without_answers(path.read_bytes())
        except OSError as error:
            told[error.strerror].append(name)
    is_new = not record and not any(os.path.lexists(target / name) for name in found)
    remove_remains({(target / name).parent for name in found})
    with recorded(target / RECORD, record, told):  # beforehand: the copies of a command that is killed are known too
        for name, content in found.items():
            upstream = record.setdefault(name, {"last": "", "upstream": []})["upstream"]
            if changed is not None and name not in changed and fingerprint(content) not in upstream:
                upstream.append(fingerprint(content))
    with recorded(target / RECORD, record, told):
        for name, content in found.items():
            is_changed = None if changed is None else name in changed
            try:
                word, at = once_more(give, target / name, content, record[name], is_changed, name in asked)
            except OSError as error:
                word, at = error.strerror or str(error), target / name
            if word:
                told[word].append(at.relative_to(target).as_posix())
    if is_new and told.pop("added", None):
        told["first"] = list(found)
    return {word: [name for name in names if name != RECORD] or [RECORD] for word, names in told.items()}


def once_more(act, *given):
    """What act(…) returns; it looks again where another copy, or JupyterLab, has just written the same file."""
    with suppress(FileExistsError):
        return act(*given)
    return act(*given)


def sentences(told, source, target):
    """What to tell of each thing that was done, and of each fault."""
    for word, names in told.items():
        again = " ".join(re.sub(r"((?:^|/)\d+)_[^/]*$", r"\1", name).removesuffix(".ipynb") for name in names)
        again = f'"{again}"' if " " in again else again
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        names = ", ".join(names[:SHOWN]) + more
        form = SENTENCES.get(word, NOT_COPIED)
        yield form.format(mine=target.name, lessons=source.name, fault=word, names=names, again=again)


def first(source, target, told):
    """What to open, relative to the lab's folder: the first lesson of the copy; the copy's folder where the learner
    deleted that one; the lesson itself where it could not be copied."""
    name = next(iter(lessons(source)), "")
    if name in told.get("deleted", ()):
        return target.name
    return f"{target.name if os.path.isfile(target / name) else source.name}/{name}"


def main(arguments):
    parser = argparse.ArgumentParser(description="Give the learner a copy of the lessons, in my_notebooks/.")
    parser.add_argument("lessons", nargs="*", help="numbers or names to begin with, of lessons to be given again")
    names = parser.parse_args(arguments).lessons
    found = lessons(LESSONS)
    for name in names:
        if not any(lesson.startswith(name) for lesson in found):
            parser.error(f"no lesson begins with {name}; there are {', '.join(found) or 'none'}")
    asked = [lesson for lesson in found if lesson.startswith(tuple(names))]
    told = bring(LESSONS, MINE, changed_since_commit(LESSONS), asked)
    for sentence in sentences(told, LESSONS, MINE):
        print(sentence, file=sys.stderr)
    at = first(LESSONS, MINE, told)
    if at.startswith(f"{LESSONS.name}/"):
        print(f"So {LESSONS.name}/ itself is opened, where an update may meet what you write.", file=sys.stderr)
    print(at)


if __name__ == "__main__":
    main(sys.argv[1:])
