"""Tries to refute the lessons' claims, from scratch, and writes what came out: claims/results/ and docs/CLAIMS.md.

Usage: python tools/try_claims.py [--page] [01 06.both-budgets …]      (make claims; all of them unless some are named)

Hours of one core for all. Each claim is kept as it ends, and the trainings of long ones too: after an interrupt the
same command goes on from there. A claim that does not stand is told at the end; its row keeps what stood before.
--page writes docs/CLAIMS.md from what is recorded, and tries nothing.
"""

import _interrupt  # isort: skip  # noqa: F401  # before what takes seconds to load

import argparse
import inspect
import json
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # claims/ belongs to the repository, not the package

import claims
from mha_lab import _whole, measure

PAGE = claims.ROOT / "docs" / "CLAIMS.md"


def chosen(parser, names):
    register = claims.register()
    for name in names:
        if not any(claim.startswith(name) for claim in register):
            parser.error(f"no claim begins with {name}; the register is docs/CLAIMS.md")
    return [claim for claim in register.values() if not names or claim.name.startswith(tuple(names))]


def attempt(claim):
    """What one claim's trial gives, as it is recorded."""
    start = time.perf_counter()
    with measure.single_thread():
        found = claim.refute()
    return {
        "found": found,
        "machine": f"{measure.processor()}, one thread, torch {version('torch').split('+')[0]}",
        "seconds": round(time.perf_counter() - start, 1),
    }


def record(claim, result):
    """Puts one result among its lesson's, in the order of the register. What this register does not know stays, for
    another run may have a newer one; `drop_the_gone` takes it out."""
    with claims.alone("results", wait=True):
        write_results(claim.lesson, claims.results(claim.lesson) | {claim.name: result})


def write_results(lesson, found):
    names = [name for name in claims.register() if name in found]
    ordered = {name: found[name] for name in [*names, *sorted(found.keys() - set(names))]}
    claims.RESULTS.mkdir(exist_ok=True)
    text = json.dumps(ordered, indent=1, ensure_ascii=False) + "\n"
    _whole.write(claims.RESULTS / f"{lesson}.json", text)


def drop_the_gone():
    """Takes out the results of claims that the register has no more."""
    with claims.alone("results", wait=True):
        for path in sorted(claims.RESULTS.glob("*.json")):
            found = claims.results(path.stem)
            gone = found.keys() - claims.register().keys()
            if gone:
                write_results(path.stem, {name: found[name] for name in found if name not in gone})
                print(f"{path.name}: no claim is called {', '.join(sorted(gone))} any more; its result goes.")


def try_all(parser, names):
    """Tries the claims that `names` begin; how many did not stand, or could not be tried to the end."""
    wanted, over, refuted, failed = chosen(parser, names), [], [], []
    for lesson in sorted({claim.lesson for claim in wanted}):
        claims.results(lesson)  # a damaged record is told now, and not after hours
    for claim in wanted:
        with claims.alone(claim.name) as free:
            if free:
                try_one(claim, over, refuted, failed)
            else:
                print(f"{claim.name}: another run is trying it at this moment; left to that one", flush=True)
    for claim in over:
        forget(claim)
    for number, words in (refuted, "did not stand"), (failed, "could not be tried or recorded"):
        if number:
            print(f"{len(number)} {words}: {', '.join(number)}", flush=True)
    return len(refuted) + len(failed)


def forget(claim):
    """What was kept of a trial that is over: the next one begins from scratch."""
    for path in claims.KEPT.glob(f"{claim.name}[. ]*"):
        path.unlink(missing_ok=True)


def try_one(claim, over, refuted, failed):
    """Tries a claim, says what came out, and records it; its name goes to those that it belongs to."""
    kept = sorted(claims.KEPT.glob(f"{claim.name}[. ]*.json"))
    source = Path(inspect.getfile(claim.refute))
    if kept and source.stat().st_mtime > min(path.stat().st_mtime for path in kept):
        print(
            f"{claim.name}: {claims.KEPT} has parts from before {source.name} was changed; without them it is all new"
        )
    done = claims.KEPT / f"{claim.name}.done.json"
    if done.exists():
        print(f"{claim.name}: done before the interrupt", flush=True)
        over.append(claim)
        return
    print(f"{claim.name}: about {claim.minutes:g} minutes …", flush=True)
    result = None
    try:
        result = attempt(claim)
        said = claim.out.format(**result["found"])
        record(claim, result)
        _whole.write(done, json.dumps(result))
    except AssertionError as error:
        refuted.append(claim.name)
        forget(claim)
        print(f"{claim.name}: REFUTED {error}", flush=True)
    except Exception as error:  # of one experiment, or of a disk: the others go on, and what was measured is shown
        failed.append(claim.name)
        traceback.print_exc()
        measured = f" It had measured {json.dumps(result)}" if result else ""
        print(f"{claim.name}: FAILED {type(error).__name__}: {error}.{measured}", flush=True)
    else:
        over.append(claim)
        print(f"{claim.name}: stands ({result['seconds']:.0f} s). {said}", flush=True)


def page():
    """docs/CLAIMS.md: a row for each claim."""
    register = claims.register().values()
    lines = [INTRODUCTION.format(count=len(register), hours=sum(claim.minutes for claim in register) / 60)]
    for number in sorted({claim.lesson for claim in register}):
        lesson = next((claims.ROOT / "notebooks").glob(f"{number}_*.ipynb"))
        title = json.loads(lesson.read_text(encoding="utf-8"))["cells"][0]["source"]
        heading = next(line for line in "".join(title).splitlines() if line.startswith("# "))[2:]
        lines += [
            f"\n## [{heading}](../notebooks/{lesson.name})\n",
            "| claim | the lesson says | tried against it | what came out | seconds |",
        ]
        lines += ["|---|---|---|---|---|"]
        found = claims.results(number)
        lines += [row(claim, found.get(claim.name)) for claim in register if claim.lesson == number]
    return "\n".join(lines) + "\n"


def row(claim, result):
    says, out = claim.says, "not tried yet"
    if result:
        try:
            says, out = says.format(**result["found"]), claim.out.format(**result["found"])
        except (KeyError, ValueError, TypeError):
            out = "tried when the row had other numbers: try it again"
    cells = (
        f"`{claim.name}` cell `{claim.cell}`",
        says,
        f"{claim.tried} *({', '.join(claim.attacks)})*",
        out,
        f"{result['seconds']:.0f}" if result else "",
    )
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


INTRODUCTION = """# The register of claims

Each headline claim of the lessons, what was tried to break it, and what came out: {count} rows. Where an attempt
succeeded, the lesson was rewritten to what stands, and the row says so.

`make claims` tries all of them again, from scratch, in about {hours:.1f} hours of one core; it goes on where an
interrupt stopped it. `make claims ARGS=06` tries one lesson's, `make claims ARGS=01.some-claim` one. The experiments
are plain functions in [claims/](../claims/), a file for each lesson; what they measured, and on which machine, is in
claims/results/. A test holds that each sentence stands in its lesson with the numbers of its row. This page is written
by the command.

The attacks, each named in its row: {attacks}.""".replace(
    "{attacks}", "; ".join(f"*{name}*: {meaning}" for name, meaning in claims.ATTACKS.items())
)


def main(arguments):
    parser = argparse.ArgumentParser(description="Try to refute the lessons' claims, and record what came out.")
    parser.add_argument(
        "names", nargs="*", help="lessons (01) or claims (01.some-claim) to begin with; all unless given"
    )
    parser.add_argument(
        "--page", action="store_true", help="write docs/CLAIMS.md from what is recorded, and try nothing"
    )
    options = parser.parse_args(arguments)
    if not __debug__:
        sys.exit("Python runs without assertions here (-O, PYTHONOPTIMIZE): no claim could be refuted.")
    try:
        if options.page:
            drop_the_gone()
        failed = 0 if options.page else try_all(parser, options.names)
        _whole.write(PAGE, page())
    except KeyboardInterrupt:
        sys.exit("\nInterrupted: what has ended is kept. The same command goes on from here.")
    except (OSError, ValueError) as problem:
        sys.exit(f"{str(problem).rstrip('.')}. What has been recorded is kept; the same command goes on from here.")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
