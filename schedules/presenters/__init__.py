"""What pages of schedules show, computed for HTML only."""
