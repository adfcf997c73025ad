"""nbgrader's settings for the lab: `make class` puts this file into class/nbgrader/, where nbgrader is run."""

import os
from pathlib import Path

c = get_config()  # noqa: F821  # nbgrader gives it

# Read by the kernels that mark: solutions are withheld, and hidden tests draw their cases from the class key.
os.environ["MHA_LAB_CLASS"] = "1"
os.environ.setdefault("MHA_LAB_CLASS_KEY", str(Path("..", "key.txt").resolve()))
os.environ.setdefault("MHA_LAB_HOME", str(Path("progress").resolve()))  # what they pass is not the lecturer's own
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"

c.CourseDirectory.course_id = "attention"
c.ClearSolutions.code_stub = {"python": "..."}  # as in the lessons: their checks answer "not attempted yet"
# A cell that hangs is stopped, the cells below it run, and its marks are lost.
c.ExecutePreprocessor.timeout = int(os.environ.get("MHA_LAB_CELL_SECONDS", 60))
c.ExecutePreprocessor.interrupt_on_timeout = True
c.ExecutePreprocessor.iopub_timeout = 30
c.OverwriteCells.add_missing_cells = True  # a check that was deleted is put back
