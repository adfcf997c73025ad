"""The house around the code: floors, imports, pinned packages, and what the README says of them."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mha_lab"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if path.name[0].isdigit()]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FLOORS = {
    name: floor
    for floor, names in enumerate(
        (
            ("_door", "_data", "_shown", "_whole", "_autograd", "memory"),
            ("cost", "masks", "_fits", "_from_torch", "kv_cache", "published", "_checkpoint", "progress", "_page"),
            ("attention", "communication", "rotary"),
            ("plots", "variants", "measure", "tasks"),
            ("models", "train", "heads", "long_sequences", "layer_costs", "parallel"),
            ("choosing", "pretrained"),
            ("checks",),
            ("widgets",),
        )
    )
    for name in names
}


def modules():
    """The package's modules by name; a folder is one module."""
    return {path.stem: path for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}


def imports(path):
    """Names of everything that a file imports, at its top or anywhere within, as absolute dotted names."""
    package = ["mha_lab", *path.parent.relative_to(PACKAGE).parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def python(code):
    """What a fresh Python prints, as JSON."""
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


# the package ---------------------------------------------------------------------------------------------------------


def test_every_module_has_its_floor():
    assert set(modules()) - {"__init__"} <= set(FLOORS)


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_point_down_only(module):
    path, floor = modules()[module], FLOORS.get(module, 3)  # __init__ offers the lowest floors
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        used = {name.split(".")[1] for name in imports(file) if name.startswith("mha_lab.")}
        upward = {name for name in used & set(FLOORS) - {module} if FLOORS[name] >= floor}
        assert not upward, f"{file.relative_to(ROOT)} (floor {floor}) imports {upward}"


FLOORS_OF_CHECKS = {
    name: floor
    for floor, names in enumerate(
        (
            ("class_key", "classroom"),
            ("card", "compare"),
            ("learner", "pattern", "returned", "pictures", "course"),
            ("run", "weights"),
            ("loops", "question"),
            ("story",),
            ("engine",),
        )
    )
    for name in names
}


def imported_within(folder):
    """{module: the modules of the same folder that it imports, for types too}."""
    files = {path.stem: path for path in folder.glob("*.py") if path.stem != "__init__"}
    start = f"mha_lab.{folder.name}."
    return {
        name: {used.removeprefix(start).split(".")[0] for used in imports(path) if used.startswith(start)} & set(files)
        for name, path in files.items()
    }


def test_imports_within_the_checks_point_down_only():
    for name, used in imported_within(PACKAGE / "checks").items():
        floor = FLOORS_OF_CHECKS.get(name, len(FLOORS_OF_CHECKS))  # the lessons stand on top
        upward = {
            other for other in used if FLOORS_OF_CHECKS.get(other, -1 if name.startswith("lesson") else 99) >= floor
        }
        assert not upward, f"checks/{name}.py (floor {floor}) imports {upward}"


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
def test_no_imports_within_a_folder_run_in_a_circle(folder):
    TopologicalSorter(imported_within(PACKAGE / folder)).prepare()  # raises CycleError, which names the circle


def test_cost_is_arithmetic_without_torch():
    if "cost" in modules():
        assert not {name.split(".")[0] for name in imports(modules()["cost"])} & {"torch", "numpy"}


def test_import_loads_no_figures_and_no_widgets():
    loaded = python(
        "import json, sys, mha_lab; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    assert not {"matplotlib", "ipywidgets", "anywidget", "IPython", "traitlets", "tokenizers"} & set(loaded)


def test_importing_every_module_changes_nothing_global():
    changed = python(
        """
import json, locale, os, pkgutil, random, sys, warnings
import matplotlib, numpy, torch

def world():
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch seed": torch.initial_seed(),
        "torch random state": torch.get_rng_state().tolist(),
        "numpy random state": str(numpy.random.get_state(legacy=False)),
        "python random state": random.getstate(),
        "default type and device": (torch.get_default_dtype(), torch.get_default_device()),
        "gradients": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch print options": str(torch._tensor_str.PRINT_OPTS),
        "numpy print options": str(numpy.get_printoptions()),
        "matplotlib settings": dict(matplotlib.rcParams),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "locale": locale.setlocale(locale.LC_ALL),
        "folder": os.getcwd(),
    }

import anywidget, matplotlib.pyplot  # what other packages change on import is not ours
before = world()
import mha_lab
for module in pkgutil.walk_packages(mha_lab.__path__, "mha_lab."):
    __import__(module.name)
after = world()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""
    )
    assert changed == []


# what is installed ---------------------------------------------------------------------------------------------------


def requirements(name):
    """The lines of a requirements file without comments, options for pip and other files."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.split("#")[0].split("--hash")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


REQUIREMENTS = sorted(path.name for path in ROOT.glob("requirements*.txt"))
CUDA = {canonicalize_name(r.name): r for r in requirements("constraints-cuda.txt")}  # pinned where torch asks for them
PINNED = {canonicalize_name(r.name): r for name in REQUIREMENTS for r in requirements(name)}


@pytest.mark.parametrize("name", [*REQUIREMENTS, "constraints-cuda.txt"])
def test_every_requirement_is_pinned_exactly(name):
    loose = [str(r) for r in requirements(name) if not re.fullmatch(r"==[\w.]+", str(r.specifier))]
    assert requirements(name) and not loose


def platforms():
    """What a requirement's marker may ask of a machine, for each machine the lab is for."""
    for minor in range(11, 15):
        for system, sys_platform, os_name in (
            ("Linux", "linux", "posix"),
            ("Darwin", "darwin", "posix"),
            ("Windows", "win32", "nt"),
        ):
            yield {
                "python_version": f"3.{minor}",
                "python_full_version": f"3.{minor}.0",
                "platform_system": system,
                "sys_platform": sys_platform,
                "os_name": os_name,
                "platform_machine": "x86_64",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "extra": "",
            }


def wanted(requirement, platform):
    return requirement.marker is None or requirement.marker.evaluate(platform)


@pytest.mark.parametrize("platform", list(platforms()), ids=lambda p: f"{p['sys_platform']}-{p['python_version']}")
def test_what_the_pinned_packages_need_is_pinned_too_on_every_platform(platform):
    """But for what make models leaves out (--no-deps)."""
    optional = {canonicalize_name(r.name) for r in requirements("requirements-models.txt")}
    for name in {name for name, r in PINNED.items() if wanted(r, platform)} - optional:
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # belongs to another platform
            continue
        for need in (Requirement(text) for text in needs):
            if wanted(need, platform):
                pin = (CUDA | PINNED).get(canonicalize_name(need.name))
                assert pin and wanted(pin, platform), f"{name} needs {need}"
                assert need.specifier.contains(str(pin.specifier)[2:]), f"{name} needs {need}, pinned is {pin}"


def test_the_environment_is_what_the_files_say():
    for name, requirement in PINNED.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        assert requirement.specifier.contains(installed), f"{requirement} is pinned, {installed} is installed"


# the README ----------------------------------------------------------------------------------------------------------


def test_the_readme_lists_the_modules_with_their_floors():
    listed = {name: int(floor) for floor, name in re.findall(r"^\| (\d) \| `(\w+)(?:\.py|/)` \|", README, re.M)}
    assert listed == {name: FLOORS[name] for name in modules() if name != "__init__"}


def test_the_readme_lists_the_lessons_as_their_cards_say():
    listed = re.findall(r"^\| \[(\d\d\w?)\]\((notebooks/\S+)\) \| (.+) \| (.+) \| (\d+) \|$", README, re.M)
    assert [path for _, path, *_ in listed] == [str(path.relative_to(ROOT)) for path in LESSONS]
    for number, path, title, question, minutes in listed:
        card = nbformat.read(ROOT / path, as_version=4).cells[0].source
        assert f"# {number} · {title}\n" in card
        assert f"*{question}*" in card
        assert f"{minutes} min" in card


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in NOTEBOOKS)])
def test_every_link_within_the_repository_leads_somewhere(document):
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(
            cell.source for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "markdown"
        )
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_readme_explains_every_make_command():
    commands = re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(), re.M)
    assert commands and [command for command in commands if f"`make {command}" not in README] == []
