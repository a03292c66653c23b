"""SQL templates: parameters and lint. Pure Python, no Django."""
