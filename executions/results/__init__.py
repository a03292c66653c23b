"""Results of runs: checked, converted to Parquet, paged, summed up, drawn and exported. No Django."""
