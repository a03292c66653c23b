"""What pages of templates show, computed for HTML only."""
