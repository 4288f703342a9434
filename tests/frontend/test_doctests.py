"""The examples in the docstrings of the front end are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

from gradc.compiler.errors.form import Reporter
from gradc.compiler.frontend.scan import Limits
from gradc.compiler.source import Source

MODULES = (
    "source errors.form frontend.ast frontend.constants frontend.format frontend.parser "
    "frontend.printer frontend.resolve frontend.scan frontend.signatures"
).split()


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"gradc.compiler.{name}")
    given = {"Source": Source, "Reporter": Reporter, "Limits": Limits}
    results = doctest.testmod(module, extraglobs=given)
    assert results.attempted > 0 and results.failed == 0
