"""Loads: what the product does under far more than one person asks for, told in counts and seconds."""
