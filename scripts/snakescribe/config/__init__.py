"""One configuration object, validated once (no torch here: Snakemake parses with it in every job)."""

from snakescribe.config.load import load_config, load_file
from snakescribe.config.options import Config

__all__ = ["Config", "load_config", "load_file"]
