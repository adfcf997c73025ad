"""One layer, or one text, over several processes: `run` starts them, `AcrossRanks` spreads heads, `ring_attention`
spreads a text.

The engine is torch.distributed, as on a cluster: a function that runs here runs under `torchrun` too, and
`torchrun --standalone --nproc-per-node 4 -m mha_lab.parallel` shows it.
"""

from mha_lab.parallel.heads import AcrossRanks, heads_of, kv_heads_of, part_of
from mha_lab.parallel.processes import RankFailed, run
from mha_lab.parallel.ring import merged, ring_attention

__all__ = ["AcrossRanks", "RankFailed", "heads_of", "kv_heads_of", "merged", "part_of", "ring_attention", "run"]
