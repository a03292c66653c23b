"""Forms of templates and runs."""
