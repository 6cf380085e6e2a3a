"""One module per subcommand: its docstring is the help, ``register`` its options, ``run`` does it."""
