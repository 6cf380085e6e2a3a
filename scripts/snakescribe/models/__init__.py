"""The model store: weights by name or path, checked by SHA-256, in every form an engine needs.

Reading the store (:class:`Store`) is cheap and imports no torch: Snakemake does it at every parse. Filling it
(``fetch``, ``prepare``) is the business of ``snakescribe models`` alone, never of a job.
"""

from snakescribe.models.store import Prepared, Store

__all__ = ["Prepared", "Store"]
