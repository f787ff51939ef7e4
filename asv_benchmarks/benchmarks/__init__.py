"""Benchmarks of numbanet for asv."""
