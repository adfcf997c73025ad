"""The versions of a lesson that a class needs, each a module: student, instructor, nbgrader, otter."""
