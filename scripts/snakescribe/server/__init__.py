"""The HTTP shim: ad hoc requests through the same engine, options and cache as the batch."""
