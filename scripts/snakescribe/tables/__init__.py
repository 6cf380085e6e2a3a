"""The tables people read in the morning, as Parquet and TSV."""
