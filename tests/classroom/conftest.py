"""The environment with nbgrader and Otter-Grader, made once by tools/class_env.py. Without it these tests fail."""

import os

import class_env
import pytest


@pytest.fixture(scope="session")
def class_environment(tmp_path_factory):
    """The variables of a process that marks: the tools' own folder first, one thread, nobody's progress but its own."""
    class_env.make()
    # As a shell has them that never activated .venv: Python finds its own packages by where it lies.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MHA_LAB", "VIRTUAL"))}
    return {
        **kept,
        "PATH": f"{class_env.ENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MHA_LAB_HOME": str(tmp_path_factory.mktemp("home")),
        "MHA_LAB_CELL_SECONDS": "25",
    }
