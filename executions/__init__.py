"""Runs of templates: started, followed through AMC, their results kept and shown."""
