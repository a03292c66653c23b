"""Pages of schedules and the run wizard."""
