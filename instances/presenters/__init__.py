"""What pages of instances show, computed for HTML only."""
