"""What a hub starts for a student, as that student: their own copy of the lessons, then the server that shows it.

Usage: student_server.py [OPTION FOR JUPYTERHUB-SINGLEUSER ...]        in the student's home

At the first login every lesson is copied into my_notebooks/. Later a lesson that has changed comes as a new file, such
as "02_… (new).ipynb", and no file is ever overwritten: tools/copy_lessons.py, which gives every learner their copies,
does it here too, as for a lab without git. What cannot be copied (a full disk) is said in the log, and it starts.
"""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import copy_lessons  # noqa: E402

MINE = "my_notebooks"
READ = "data", "docs", "mha_lab"  # what the lessons link to, as ../data/README.md


def prepare(home, lessons=copy_lessons.LESSONS, root=ROOT):
    """Bring a home up to date and return the sentences that tell of it."""
    told = copy_lessons.bring(lessons, home / MINE)
    for name in READ:
        with suppress(OSError):  # there, or theirs
            (home / name).symlink_to(root / name)
    with suppress(OSError):  # the list of fonts, which takes matplotlib seconds to make
        cache = home / ".cache" / "matplotlib"
        for made in Path(os.environ.get("MHA_LAB_SHARED", os.devnull)).glob("matplotlib/fontlist-*.json"):
            cache.mkdir(parents=True, exist_ok=True)
            if not (cache / made.name).exists():
                shutil.copyfile(made, cache / made.name)
    return list(copy_lessons.sentences(told, lessons, home / MINE))


if __name__ == "__main__":
    for sentence in prepare(Path.home()):
        print(sentence, file=sys.stderr, flush=True)
    as_root = [] if os.geteuid() else ["--allow-root"]  # a test on a machine where all students are root
    os.execv(sys.executable, [sys.executable, "-m", "jupyterhub.singleuser", *as_root, *sys.argv[1:]])
