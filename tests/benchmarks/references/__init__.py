"""Training steps of the workloads in NumPy, written by hand to be as fast as NumPy gets.

They are what generated code is measured against, so nothing here comes from a compiler. Each
module has one `program(P, G, data, rows, lr, arena, options)`: it makes what it needs and
returns `run()`, which writes `lr` times the gradient of a slice of the batch into G and
returns the slice's part of the loss. `driving` cuts the batch, hands slices to threads and
updates θ.
"""
