"""From windows of speech to text: one flow for every backend, with guards on each window."""
