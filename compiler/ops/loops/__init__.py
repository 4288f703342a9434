"""The run-time loop: one node with a closed body, and projections of it.

    L = loop(init_0 …, sequence_0 …, capture_0 …; body, steps, reverse)

`body` holds the next carries, over *formals* only: carry k (enters the step), slice k
(sequence k at t), capture k (the same at every step). The loop itself is a tuple; values
are read off it:

    last(L, k)    carry k after the last step
    each(L, e)    the body expression e at every step, entry t from step t, T in front
    total(L, e)   the sum of e over the steps

What is collected or summed is thus no part of the loop: a derivative adds projections and
never changes it, what nobody reads does not exist, and "saved" means an `each` that the
backward reads. Bodies are closed, so interning works by content and there is nothing to
rename. The VJP of a loop is a loop that runs the other way (`reverse_loop`).

Three rewrites stand in the constructors: what needs no carry is *hoisted* and computed for
all steps at once; `each` is *pushed to the leaves*; `total` is *pushed out*, so the
gradient of a weight is one product of matrices after the loop. `rewriting(False)` turns
them off, for tests.

    body           formals, and what of a body depends on which
    lifting        an expression of one step, for all steps at once
    draft          a loop while it is written; hoisting
    reverse        its VJP: backpropagation through time
    projections    last, each, total; the records of all of these
"""

from . import projections
from .body import formal, formals, parts
from .draft import Draft
from .lifting import hoisting_all, rewriting

__all__ = [
    "Draft",
    "formal",
    "formals",
    "hoisting_all",
    "parts",
    "projections",
    "rewriting",
]
