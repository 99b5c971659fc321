"""A recording from wherever it is, in whatever container, to samples."""
