"""Tests of windows, recurrences and names."""
