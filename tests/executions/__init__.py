"""Runs from queued to stored result, against a running local AMC."""
