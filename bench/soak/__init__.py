"""Faults by seed and schedule, and a count of every spoken number: ``python -m bench.soak``."""
