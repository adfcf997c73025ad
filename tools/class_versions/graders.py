"""The lesson as an assignment: for nbgrader, and for Otter-Grader.

A student sees the check's card, which raises nothing. The hidden test below it judges the same answer once more, with
the cases of the class key, and raises where it is not right: all the stars, or none.
"""

import nbformat

from class_versions.exercises import CALL, a_cell, aloud, exercises, in_class_mode, rubric, solved, without_outputs

HIDDEN = "import mha_lab.checks.marks\n\nmarked = mha_lab.checks.marks.hidden({arguments}).require()"
WRITE = "*Write your answer here: five sentences, one point each.*"


def nbgrader(notebook):
    """The source version for nbgrader: solution regions, locked checks with hidden tests and the stars as points, and
    the answer in writing, which a person marks."""
    tasks, said = exercises(notebook), aloud(notebook)
    made = without_outputs(notebook)
    for task in tasks:
        stub, check = made.cells[task.stub], made.cells[task.check]
        stub.source = solved(task, stub.source, "### BEGIN SOLUTION", "### END SOLUTION")
        mark(stub, f"{task.name}_answer", solution=True)
        check.source = f"{shown(check.source)}\n### BEGIN HIDDEN TESTS\n{hidden(task)}\n### END HIDDEN TESTS"
        mark(check, task.name, grade=True, locked=True, points=task.task.stars)
    if said:
        number, _, answers = said
        mark(made.cells[number], "say_it_aloud_question", locked=True)
        cell = a_cell("markdown", WRITE, "say-it-aloud")
        mark(cell, "say_it_aloud", grade=True, solution=True, points=len(rubric(answers)))
        made.cells.insert(number + 1, cell)
    mark(made.cells[in_class_mode(made)], "class_mode", locked=True)
    return made


def mark(cell, name, *, grade=False, solution=False, locked=False, points=None):
    """In place: what nbgrader reads of a cell."""
    cell.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade_id": name,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
        **({"points": points} if grade else {}),
    }


def shown(source):
    """The check cell, whose card is displayed though it is not the last line any more."""
    return CALL.sub(lambda call: f"display({call[0]})", source)


def hidden(task):
    return HIDDEN.format(arguments=f'"{task.name}", {task.given}')


def otter(notebook):
    """The source version for `otter assign`: a question for each exercise, its public test, and the hidden one."""
    tasks, said = exercises(notebook), aloud(notebook)
    stubs, checked = [task.stub for task in tasks], {task.check: task for task in tasks}
    made, cells = without_outputs(notebook), [a_cell("raw", CONFIG, "otter-config")]
    for number, cell in enumerate(made.cells):
        if number in checked:  # the question stands where all that its test needs has been made
            task = checked[number]
            stub = made.cells[task.stub]
            stub.source = solved(task, stub.source, "# BEGIN SOLUTION", "# END SOLUTION")
            config = f"# BEGIN QUESTION\nname: {task.name}\npoints: [0, {task.task.stars}]"
            cells += [_raw(config, task), _raw("# BEGIN SOLUTION", task), stub, _raw("# END SOLUTION", task)]
            cells += [*_tests(task, cell.source), cell]
        elif number not in stubs:
            cells += [cell]
        if said and number == said[0]:
            cells += _in_writing(len(rubric(said[2])), said[2])
    made.cells = cells
    in_class_mode(made)
    return made


def _raw(text, task):
    return a_cell("raw", text, f"{task.name}-{text.split(chr(10))[0].strip('# ').lower().replace(' ', '-')}")


def _tests(task, check):
    """A test that everybody sees (something was handed in), and the hidden one."""
    above = check[: CALL.search(check).start()]  # lines that make what the check is called with
    public, secret = f"{task.target.split(', ')[0]} is not None", f"# HIDDEN\n{above}{hidden(task)}"
    tests = [a_cell("code", text, f"{task.name}-{i}") for i, text in enumerate((public, secret))]
    tests[0].outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "True"}, execution_count=1)]
    return [_raw("# BEGIN TESTS", task), *tests, _raw("# END TESTS", task), _raw("# END QUESTION", task)]


def _in_writing(points, answers):
    config = f"# BEGIN QUESTION\nname: say_it_aloud\nmanual: true\npoints: {points}"
    texts = [config, "# BEGIN SOLUTION", answers, "# END SOLUTION", "# END QUESTION"]
    kinds = ["raw", "raw", "markdown", "raw", "raw"]
    return [a_cell(kind, text, f"say-it-aloud-{i}") for i, (kind, text) in enumerate(zip(kinds, texts))]


CONFIG = """# ASSIGNMENT CONFIG
init_cell: true
check_all_cell: false
export_cell:
  pdf: false
generate:
  show_hidden: false
  show_stdout: false
  zips: false
solutions_pdf: false
template_pdf: false
runs_on: default
tests:
  files: false"""
