"""A campaign: very many runs through faults and killed workers, and not one of them lost, doubled or changed."""
