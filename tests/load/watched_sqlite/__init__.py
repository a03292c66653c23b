"""Django's SQLite backend, which also notes how long each transaction held the write lock."""
