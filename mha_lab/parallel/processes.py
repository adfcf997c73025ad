"""A function on several processes of this machine, the ranks of one torch.distributed group; none is left behind.

A process of its own for each rank, and not a copy of the notebook's: what runs there is what `torchrun` would run on
several machines. They meet in a file of a temporary folder, so that no port has to be free, and talk over the
machine's loopback.
"""

import json
import linecache
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import psutil

from mha_lab import _door
from mha_lab.memory import require_memory

MOST_RANKS = 16
"""Each is a Python with torch in it."""
A_RANK = 250 * 2**20
"""Bytes that such a process takes before it has computed anything."""
START = 120.0
"""Seconds within which all ranks must have started; on two busy cores four of them take ten."""
LOOK = 0.01  # seconds between two looks at the ranks


class RankFailed(RuntimeError):
    """A rank ended without a result, or did not end. `traceback`: what Python said there, "" where it said nothing."""

    traceback = ""


def run(function: Callable, ranks: int, *args: Any, seconds: float = 9.0) -> list:
    """What function(*args) returns on each of `ranks` processes, in the order of the ranks.

    Within the function torch.distributed is ready: get_rank(), get_world_size(), all_reduce(…), over gloo on CPUs and
    nccl where there is a GPU for each rank. Each rank computes on one thread. A function written in a notebook's cell
    is sent with all that it names; these are copies, and what it changes there stays there. What ranks print is printed
    when they are done.

    seconds  in which all must be done, from the moment when all have started: who waits for nothing is told within
             ten, unless more are allowed.

    No process outlives this call, nor the Python that called it. Raises RankFailed, in a sentence, where a rank raised
    an error, was killed or was not done in time; TypeError for what cannot be sent to another process."""
    if not callable(function):
        raise TypeError(f"function is {_door.told(function)}; it must be a function, which every rank then calls.")
    ranks = _door.whole("ranks", ranks)
    if ranks > MOST_RANKS:
        raise ValueError(f"ranks={ranks}: each is a process of its own, and at most {MOST_RANKS} are started.")
    if (seconds := _door.finite("seconds", seconds)) <= 0:
        raise ValueError(f"seconds={seconds:g}: it must be more than 0.")
    work = _packed(function, args)
    require_memory(ranks * A_RANK)
    with tempfile.TemporaryDirectory(prefix="mha_lab-ranks-", ignore_cleanup_errors=True) as name:
        folder, processes = Path(name), []
        (folder / "path.json").write_text(json.dumps(sys.path))
        (folder / "work").write_bytes(work)
        try:
            for rank in range(ranks):
                _start(processes, folder, rank, ranks, seconds)
            _wait(processes, folder, seconds, _Code.of(function))
            return [pickle.loads((folder / f"done_{rank}").read_bytes()) for rank in range(ranks)]
        finally:
            _end(processes)
            _say(folder, ranks)


def _packed(function, args):
    try:
        return cloudpickle.dumps((_Code.of(function).name, cloudpickle.dumps((function, args))))
    except Exception as problem:  # whatever a thing raises that cannot be copied
        name = getattr(function, "__name__", "the function")
        raise TypeError(
            f"{name} cannot be sent to another process, nor what it names and is given: {problem}. Tensors, numbers "
            "and modules can; locks and widgets cannot."
        ) from None


class _Code:
    """Where a function stands, so that a line of it can be shown. On its way to a rank it loses its file, not its name
    and its lines' numbers."""

    def __init__(self, name, lines):
        self.name, self.lines = name, lines

    @classmethod
    def of(cls, function):
        code = getattr(function, "__code__", None)
        return cls(code.co_name, linecache.getlines(code.co_filename)) if code else cls("", [])

    def line(self, number):
        """ "in line 3 of its code, `dist.all_reduce(share)`" """
        said = self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""
        return f"in line {number} of its code" + (f", `{said}`" if said else "")


def _start(processes, folder, rank, ranks, seconds):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR", "PYTHONUNBUFFERED": "1"}
    if sys.platform != "win32":
        environment["GLOO_SOCKET_IFNAME"] = _loopback()
    # -P: the folder of _rank.py is no place to import from.
    command = [sys.executable, "-P", Path(__file__).with_name("_rank.py"), folder, str(rank), str(ranks), str(seconds)]
    with open(folder / f"printed_{rank}", "wb") as out, open(folder / f"warned_{rank}", "wb") as err:
        # A session of its own: an interrupt of the notebook reaches this process alone, which then ends the ranks.
        processes.append(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environment, start_new_session=True
            )
        )


def _loopback():
    """The name of the network device that leads nowhere but here: lo, or lo0."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address == "127.0.0.1" for each in addresses):
            return name
    return "lo"


def _wait(processes, folder, seconds, code):
    """Return when every rank is done. Raises RankFailed for the first that fails, or for those that take too long."""
    ranks, begun = range(len(processes)), time.monotonic()
    started = None
    while True:
        if any((folder / f"failed_{rank}").exists() or processes[rank].poll() is not None for rank in ranks):
            time.sleep(0.3)  # one that fails tears its connections, and others fail of that: who was the first?
            raise _failure(processes, folder, code)
        now = time.monotonic()
        if started is None:
            if all((folder / f"ready_{rank}").exists() for rank in ranks):
                started = now
            elif now - begun > START:
                late = [rank for rank in ranks if not (folder / f"ready_{rank}").exists()]
                raise RankFailed(f"{_named(late, len(processes))} did not start within {START:.0f} seconds.")
        elif all((folder / f"done_{rank}").exists() for rank in ranks):
            return
        elif now - started > seconds + 0.5:  # by then each rank has written where it stands
            raise _too_late(folder, len(processes), seconds, code)
        time.sleep(LOOK)


def _failure(processes, folder, code):
    """What to say of the rank that failed first."""
    ranks = len(processes)
    told = {rank: json.loads(path.read_text()) for rank in range(ranks) if (path := folder / f"failed_{rank}").exists()}
    silent = [rank for rank, process in enumerate(processes) if process.poll() is not None and rank not in told]
    if silent:  # it was killed, or left: the others only lost it
        rank, returned = silent[0], processes[silent[0]].returncode
        if returned < 0:
            name = signal.Signals(-returned).name
            return RankFailed(
                f"Rank {rank} of {ranks} was killed ({name}) before it was done; all other ranks were ended."
            )
        said = (folder / f"warned_{rank}").read_text(errors="replace").strip().splitlines()
        last = f": {said[-1]}" if said else ""
        return RankFailed(f"Rank {rank} of {ranks} left with exit code {returned} before it was done{last}.")
    rank = min(told, key=lambda rank: told[rank]["at"])
    found = told[rank]
    where = f" {code.line(found['line'])}" if found["line"] else ""
    failed = RankFailed(f"Rank {rank} of {ranks} raised {found['said']}{where}; all other ranks were ended.")
    failed.traceback = found["traceback"]
    return failed


def _too_late(folder, ranks, seconds, code):
    """What to say when time is up: which ranks were not done, and where each of them stood."""
    places = {}
    for rank in range(ranks):
        if (folder / f"done_{rank}").exists():
            where = "done"
        else:
            stack = folder / f"stack_{rank}"
            frames = re.findall(r'File ".*", line (\d+) in (.+)', stack.read_text() if stack.exists() else "")
            own = next((int(line) for line, name in frames if name == code.name), None)
            where = code.line(own) if own else "somewhere outside its own code"
        places.setdefault(where, []).append(rank)
    told = [f"{_named(found, ranks)} stood {where}" for where, found in places.items() if where != "done"]
    told += [f"{_named(found, ranks)} had finished" for where, found in places.items() if where == "done"]
    return RankFailed(f"Not all ranks were done after {seconds:g} seconds: {'; '.join(told)}. All were ended.")


def _named(found: Sequence[int], ranks: int) -> str:
    """rank 2, ranks 0 and 3, all 4 ranks"""
    if len(found) == ranks > 1:
        return f"all {ranks} ranks"
    *others, last = map(str, found)
    return f"ranks {', '.join(others)} and {last}" if others else f"rank {last}"


def _end(processes):
    """End every rank and what it may have started, and wait until the system has forgotten them."""
    for process in processes:
        try:
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        except OSError:  # it is gone
            pass
    for process in processes:
        process.wait()
        process.stdin.close()


def _say(folder, ranks):
    for rank in range(ranks):
        path = folder / f"printed_{rank}"
        for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
            print(f"rank {rank}: {line}")
