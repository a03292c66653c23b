"""What is done with executions."""
