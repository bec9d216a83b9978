"""JAX: the same functions, as XLA compiles them."""
