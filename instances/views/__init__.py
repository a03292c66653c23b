"""Pages and fragments by topic."""
