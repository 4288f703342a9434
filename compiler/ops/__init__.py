"""The primitives: one record each, declared in the file of its family.

Importing this package fills the registry (`compiler.ir.op.REGISTRY`).

    elementwise   exp, tanh, maximum, where …       contraction   einsum2
    reduction     sum, max, logsumexp, softmax …    layout        reshape, slice, concat …
    indexing      take, pick, one_hot …             leaves        input, param, const …
    window        windows, fold                 loop          the run-time loop
    special       arctan, lgamma, digamma …     matrices      solve, cholesky, logdet
    derived       functions made of ops: mean, prod, norm2 …
    zeros, stability: the rules that every constructor obeys
"""

from . import (
    contraction,
    derived,
    elementwise,
    emission,
    indexing,
    layout,
    leaves,
    loop,
    matrices,
    reduction,
    special,
    window,
)

__all__ = [
    "contraction",
    "derived",
    "elementwise",
    "emission",
    "indexing",
    "layout",
    "leaves",
    "loop",
    "matrices",
    "reduction",
    "special",
    "window",
]
