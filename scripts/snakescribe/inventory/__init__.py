"""Which recordings there are: found, hashed, probed, and put into batches that never change."""
