"""Workflow executions: what is kept of one, its SQL and window, and the thread that moves it on."""
