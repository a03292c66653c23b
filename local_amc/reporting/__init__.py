"""The Reporting API: workflows, executions, results, schedules and data sources of one instance."""
