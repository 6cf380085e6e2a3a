"""The proof of the GPU path, one script for a machine with a card: ``benchmarks/gpu.sh`` (README.md beside it)."""
