"""Emitted modules over a finite field: gradients checked with no tolerance."""
