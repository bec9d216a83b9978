"""PyTorch: its own functions, and what its users compose of them."""
