"""Tries to refute the lessons' claims, from scratch, and writes what came out: claims/results/ and docs/CLAIMS.md.

Usage: python tools/try_claims.py [--page] [01 06.both-budgets …]      (make claims; all of them unless some are named)

Hours of one core for all. Each claim is kept as it ends, and the trainings of long ones too: after an interrupt the
same command goes on from there. A claim that does not stand is told at the end; its row keeps what stood before.
--page writes docs/CLAIMS.md from what is recorded, and tries nothing.
"""

import argparse
import json
import sys
import time
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
    """Puts one result among its lesson's, in the order of the register; what no claim asks for any more goes."""
    found = claims.results(claim.lesson) | {claim.name: result}
    ordered = {name: found[name] for name in claims.register() if name in found}
    claims.RESULTS.mkdir(exist_ok=True)
    text = json.dumps(ordered, indent=1, ensure_ascii=False) + "\n"
    _whole.write(claims.RESULTS / f"{claim.lesson}.json", text)


def try_all(parser, names):
    """Tries the claims that `names` begin; how many did not stand."""
    refuted = []
    for claim in chosen(parser, names):
        done = claims.KEPT / f"{claim.name}.done.json"
        if done.exists():
            print(f"{claim.name}: done before the interrupt", flush=True)
            continue
        print(f"{claim.name}: about {claim.minutes:g} minutes …", flush=True)
        try:
            result = attempt(claim)
        except AssertionError as error:
            refuted.append(claim.name)
            print(f"{claim.name}: REFUTED {error}", flush=True)
            continue
        record(claim, result)
        claims.KEPT.mkdir(parents=True, exist_ok=True)
        _whole.write(done, json.dumps(result))
        print(f"{claim.name}: stands ({result['seconds']:.0f} s). {claim.out.format(**result['found'])}", flush=True)
    for claim in chosen(parser, names):  # these are over: the next trial begins from scratch
        for path in claims.KEPT.glob(f"{claim.name}[. ]*"):
            path.unlink()
    if refuted:
        print(f"{len(refuted)} did not stand: {', '.join(refuted)}", flush=True)
    return len(refuted)


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
        says, out = says.format(**result["found"]), claim.out.format(**result["found"])
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
    try:
        failed = 0 if options.page else try_all(parser, options.names)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted: what has ended is kept. The same command goes on from here.")
    _whole.write(PAGE, page())
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
