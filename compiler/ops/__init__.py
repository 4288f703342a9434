"""The primitives: one record each, declared in the file of its family.

Importing this package fills the registry (`compiler.ir.op.REGISTRY`).

    arithmetic      add, mul, div, pow …              contraction   einsum2
    transcendental  exp, log, tanh, sqrt …            layout        reshape, transpose …
    piecewise       maximum, where, lt, and …         indexing      take, pick, one_hot …
    special         arctan, erf, lgamma, digamma …    window        windows, fold
    stops           cast, stop: no gradient           loops         the run-time loop
    reduction       sum, max, logsumexp, softmax …    matrices      solve, cholesky, logdet
    leaves          input, param, const …             emission      what one line of NumPy does
    slices          slice, unslice, concat
    derived         functions made of ops: mean, prod, norm2 …
    zeros, stability: the rules that every constructor obeys
    bounds: what is proved of a value, whatever the data are
"""

from ..ir.op import REGISTRY
from . import (
    arithmetic,
    contraction,
    derived,
    emission,
    indexing,
    layout,
    leaves,
    loops,
    matrices,
    piecewise,
    reduction,
    slices,
    special,
    stops,
    transcendental,
    window,
)

__all__ = [
    "REGISTRY",
    "arithmetic",
    "contraction",
    "derived",
    "emission",
    "indexing",
    "layout",
    "leaves",
    "loops",
    "matrices",
    "piecewise",
    "reduction",
    "slices",
    "special",
    "stops",
    "transcendental",
    "window",
]
