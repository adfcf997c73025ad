"""The reference: transformers, which is not part of the lab. Where it is absent these tests are skipped."""

import os

import pytest
import torch

from mha_lab.measure import single_thread
from mha_lab.pretrained import ModelMissing

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched


@pytest.fixture(scope="session")
def transformers():
    install = "run `make reference`, or `pip install --no-deps -r requirements-reference.txt`"
    return pytest.importorskip("transformers", reason=f"transformers, the reference, is absent: {install}.")


@pytest.fixture(autouse=True)
def one_thread_and_no_gradients():
    with single_thread(), torch.no_grad():
        yield


@pytest.fixture(scope="session")
def loaded():
    """A function that loads a real model, or skips the test with the line that installs it."""

    def load(model):
        try:
            return model.load()
        except ModelMissing as missing:
            pytest.skip(str(missing))

    return load
