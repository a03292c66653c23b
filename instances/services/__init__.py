"""What touches several models, the network, or happens after a commit."""
