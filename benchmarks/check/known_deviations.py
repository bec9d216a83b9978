"""Known deviations: each was measured, and is shown in the report.

The suite fails when one grows beyond its `max_ulp`, or is gone.
"""

from __future__ import annotations

from backends.catalogue import OPS
from benchmarks.check.deviations import ALL_DIGITS, INF, KnownDeviation

_OURS = ("numpy", "numba", "numba-parallel")
_TORCH, _JAX = ("torch", "torch-compile"), ("jax", "jax-eager")
_EITHER = _TORCH + _JAX
_FORWARD, _BACKWARD, _BOTH = ("forward",), ("backward",), ("forward", "backward")
_F16, _F32, _F64 = ("float16",), ("float32",), ("float64",)
_HOST, _CUDA = ("cpu",), ("cuda",)
_LIKE_F32 = ("bfloat16", "float32")
_EXP_OVERFLOWS = ((_F16, 10), (_LIKE_F32, 80), (_F64, 700))
"""Where exp nears the largest number."""
_NARROW_DTYPES, _WIDE_DTYPES = ("float16", "bfloat16"), ("float32", "float64")

_SIGMOID = "sigmoid' as y(1 - y) cancels where y approaches 1"
_TANH = "tanh' as 1 - y² cancels where |y| approaches 1"
_ONE_MINUS = "1 - σ(x) cancels where σ(x) approaches 1"
_EXP_OF_LOG = "the rounding of x - log(1 + exp(x)) is amplified by its size"
_EXPM1 = "the derivative of expm1(x), as expm1(x) + 1, cancels where expm1(x) approaches -1"
_GELU_ERF = "x/2 (1 + erf(x/√2)) cancels in the negative tail"
_GELU_ERFC = "the rounding of x/√2 is amplified by x² in erfc"
_GELU_TANH = "x/2 (1 + tanh(u)) cancels in the negative tail"
_GATE = "as gelu, in the tail of the gate"
_SOFTSIGN = "g/(1 + |x|) - g|x|/(1 + |x|)² cancels"
_SQUAREPLUS = "x + sqrt(x² + b) cancels left of 0"
_LOG_COSH = "tanh as a difference of two logistic functions cancels near 0"
_OVERFLOW = "an intermediate overflows"
_INFINITY = "0 times infinity, or infinity over infinity, is NaN where the limit exists"
_NAN_GRADIENT = "the gradient at NaN is a number: a comparison with NaN is false"
_NAN_IN_TAIL = "the gradient at NaN is a number in the loop for what does not fill a vector"
_NAN_BY_LENGTH = "https://github.com/pytorch/pytorch/issues/195075"
_SIXTH = "1/6 is a float32 number"
_FLUSH = "subnormal numbers are flushed to zero"
_CDF = "cdf(x), which is added to x·pdf(x), is subnormal and flushed to zero"
_SLOPE = "leaky_relu'(0) is 1, since the condition is x >= 0"
_CORNER = "the derivative at a corner is not 0"
_ROUNDED_CORNER = "x plus a constant is rounded to the corner, or beyond"
_DIFFERENCE = "the derivative of |x| at 0 is 1"
_BOUNDED_LOG = "logarithms are bounded at -100"
_BOUNDED_QUOTIENT = "the denominator (1 - p)p is bounded at 1e-12"
_XLOGY = "the derivative of xlogy is 0/0"
_LOG1P = "XLA's log1p of float64 is 124 ULP off between -0.42 and -0.35"
_SIXTH = "1/6 is a float32 number"
_NARROW = "products of small float16 numbers are subnormal"
_NAN_GRADIENTS = (
    *("relu", "relu6", "leaky_relu", "hard_sigmoid", "hard_tanh", "soft_shrink", "hard_shrink", "threshold"),
    *("sparse_sigmoid", "prelu", "sparsemax", "mean_absolute_error", "mean_absolute_percentage_error", "quantile"),
    "hinge",
)
_LOGISTIC_GRADIENTS = ("softplus", "log_sigmoid", "binary_cross_entropy_with_logits", "soft_margin")
_PROBABILITY_LOSSES = ("binary_cross_entropy", "binary_focal_cross_entropy")

KNOWN_DEVIATIONS: tuple[KnownDeviation, ...] = (
    # --- NaN and infinity -----------------------------------------------------------------------------------
    KnownDeviation(_EITHER, _NAN_GRADIENTS, _BACKWARD, INF, _NAN_GRADIENT, at="undefined"),
    KnownDeviation(
        ("torch",),
        ("elu", "celu", "selu", "hard_silu"),
        _BACKWARD,
        INF,
        _NAN_IN_TAIL,
        at="undefined",
        seen_in=(),
        devices=_HOST,
        issue=_NAN_BY_LENGTH,
    ),
    KnownDeviation(_TORCH, ("categorical_hinge",), _BACKWARD, INF, _NAN_GRADIENT, at="undefined"),
    KnownDeviation(
        _JAX, ("step", "squared_hinge", "categorical_hinge"), _BACKWARD, INF, _NAN_GRADIENT, at="undefined"
    ),
    KnownDeviation(
        _EITHER,
        ("gelu", "silu", "mish", "hard_silu", "squareplus", "softsign"),
        _FORWARD,
        INF,
        _INFINITY,
        high=-INF,
    ),
    KnownDeviation(_EITHER, ("gelu", "silu", "mish", "softsign"), _BACKWARD, INF, _INFINITY, high=-INF),
    KnownDeviation(
        _EITHER,
        ("gelu", "silu", "mish", "softsign", "squareplus", "sparse_plus"),
        _BACKWARD,
        INF,
        _INFINITY,
        low=INF,
    ),
    KnownDeviation(_EITHER, ("softsign",), _FORWARD, INF, _INFINITY, low=INF),
    KnownDeviation(_TORCH, ("poisson",), _FORWARD, INF, _INFINITY, low=INF),
    KnownDeviation(_TORCH, ("poisson",), _FORWARD, INF, _INFINITY, high=-INF, beside=0),
    KnownDeviation(_EITHER, ("squareplus",), _BACKWARD, INF, _INFINITY, high=-INF),
    KnownDeviation(_EITHER, ("mean_squared_logarithmic_error",), _BACKWARD, INF, _INFINITY, low=INF),
    KnownDeviation(_EITHER, ("swiglu", "geglu"), _FORWARD, INF, _INFINITY, low=INF, seen_in=()),
    KnownDeviation(_EITHER, ("swiglu", "geglu"), _FORWARD, INF, _INFINITY, high=-INF, seen_in=()),
    KnownDeviation(
        _EITHER, ("smooth_l1",), _BACKWARD, INF, _NAN_GRADIENT, at="undefined", parameters={"beta": 0.0}
    ),
    KnownDeviation(
        _TORCH, ("poisson",), _BOTH, INF, _INFINITY, low=0, high=0, beside=0, parameters={"log_input": False}
    ),
    KnownDeviation(
        _TORCH,
        ("softmax_cross_entropy_with_integer_labels",),
        _FORWARD,
        INF,
        "a loss of a label that is masked is infinite, and the label's share 0",
        at="row",
        high=-INF,
        parameters={"label_smoothing": 1.0},
    ),
    KnownDeviation(_TORCH, ("gelu",), _FORWARD, INF, _INFINITY, low=INF, seen_in=()),
    *(
        KnownDeviation(
            _TORCH,
            ("binary_cross_entropy_with_logits",),
            _FORWARD,
            INF,
            _INFINITY,
            low=x,
            high=x,
            issue="pytorch/pytorch#102894",
        )
        for x in (-INF, INF)
    ),
    KnownDeviation(
        _TORCH,
        ("softmax_cross_entropy", "kl_divergence"),
        _FORWARD,
        INF,
        "a masked class with a target of 0 makes 0·inf",
        at="row",
        high=-INF,
    ),
    KnownDeviation(
        _TORCH,
        ("swiglu",),
        _BOTH,
        INF,
        "silu(-inf) is NaN",
        at="anywhere",
        beside=-INF,
        issue="pytorch/pytorch#160876",
    ),
    KnownDeviation(
        _TORCH,
        ("geglu",),
        _BOTH,
        INF,
        "gelu(-inf) is NaN",
        at="anywhere",
        beside=-INF,
        issue="pytorch/pytorch#185770",
    ),
    KnownDeviation(  # in vectors of AVX-512: on the processors of one machine, and not on those of another
        _TORCH, ("geglu",), _BOTH, INF, "gelu(inf) is NaN", at="anywhere", beside=INF, devices=_HOST, seen_in=()
    ),
    KnownDeviation(
        _EITHER, ("leaky_relu",), _FORWARD, INF, _INFINITY, high=-INF, parameters={"negative_slope": 0.0}
    ),
    # --- overflow half way ----------------------------------------------------------------------------------
    KnownDeviation(_TORCH, ("gelu", "hard_silu"), _FORWARD, INF, _OVERFLOW, at="top", seen_in=()),
    KnownDeviation(_EITHER, ("sparse_plus",), _BACKWARD, INF, _OVERFLOW, at="top"),
    KnownDeviation(_EITHER, ("squareplus",), _BOTH, INF, "x² overflows", at="huge"),
    KnownDeviation(
        _EITHER, ("gelu",), _BACKWARD, INF, "x³ overflows", at="huge", parameters={"approximate": "tanh"}
    ),
    *(
        KnownDeviation(
            _EITHER, ("exponential", "poisson"), _BACKWARD, INF, _OVERFLOW, low=limit, dtypes=dtypes, seen_in=()
        )
        for dtypes, limit in _EXP_OVERFLOWS
    ),
    KnownDeviation(_JAX, ("silu", "mish"), _BACKWARD, INF, _OVERFLOW, at="top", seen_in=()),
    KnownDeviation(
        _EITHER,
        ("gaussian_negative_log_likelihood",),
        _FORWARD,
        INF,
        "the square overflows",
        at="huge",
        seen_in=(),
    ),
    # For every beta from 363 on: the squares of smaller differences fit. ATen's kernels say 0.5 * z * z / beta in
    # the arrays' type, on both devices. No issue of PyTorch's is known to us.
    KnownDeviation(
        ("torch",),
        ("smooth_l1",),
        _FORWARD,
        INF,
        "the square overflows before it is divided by beta",
        at="huge",
        dtypes=_F16,
        parameters={"beta": 1e4},
    ),
    KnownDeviation(_EITHER, ("poisson",), _FORWARD, INF, "infinity less infinity", at="huge", seen_in=()),
    *(
        KnownDeviation(
            _TORCH, ("cosine_similarity",), _BOTH, ALL_DIGITS, reason, at="row", low=low, high=high, dtypes=dtypes
        )
        for dtypes, large, small in ((_LIKE_F32, 1e18, 1e-30), (_F64, 1e150, 1e-290))
        for reason, low, high in (("squares overflow", large, INF), ("squares underflow", -small, small))
    ),
    *(
        KnownDeviation(_TORCH, ("soft_margin",), _BOTH, INF, "exp overflows", dtypes=dtypes, low=low, high=high)
        for dtypes, limit in _EXP_OVERFLOWS
        for low, high in ((limit, INF), (-INF, -limit))
    ),
    KnownDeviation(
        _OURS, ("exponential", "poisson"), _BACKWARD, INF, "the derivative itself overflows", low=10, seen_in=()
    ),
    KnownDeviation(
        _OURS, ("gaussian_negative_log_likelihood",), _FORWARD, INF, "the square overflows", at="huge", seen_in=()
    ),
    KnownDeviation(
        ("numpy",),  # Numba computes it in float64
        ("binary_focal_cross_entropy",),
        _BACKWARD,
        INF,
        "1/p itself overflows",
        at="subnormal",
        seen_in=(),
    ),
    *(
        KnownDeviation(
            ("numpy",),
            ("geglu",),
            _FORWARD,
            ALL_DIGITS,
            "gelu(gate) underflows where its product with x does not",
            low=low,
            high=high,
            dtypes=_F64,
            seen_in=(),
        )
        for low, high in ((1, INF), (-INF, -1))
    ),
    # --- cancellation ---------------------------------------------------------------------------------------
    KnownDeviation(_EITHER, ("sigmoid",), _BACKWARD, INF, _SIGMOID, low=1.0, cancels=16),
    KnownDeviation(_EITHER, ("glu",), _BACKWARD, ALL_DIGITS, _SIGMOID, low=1.0),
    KnownDeviation(_EITHER, ("tanh",), _BACKWARD, INF, _TANH, high=-0.5, cancels=16),
    KnownDeviation(_EITHER, ("tanh",), _BACKWARD, INF, _TANH, low=0.5, cancels=16),
    KnownDeviation(
        _EITHER, ("tanh_shrink",), _FORWARD, INF, "x - tanh(x) cancels near 0", low=-1, high=1, cancels=2
    ),
    KnownDeviation(
        _EITHER, ("tanh_shrink",), _BACKWARD, INF, "1 - (1 - y²) cancels", low=-50, high=50, cancels=16
    ),
    KnownDeviation(_EITHER, ("softsign",), _BACKWARD, INF, _SOFTSIGN, low=1, cancels=16),
    KnownDeviation(_EITHER, ("softsign",), _BACKWARD, INF, _SOFTSIGN, high=-1, cancels=16),
    KnownDeviation(_EITHER, ("squareplus",), _FORWARD, INF, _SQUAREPLUS, high=-0.1, cancels=16),
    KnownDeviation(_EITHER, ("squareplus",), _BACKWARD, INF, _SQUAREPLUS, high=-0.1, cancels=16),
    KnownDeviation(_EITHER, ("log_cosh",), _BACKWARD, INF, _LOG_COSH, at="anywhere", cancels=16),
    KnownDeviation(_TORCH, ("log_cosh",), _FORWARD, 16, _LOG_COSH, at="anywhere", seen_in=()),
    KnownDeviation(_JAX, ("elu", "celu", "selu"), _BACKWARD, ALL_DIGITS, _EXPM1, high=-1, cancels=16),
    KnownDeviation(_JAX, ("mish",), _BACKWARD, 128, _TANH, low=3, high=10),
    # 1 - y² is off by up to two units of 1, and x times as much is 4·x ULP of a result near 1/2.
    KnownDeviation(_TORCH, ("mish",), _BACKWARD, 40, _TANH, low=3, high=10, dtypes=_F32, seen_in=()),
    KnownDeviation(
        _EITHER, ("silu", "mish"), _BACKWARD, 1024, _ONE_MINUS, low=10, high=45, dtypes=_F64, seen_in=()
    ),
    KnownDeviation(_JAX, ("mish",), _BACKWARD, 64, _EXP_OF_LOG, low=-45, high=-8, dtypes=_F64, seen_in=()),
    KnownDeviation(
        _JAX, _LOGISTIC_GRADIENTS, _BACKWARD, 64, _EXP_OF_LOG, low=-45, high=-8, dtypes=_F64, seen_in=()
    ),
    KnownDeviation(_JAX, _LOGISTIC_GRADIENTS, _BACKWARD, 64, _EXP_OF_LOG, low=8, high=45, dtypes=_F64, seen_in=()),
    KnownDeviation(_TORCH, ("gelu",), _BOTH, ALL_DIGITS, _GELU_ERF, high=-1.0, cancels=16),
    KnownDeviation(_JAX, ("gelu",), _BOTH, 4000, _GELU_ERFC, high=-1.0, parameters={"approximate": "none"}),
    KnownDeviation(
        _JAX, ("gelu",), _BOTH, ALL_DIGITS, _GELU_TANH, high=-1.0, parameters={"approximate": "tanh"}, cancels=16
    ),
    KnownDeviation(
        _JAX, ("gelu",), _BACKWARD, ALL_DIGITS, _TANH, low=1.0, parameters={"approximate": "tanh"}, cancels=16
    ),
    KnownDeviation(_EITHER, ("geglu",), _BOTH, ALL_DIGITS, _GATE, at="anywhere"),
    KnownDeviation(
        _TORCH,
        ("softplus",),
        _FORWARD,
        1e6,
        "softplus(x) is x above the threshold of 20",
        low=20,
        high=37,
        dtypes=_F64,
    ),
    KnownDeviation(
        _TORCH,
        ("softplus",),
        _BACKWARD,
        2e7,
        "softplus' is 1 above the threshold of 20",
        low=20,
        high=37,
        dtypes=_F64,
    ),
    KnownDeviation(
        _JAX,
        ("softmax_cross_entropy_with_integer_labels",),
        _FORWARD,
        4096,
        "log(Σ exp(x)) and the logit of the label, each rounded at its own size, cancel",
        at="anywhere",
        seen_in=(),
    ),
    KnownDeviation(
        _JAX, ("poisson",), _FORWARD, 16, "exp of large numbers", low=80, dtypes=_F32, seen_in=(), devices=_HOST
    ),
    # --- constants of less precision ------------------------------------------------------------------------
    KnownDeviation(_TORCH, ("hard_sigmoid",), _BACKWARD, 4e8, _SIXTH, low=-3, high=3, dtypes=_F64),
    KnownDeviation(
        _TORCH,
        ("celu",),
        _BACKWARD,
        1e9,
        "1/alpha is a float32 number",
        high=0,
        dtypes=_F64,
        parameters={"alpha": 0.3},
    ),
    # XLA's own log1p on the host; for a GPU it calls NVIDIA's.
    KnownDeviation(
        _JAX, _PROBABILITY_LOSSES, _FORWARD, 200, _LOG1P, low=0.3, high=0.45, dtypes=_F64, devices=_HOST
    ),
    KnownDeviation(
        _JAX,
        ("binary_focal_cross_entropy",),
        _BACKWARD,
        200,
        _LOG1P,
        low=0.3,
        high=0.45,
        dtypes=_F64,
        devices=_HOST,
    ),
    # --- corners and ends -----------------------------------------------------------------------------------
    KnownDeviation(_JAX, ("leaky_relu",), _BACKWARD, INF, _SLOPE, low=0.0, high=0.0),
    KnownDeviation(_JAX, ("leaky_relu",), _BACKWARD, INF, _SLOPE, at="subnormal", seen_in=()),
    KnownDeviation(_JAX, ("hard_tanh", "sparse_sigmoid"), _BACKWARD, INF, _CORNER, low=-1, high=-1),
    KnownDeviation(_JAX, ("hard_tanh", "sparse_sigmoid"), _BACKWARD, INF, _CORNER, low=1, high=1),
    *(
        KnownDeviation(
            _EITHER, ops, _BACKWARD, INF, _ROUNDED_CORNER, low=x - width, high=x + width, dtypes=dtypes, seen_in=()
        )
        for ops, corners in ((("sparse_sigmoid",), (-1, 1)), (("hard_sigmoid", "hard_silu"), (-3, 3)))
        for x in corners
        for dtypes, width in ((_NARROW_DTYPES, 0.05), (_WIDE_DTYPES, 1e-6))
    ),
    KnownDeviation(_JAX, ("mean_absolute_error",), _BACKWARD, INF, _DIFFERENCE, at="zero"),
    KnownDeviation(_JAX, ("mean_absolute_percentage_error",), _BACKWARD, INF, _DIFFERENCE, at="zero", seen_in=()),
    KnownDeviation(_JAX, ("smooth_l1",), _BACKWARD, INF, _DIFFERENCE, at="zero", parameters={"beta": 0.0}),
    KnownDeviation(_TORCH, _PROBABILITY_LOSSES, _FORWARD, INF, _BOUNDED_LOG, high=1e-43),
    KnownDeviation(_TORCH, _PROBABILITY_LOSSES, _FORWARD, INF, _BOUNDED_LOG, low=1),
    KnownDeviation(_TORCH, _PROBABILITY_LOSSES, _BACKWARD, INF, _BOUNDED_QUOTIENT, high=2e-12),
    KnownDeviation(_TORCH, _PROBABILITY_LOSSES, _BACKWARD, INF, _BOUNDED_QUOTIENT, low=1 - 1e-9),
    KnownDeviation(_TORCH, _PROBABILITY_LOSSES, _BACKWARD, ALL_DIGITS, _BOUNDED_QUOTIENT, high=1e-4, dtypes=_F16),
    KnownDeviation(
        _TORCH, ("binary_focal_cross_entropy",), _BACKWARD, ALL_DIGITS, _NARROW, at="anywhere", dtypes=_F16
    ),
    KnownDeviation(
        _TORCH,
        ("cosine_similarity",),
        _BACKWARD,
        1e6,
        "autograd does not see that norms are bounded by eps",
        at="anywhere",
        dtypes=_F64,
    ),
    KnownDeviation(_JAX, _PROBABILITY_LOSSES, _BACKWARD, INF, _XLOGY, high=0),
    KnownDeviation(_JAX, _PROBABILITY_LOSSES, _BACKWARD, INF, _XLOGY, low=1),
    # --- gradients from the output ---------------------------------------------------------------------------
    KnownDeviation(_TORCH, ("relu",), _BACKWARD, INF, _NAN_GRADIENT, at="undefined", saved="output"),
    # --- subnormal numbers ----------------------------------------------------------------------------------
    KnownDeviation(_JAX, tuple(OPS), _BOTH, ALL_DIGITS, _FLUSH, at="subnormal", seen_in=()),
    KnownDeviation(_TORCH, ("celu",), _FORWARD, ALL_DIGITS, "x / alpha is subnormal", at="subnormal", seen_in=()),
    *(
        KnownDeviation(
            _JAX,
            ("gelu",),
            _BACKWARD,
            ALL_DIGITS,
            _CDF,
            low=low,
            high=high,
            dtypes=dtypes,
            seen_in=(),
            parameters={"approximate": "none"},
        )
        for dtypes, low, high in ((_LIKE_F32, -13.4, -12.9), (_F64, -37.8, -37.5))
    ),
    KnownDeviation(_JAX, _PROBABILITY_LOSSES, _BOTH, INF, _FLUSH, at="subnormal", seen_in=()),
    KnownDeviation(_JAX, ("glu",), _FORWARD, 4096, _FLUSH, at="anywhere", dtypes=_F16),
    *(
        KnownDeviation(_JAX, ("glu",), _BACKWARD, INF, _OVERFLOW, at="row", low=limit, dtypes=dtypes, seen_in=())
        for dtypes, limit in ((_F16, 1e4), (_LIKE_F32, 1e36), (_F64, 1e305))
    ),
    KnownDeviation(
        _JAX,
        ("mean_absolute_error", "mean_absolute_percentage_error"),
        _BACKWARD,
        INF,
        _FLUSH,
        at="subnormal",
        seen_in=(),
    ),
    KnownDeviation(_EITHER, ("sigmoid", "silu", "mish", "glu"), _BOTH, ALL_DIGITS, _FLUSH, high=-9, dtypes=_F16),
    KnownDeviation(
        _TORCH,
        ("sigmoid", "silu", "mish", "gelu", "glu", "tanh"),
        _BOTH,
        ALL_DIGITS,
        _FLUSH,
        at="subnormal",
        seen_in=(),
    ),
    # --- of CUDA's kernels and compilers alone ---------------------------------------------------------------
    KnownDeviation(
        _TORCH,
        ("elu", "celu", "selu", "hard_silu"),
        _BACKWARD,
        INF,
        _NAN_GRADIENT,
        at="undefined",
        devices=_CUDA,
    ),
    KnownDeviation(
        _TORCH,
        ("hard_sigmoid", "hard_silu"),
        _FORWARD,
        4e8,
        _SIXTH,
        low=-3,
        high=3,
        dtypes=_F64,
        devices=_CUDA,
    ),
    # --- of Inductor's code for a processor alone -------------------------------------------------------------
    KnownDeviation(
        ("torch-compile",),
        ("elu", "celu", "selu", "hard_silu", "smooth_l1"),
        _BACKWARD,
        INF,
        _NAN_GRADIENT,
        at="undefined",
        seen_in=(),
        devices=_HOST,
    ),
    KnownDeviation(
        ("torch-compile",),
        ("soft_shrink",),
        _FORWARD,
        INF,
        "soft_shrink(NaN) is 0: a comparison with NaN is false",
        at="undefined",
        seen_in=(),
        devices=_HOST,
    ),
    KnownDeviation(
        ("torch-compile",),
        ("elu", "celu", "selu"),
        _FORWARD,
        INF,
        "exp(x) - 1 cancels near 0",
        low=-1,
        high=0,
        cancels=4,
        seen_in=(),
        devices=_HOST,
    ),
    KnownDeviation(
        ("torch-compile",),
        ("soft_margin",),
        _BACKWARD,
        INF,
        _ONE_MINUS,
        at="anywhere",
        cancels=16,
        seen_in=(),
        devices=_HOST,
    ),
    # Not measured: Inductor's code for a GPU calls functions that flush.
    KnownDeviation(
        ("torch-compile",),
        tuple(OPS),
        _BOTH,
        ALL_DIGITS,
        _FLUSH,
        at="subnormal",
        seen_in=(),
        devices=_CUDA,
    ),
)
