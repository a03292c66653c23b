"""Health checks: batches of instances are probed, and what was found out is kept as history."""
