"""Forms: all validation of input."""
