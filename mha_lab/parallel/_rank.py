"""What one rank runs. `processes.run` starts it: python -P _rank.py FOLDER RANK RANKS SECONDS.

It reads its work from the folder, and writes there that it is ready, and what came of it. It ends when its parent does:
then its standard input ends.
"""

import datetime
import faulthandler
import json
import os
import pickle
import sys
import threading
import time
import traceback
from pathlib import Path


def leave_with_the_parent():
    sys.stdin.buffer.read()
    os._exit(0)


def main(folder, rank, ranks, seconds):
    watch = threading.Thread(target=leave_with_the_parent, daemon=True)
    watch.start()
    sys.path[:] = json.loads((folder / "path.json").read_text())
    name = ""
    try:
        meet(folder, rank, ranks)
        name, packed = pickle.loads((folder / "work").read_bytes())
        function, args = pickle.loads(packed)
        (folder / f"ready_{rank}").touch()
        stack = open(folder / f"stack_{rank}", "w")  # noqa: SIM115  # faulthandler writes into it as long as it runs
        faulthandler.dump_traceback_later(seconds, file=stack)
        result = function(*args)
        faulthandler.cancel_dump_traceback_later()
        whole(folder / f"done_{rank}", packed_result(result))
    except BaseException as error:  # SystemExit too: whatever ends a rank is told
        whole(folder / f"failed_{rank}", json.dumps(told(error, name)).encode())
    sys.stdout.flush()
    watch.join()  # stay until all are done: who still waits for this one is told so, and not that it hung up


def meet(folder, rank, ranks):
    """Join the group, on one thread."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    backend = "gloo"
    if torch.cuda.is_available() and torch.cuda.device_count() >= ranks:
        torch.cuda.set_device(rank)
        backend = "cpu:gloo,cuda:nccl"
    store = dist.FileStore(str(folder / "meeting"), ranks)
    patience = datetime.timedelta(days=1)  # the parent's is shorter, and it can say more
    dist.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=patience)


def packed_result(result):
    import cloudpickle
    from torch.utils._pytree import tree_map

    return cloudpickle.dumps(tree_map(arrived, result))


def arrived(thing):
    """A sum that the library has only asked for holds no numbers before somebody waits for them."""
    return thing.wait() if type(thing).__name__ == "AsyncCollectiveTensor" else thing


def told(error, name):
    """When a rank failed, by the clock of all processes of this machine, of what, and in which line of its function."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [number for frame, number in frames if frame.f_code.co_name == name]
    said = str(error).strip().partition("\n")[0]
    kind = type(error).__name__
    return {
        "at": time.monotonic(),
        "said": f"{kind}: {said}" if said else kind,
        "line": lines[-1] if lines else 0,
        "traceback": "".join(traceback.format_exception(error)),
    }


def whole(path, content):
    """Write a file that is there as a whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
