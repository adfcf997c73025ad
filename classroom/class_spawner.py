"""How the hub starts a student's server on its own machine: each student with a number and a home of their own."""

import os
import re
import resource
import sys
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Int, Unicode

FIRST_UID = 52000
"""Students' user numbers begin here: below, systems have accounts of their own."""
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


def one_user() -> bool:
    """Whether all students are the user who started the hub: it is not root, or was told so."""
    return bool(os.geteuid() or os.environ.get("MHA_LAB_ONE_USER"))


def hidden(*paths) -> list[str]:
    """The folders on the way to these paths that other users may not enter."""
    ways = {folder for path in paths for folder in [Path(path).resolve(), *Path(path).resolve().parents]}
    return sorted(str(folder) for folder in ways if not folder.stat().st_mode & 0o001)


class ClassSpawner(LocalProcessSpawner):
    """A process for each student, without an account of the system.

    Started by root, each student's processes have a user number that nobody else has, which owns their home: nobody
    reads another's. Started by another user, all students are that user: good for a demonstration and for tests."""

    homes = Unicode(help="The folder that holds each student's home.").tag(config=True)
    most_bytes = Int(3 * 2**30, help="No process of a student may have more memory of its own.").tag(config=True)

    @property
    def home(self) -> Path:
        if not NAME.fullmatch(self.user.name):
            raise ValueError(f"{self.user.name!r} is no name for a folder: letters a to z, digits, and . _ - between.")
        return Path(self.homes) / self.user.name

    def make_home(self) -> int:
        """The student's user number; their home is made where there is none."""
        if one_user():
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.geteuid()
        if not self.home.exists():
            taken = [path.lstat().st_uid for path in Path(self.homes).iterdir()]
            number = max([FIRST_UID - 1, *taken]) + 1
            self.home.mkdir(mode=0o700)
            os.chown(self.home, number, number)
        number = self.home.lstat().st_uid
        if number < FIRST_UID or self.home.is_symlink():
            raise ValueError(f"{self.home} belongs to user {number}, who is no student: give it another name.")
        return number

    def make_preexec_fn(self, name):
        number, home, most, alone = self.make_home(), str(self.home), self.most_bytes, one_user()

        def become_the_student():
            os.umask(0o077)
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
            if not alone:
                os.setgroups([])
                os.setgid(number)
                os.setuid(number)
            os.chdir(home)

        return become_the_student

    def user_env(self, env):
        home = str(self.home)
        return env | {"USER": self.user.name, "LOGNAME": self.user.name, "HOME": home, "SHELL": "/bin/bash"}

    def get_env(self):
        """No secret of the hub's, and one language for all: names of files may be Chinese."""
        return {"LANG": "C.UTF-8"} | super().get_env() | {"PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
