"""A batch of recordings becomes rows: known transcripts from the cache, the rest through the engine, progress told."""
