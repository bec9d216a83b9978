"""Which ops stand for all, where what is tested is how loops are put around formulas."""

SOME = (
    *(
        "relu",
        "gelu",
        "prelu",
        "swiglu",
        "softmax",
        "glu",
        "mean_squared_error",
        "binary_cross_entropy_with_logits",
    ),
    *("gaussian_negative_log_likelihood", "softmax_cross_entropy_with_integer_labels", "cosine_similarity"),
)
"""One op of each way in which loops are put around formulas: to compile all, in parallel or for every layout,
takes minutes."""

FEW = ("relu", "softmax", "mean_squared_error", "softmax_cross_entropy_with_integer_labels")
"""One op of each kind of loop: where each takes seconds to compile, and nothing but the loop is tested."""
