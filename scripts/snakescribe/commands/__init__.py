"""One module per command (docstring: the help; ``register``: its options; ``run`` does it), and the parser of all."""
