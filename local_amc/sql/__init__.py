"""AMC SQL on DuckDB: parse, check against AMC's tables, rewrite, and carry the users behind every row."""
