"""Side by side: gradc, NumPy written by hand, and other ways to a gradient."""
