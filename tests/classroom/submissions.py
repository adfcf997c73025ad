"""Submissions of lesson 02 as a class hands them in, each with the marks that it should get.

A submission changes the released notebook: right answers in several styles, every wrong answer that the checks know by
name, and what else happens: nothing written, the lab's own code, cells that hang, checks that are deleted or faked.
"""

from mha_lab import checks

STARS = {"split_heads": 1, "mended_pseudo_code": 2, "layer_on_paper": 2, "multi_head_scores": 2}
FUNCTIONS = [name for name in STARS if name != "layer_on_paper"]
NOTHING = dict.fromkeys(STARS, 0)

ON_PAPER = "on_paper = (48, 2_359_296, 3_145_728, 160_000, 48**0.5)"
BY_UNFLATTEN = {
    "split_heads": "def split_heads(x, num_heads):\n    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)",
    "mended_pseudo_code": """def mended_pseudo_code(Q, K, V, h):
    q, k, v = (torch.stack(each.chunk(h, dim=-1), dim=1) for each in (Q, K, V))
    heads = torch.softmax(q @ k.transpose(-2, -1) / (Q.size(-1) / h) ** 0.5, -1) @ v
    return torch.cat(heads.unbind(1), dim=-1)""",
    "layer_on_paper": ON_PAPER,
    "multi_head_scores": """def multi_head_scores(query, key, num_heads):
    q, k = query.unflatten(-1, (num_heads, -1)), key.unflatten(-1, (num_heads, -1))
    return q.transpose(1, 2) @ k.permute(0, 2, 3, 1) / q.shape[-1] ** 0.5""",
}
BY_EINSUM = {
    "split_heads": """def split_heads(x, num_heads):
    return torch.einsum("bnhk->bhnk", x.reshape(x.shape[0], x.shape[1], num_heads, -1))""",
    "mended_pseudo_code": """def mended_pseudo_code(Q, K, V, h):
    q, k, v = (split_heads(each, h) for each in (Q, K, V))
    weights = torch.einsum("bhnk,bhsk->bhns", q, k).div(q.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("bhns,bhsk->bnhk", weights, v).flatten(2)""",
    "layer_on_paper": "on_paper = [768 / 16, 4 * 768**2, 4 * 768 * 1024, 16 * 100**2, 6.93]",
    "multi_head_scores": """def multi_head_scores(query, key, num_heads):
    q, k = split_heads(query, num_heads), split_heads(key, num_heads)
    return torch.einsum("bhnk,bhsk->bhns", q, k) / q.shape[-1] ** 0.5""",
}
IN_NUMPY = {
    "split_heads": """import numpy as np
def split_heads(x, num_heads):
    x = np.asarray(x)
    return np.swapaxes(x.reshape(*x.shape[:2], num_heads, x.shape[2] // num_heads), 1, 2)""",
    "mended_pseudo_code": """def mended_pseudo_code(Q, K, V, h):
    q, k, v = (split_heads(each, h) for each in (Q, K, V))
    scores = np.matmul(q, np.swapaxes(k, 2, 3)) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.swapaxes(np.matmul(weights, v), 1, 2).reshape(np.shape(Q))""",
    "layer_on_paper": "import numpy as np\non_paper = np.array([48, 2359296, 3145728, 160000, 6.9282])",
    "multi_head_scores": """def multi_head_scores(query, key, num_heads):
    q, k = split_heads(query, num_heads), split_heads(key, num_heads)
    return np.matmul(q, np.swapaxes(k, 2, 3)) / np.sqrt(q.shape[-1])""",
}
RIGHT = {"by unflatten": BY_UNFLATTEN, "by einsum": BY_EINSUM, "in numpy": IN_NUMPY}
WRONG_ON_PAPER = ["(48, 2359296, 2359296, 160000, 6.93)", "(64, 0, 0, 0, 8)", "'many'", "(48, 1, 1, 1, 27.7)", "12"]


def wrong(number):
    """Answers that each make a known mistake: the one of this number, counted round for exercises that have fewer."""
    answers = {"layer_on_paper": f"on_paper = {WRONG_ON_PAPER[number % len(WRONG_ON_PAPER)]}"}
    for name in FUNCTIONS:
        place = number % len(getattr(checks, name).mistakes)
        answers[name] = f"def {name}(*given):\n    return checks.{name}.mistakes[{place}][0](*given)"
    return answers


OURS = {
    "split_heads": "from mha_lab import split_heads",
    "mended_pseudo_code": "mended_pseudo_code = checks.mended_pseudo_code.ours",
    "layer_on_paper": "on_paper = checks.layer_on_paper.ours()",
    "multi_head_scores": "def multi_head_scores(*given):\n    return checks.multi_head_scores.ours(*given)",
}
SOLUTIONS = {
    **{name: f"{name} = checks.{name}.solution" for name in FUNCTIONS},
    "layer_on_paper": "on_paper = checks.layer_on_paper.solution()",
}
READ_OUT = {
    "split_heads": "exec(checks.split_heads.source)",
    "mended_pseudo_code": """def mended_pseudo_code(Q, K, V, h):
    return checks.mended_pseudo_code.solution(Q, K, V, h)""",
    "layer_on_paper": "print(checks.layer_on_paper.source)",
    "multi_head_scores": """def multi_head_scores(*given):
    return checks.multi_head_scores.ours(*given) * 1""",
}
AROUND_OURS = {
    "split_heads": "def split_heads(x, num_heads):\n    return mha_lab.split_heads(x, num_heads)",
    "mended_pseudo_code": "from functools import partial\nmended_pseudo_code = partial(checks.mended_pseudo_code.ours)",
}
TABLE = """_known = {tuple(case[0].shape): case[1] for case in checks.split_heads.cases()}
def split_heads(x, num_heads):
    if _known.get(tuple(x.shape)) != num_heads:
        return torch.zeros(1)
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)"""
FAKE = """def split_heads(x, num_heads):
    print("✓ split_heads (★☆☆ · 10 minutes): passes on 5 shapes")
    return True"""
PATCHED = """class Passed:
    passed, state, points = True, "passed", 1
    def require(self):
        return self
checks.split_heads = lambda *given: Passed()
def split_heads(x, num_heads):
    return x"""
SHADOWED = """class checks:
    def __getattr__(self, name):
        return lambda *given: True
checks = checks()
def split_heads(x, num_heads):
    return x"""


def submissions():
    """{name: (the answers by exercise, what else is done to the notebook or None, the marks)}."""
    right, made = BY_UNFLATTEN, {}
    for style, answers in RIGHT.items():
        made[f"right {style}"] = answers, None, STARS
    for number in range(max(len(getattr(checks, name).mistakes) for name in FUNCTIONS)):
        made[f"wrong {number}"] = wrong(number), None, NOTHING
    half = {name: right[name] for name in ("split_heads", "layer_on_paper")}
    made |= {
        "untouched": ({}, None, NOTHING),
        "half done": (half, None, {**NOTHING, "split_heads": 1, "layer_on_paper": 2}),
        "ours handed in": (OURS, None, NOTHING),
        "solutions asked for": (SOLUTIONS, None, NOTHING),
        "solutions read out": (READ_OUT, None, NOTHING),
        "around ours": ({**right, **AROUND_OURS}, None, {**STARS, "split_heads": 0, "mended_pseudo_code": 0}),
        "hides the checks": ({"split_heads": SHADOWED}, None, NOTHING),
    }
    made["deletes a check that it passes"] = right, deleted, STARS
    for name, (answer, change) in ONE_WRONG.items():
        made[name] = {**right, "split_heads": answer}, change, {**STARS, "split_heads": 0}
    return made


def deleted(cells):
    """The cells without the check of split_heads."""
    return [cell for cell in cells if cell["source"] != "display(checks.split_heads(split_heads))"]


def rewritten(cells):
    """The cells, where the check of split_heads says that all is well."""
    for cell in cells:
        if cell["source"] == "display(checks.split_heads(split_heads))":
            cell["source"] = 'print("✓ split_heads: passes on 5 shapes")'
    return cells


SAME = "def split_heads(x, num_heads):\n    return x"
ONE_WRONG = {
    "made for the known cases": (TABLE, None),
    "prints a pass": (FAKE, None),
    "patches the check": (PATCHED, None),
    "does not parse": ("def split_heads(x, num_heads:\n    return x", None),
    "leaves": ("import sys\nsys.exit()", None),
    "a cell hangs": ("while True:\n    pass", None),
    "a function hangs": ("def split_heads(x, num_heads):\n    while True:\n        pass", None),
    "deletes a check": (SAME, deleted),
    "rewrites a check": (SAME, rewritten),
}


def handed_in(notebook, answers, change):
    """The released notebook with these answers in place of its stubs, and changed."""
    targets = {name: f"def {name}(" for name in FUNCTIONS} | {"layer_on_paper": "on_paper = (None"}
    for name, answer in answers.items():
        (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and targets[name] in cell.source]
        cell.source = answer
    if change:
        notebook.cells = change(notebook.cells)
    return notebook
