"""Facts about Amazon Marketing Cloud: its tables, columns and functions.

A leaf package that imports nothing of the project, so that the local AMC and the product can share it without
knowing each other.
"""
