"""The hand-written networks as fixtures."""

from __future__ import annotations

import copy

import pytest
from handwritten import LOGISTIC, MLP, source

from gradc.network import Network


@pytest.fixture
def mlp() -> Network:
    return Network(source("mlp"), copy.deepcopy(MLP))


@pytest.fixture
def logistic() -> Network:
    return Network(source("logistic"), copy.deepcopy(LOGISTIC))
