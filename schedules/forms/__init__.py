"""Forms of schedules and the run wizard."""
