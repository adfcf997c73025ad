"""The student version: no outputs, no solutions, class mode on."""

from class_versions.exercises import in_class_mode, without_outputs


def student(notebook):
    """The lesson as a student gets it: every stub as it stands, and the answers of the end left out."""
    notebook = without_outputs(notebook)
    in_class_mode(notebook)
    return notebook
