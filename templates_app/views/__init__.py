"""Pages of templates and runs."""
