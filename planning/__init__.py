"""Windows, recurrences and names of runs: pure values, below the models."""
