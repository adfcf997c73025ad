"""A layer over several ranks beside one machine, outside Jupyter:

torchrun --standalone --nproc-per-node 4 -m mha_lab.parallel     each rank is started by torchrun
python -m mha_lab.parallel                                       two ranks, started by mha_lab.parallel.run
"""

import torch.distributed as dist

from mha_lab.parallel.processes import run
from mha_lab.parallel.shown import compared


def main():
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
        rank, found = dist.get_rank(), compared()
        dist.destroy_process_group()
    else:
        rank, found = 0, run(compared, 2, seconds=60)[0]
    if rank == 0:
        print(found)


if __name__ == "__main__":
    main()
