"""Facts about Amazon Marketing Cloud: its tables, functions and limits, and what its SQL lacks.

A leaf package that imports nothing of the project, so that the local AMC and the product can share it without
knowing each other.
"""
