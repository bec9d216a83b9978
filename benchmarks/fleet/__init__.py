"""A fleet: one plan, measured by the nodes of a Ray cluster. Ray only carries; our own run measures."""
