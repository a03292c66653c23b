"""What is done with templates, executions and schedules."""
