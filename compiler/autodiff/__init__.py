"""Derivatives: reverse mode, forward mode, and the proof that rows are independent."""
