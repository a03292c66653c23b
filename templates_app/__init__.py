"""Templates, executions and schedules of an instance."""
