"""Where a measure becomes a finding: each number with its unit, its reason, and its source.

A finding says that a net will not learn, or hardly: what merely differs from an ideal is none.
So the bounds lie well beyond what sound nets show, fresh and trained, and most are ratios, which
do not depend on units of the data or the scale of the loss.
"""

from __future__ import annotations

# ------------------------------------------------------------------------- activations
FLAT = 0.02
"""An entry of a saturating activation is flat where |f′(z)| < FLAT · max |f′|: |tanh| > 0.99, σ
below 0.005 or above 0.995. What comes back through it is less than a fiftieth."""

OFF = 1e-3
"""An entry of a rectifier (flat on one side) is off where |f′(z)| < OFF · max |f′|: 0 for relu,
z < -7 for elu. The slope 0.01 of a leaky relu is none of these, on purpose: it lets δ
through."""

SATURATED = 0.7
"""Share of a hidden layer's entries that may be flat. Pre-activations of deviation s have 1 -
erf(2.65 / (s √2)) of tanh's entries flat: the bound is passed at s = 7, where Glorot's
initialisation has about 1 (Glorot, Bengio 2010, Understanding the difficulty of training deep
feedforward networks). Gates of trained LSTMs have a fifth to a half."""

WRONG = 0.25
"""Share of the entries of an output (or rows of a softmax) that may be flat on the wrong side,
where the loss wants them back. Flat on the right side is what a trained classifier is."""

DEAD = 0.5
"""Share of a layer's rectifiers that may be off in every row. A fresh unit on data that are all
positive is off with probability up to a half, so the share has to be beyond that by more than
chance: DEAD + DEAD_SIGMAS / (2 √units). One that is off everywhere in the data gets no gradient
and never comes back (Lu, Shin, Su, Karniadakis 2020, Dying ReLU and initialization)."""

DEAD_SIGMAS = 2.33
"""Standard deviations of the binomial distribution: one layer in a hundred by chance."""

CLOSED, CLOSED_SHARE = 0.01, 0.95
"""A gate (a value from 0 to 1 that multiplies another) is closed below CLOSED, and a layer of
gates where that share of its entries is: nothing passes forward, and nothing comes back. The
biases -1 to -3 of highway networks (Srivastava, Greff, Schmidhuber 2015) leave σ(-3) = 0.05."""

# ------------------------------------------------------------------------------- depth
VANISHING = 1e-4
"""‖δ‖ of a layer over ‖δ‖ of the last layers that it leads to, Frobenius norms over a batch.
Glorot's and He's initialisations keep the ratio near 1 whatever the widths; each sigmoid layer
takes a factor 4 or more, since σ′ ≤ 1/4 (Nielsen, Neural Networks and Deep Learning, chapter
5): the bound is passed by the seventh. Residual nets, and up to six sigmoids, are above it."""

EXPLODING = 1e3
"""The same ratio from above. A word table of deviation 0.02 under a layer norm has 50."""

GROWTH_FRESH, GROWTH_TRAINED = 1e2, 1e4
"""Root mean square of a layer's z over that of the data (or over 1, where they are smaller). A
fresh net keeps it near 1 (He, Zhang, Ren, Sun 2015, Delving deep into rectifiers); a trained
one may grow, and its last layer has the scale of its targets, so that one is left out."""

# -------------------------------------------------------------------------------- time
FADED = 1e-7
"""‖δ_t‖ of a step over the largest of all steps: 2⁻²³, the precision of float32. What is below
adds nothing to a gradient that is a sum over steps."""

FADED_STEPS = 0.5
"""The share of steps, the farthest from the loss, that may have faded."""

EXPLODING_STEPS = 1e4
"""‖δ‖ of the first step over that of the last (Pascanu, Mikolov, Bengio 2013, On the difficulty
of training recurrent neural networks)."""

# ---------------------------------------------------------------------------- softmaxes
PEAKED = 0.99
"""The largest probability of a row that is saturated: the Jacobian diag(p) - p pᵀ is below
0.02."""

PEAKED_SHARE = 0.5
"""Share of the rows of an inner softmax (of attention, say) that may be peaked."""

ASTRAY = 0.5
"""‖p - y‖ of a row, which is its adjoint over that of its logsumexp: √2 where a probability of
1 is wrong."""

# ------------------------------------------------------------------- parameters, inputs
TWINS = 0.5
"""Share of a layer's units that may be copies of one another: equal weights and equal gradients
stay equal for ever (Goodfellow, Bengio, Courville 2016, Deep Learning, 8.4)."""

TWIN_ERROR = 1e-9
"""Two columns are equal where they differ by less, relative to the largest entry: float64's
rounding."""

UNUSED_ROWS = 0.3
"""Share of a table's rows that no row of the data names. A rare word that the training part
lacks is no fault; a table a third too large, or an index that misses its rows, is."""

UNUSED_CHARACTERS = 0.75
"""The same of a text's characters: 128 codes for a text of 65 characters are no fault."""

LOOKUPS = 100
"""Where the index is computed, and all of the data are too many to look at: so many look-ups
for each row of the table make what was not named unused."""

SCALE = 25.0
"""Root mean square of an input's largest feature, where it meets the first weights.
Standardised features have 1 (LeCun, Bottou, Orr, Müller 1998, Efficient BackProp), grey values
up to 255 about 80."""

FLAT_NORM = 0.5
"""Share of the variances under a root that are less than the ε beside them: what is divided by
√ε is rounding error."""

# ------------------------------------------------------------------------------- steps
LARGE_STEP = 1.0
"""‖Δθ‖ / ‖θ‖ of a weight in a first update, θ no smaller than Glorot's initialisation has it:
at 1 an update is all that there was. 10⁻³ is usual (Karpathy 2016, CS231n: ratio of weights to
updates)."""

SMALL_STEP = 1e-7
"""The same from below, of the weight that moves most: float32 rounds it away."""

BLOWN = 10.0
"""The loss after a few first steps over the loss before."""

FEW_STEPS = 8
"""How many first steps are made to see that, on as many batches."""

COLLAPSE_ROWS = 50
"""Rows from which on one answer to all is a finding, and the share of the rarer labels that it
then gets wrong is at least RARE."""

RARE = 0.05
