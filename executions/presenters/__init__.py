"""What pages show of executions and their results."""
