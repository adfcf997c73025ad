"""The explorers: anywidgets that compute and draw in the browser, so that a control answers without the kernel."""

from mha_lab.widgets.attention_stepper import AttentionStepper
from mha_lab.widgets.cost_explorer import CostExplorer
from mha_lab.widgets.guess import Guess
from mha_lab.widgets.guess import reckoning as reckoning  # which is no explorer, and so not in __all__
from mha_lab.widgets.head_explorer import HeadExplorer
from mha_lab.widgets.head_switches import HeadSwitches
from mha_lab.widgets.intent_explorer import IntentExplorer
from mha_lab.widgets.kv_cache_explorer import KVCacheExplorer
from mha_lab.widgets.layer_map import LayerMap
from mha_lab.widgets.mock_interview import MockInterview
from mha_lab.widgets.model_table import ModelTable
from mha_lab.widgets.output_mixer import OutputMixer
from mha_lab.widgets.tile_explorer import TileExplorer
from mha_lab.widgets.true_or_false import TrueOrFalse
from mha_lab.widgets.true_or_false import then_and_now as then_and_now

__all__ = [
    "AttentionStepper",
    "CostExplorer",
    "Guess",
    "HeadExplorer",
    "HeadSwitches",
    "IntentExplorer",
    "KVCacheExplorer",
    "LayerMap",
    "MockInterview",
    "ModelTable",
    "OutputMixer",
    "TileExplorer",
    "TrueOrFalse",
]
