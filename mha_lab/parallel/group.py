"""Whether there are ranks to speak to."""

import torch.distributed as dist


def check_group(name: str) -> None:
    """Raises RuntimeError where torch.distributed has no group of ranks yet."""
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError(
            f"{name} speaks to other ranks, and there is no group of them: call it in a function that parallel.run or "
            "torchrun starts, after torch.distributed.init_process_group."
        )
