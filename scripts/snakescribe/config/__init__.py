"""What was asked for and what it was resolved to, validated once (no torch here: Snakemake parses with it)."""

from snakescribe.config.load import load_config, load_file, read_resolved
from snakescribe.config.options import AskedConfig, Config

__all__ = ["AskedConfig", "Config", "load_config", "load_file", "read_resolved"]
