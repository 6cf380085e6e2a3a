"""The report: one page without a network, and its first screen in a terminal."""
