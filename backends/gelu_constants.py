"""The constants of gelu: a polynomial for the normal tail, and the cubic of the tanh form in two parts.

The tail. For a >= 0 the normal distribution function of -a is, without cancellation or underflow,

    cdf(-a) = exp(-a²/2) · P(t) / (1 + √2·a),   t = (a - 5) / (a + 5)

where P(t) = (1 + √2·a) · exp(a²/2) · erfc(a/√2) / 2 is between 0.5 and 0.63 and smooth: the transformation of
Shepherd and Laframboise, Math. Comp. 36 (1981) 249. The coefficients interpolate P at Chebyshev nodes, at 50
digits, for a up to 55 (in float64) or 20 (in float32), highest power first: beyond these, even the product of
a·cdf(-a) and the largest number is 0. tests/backends/test_gelu_constants.py compares them with mpmath.

The argument. The relative error of exp is that of its exponent, times the exponent's size, so exponents need more
digits than a float64 has. With h = a rounded to a multiple of 1/64, what depends on h alone is exact, and
the rest is small: a²/2 = h²/2 + (a - h)(a + h)/2, and likewise for the cubic 2u(a) = LINEAR·a + CUBIC·a³ with
LINEAR = 2√(2/π) and CUBIC = 0.044715·LINEAR (Hendrycks and Gimpel 2016). *_HIGH are multiples of 2**-36 and
2**-24, so that h·(LINEAR_HIGH + CUBIC_HIGH·h²) < 1024 is a multiple of 2**-42: exact in 53 bits. So is its
difference to SHIFT_HIGH, where SHIFT = 64·log(2): exp(SHIFT - v) = 2**64·exp(-v) is never subnormal where a
product with it is not 0.
"""

TAIL_FLOAT64 = (  # relative error 4e-17
    8.140031192270034e-10,
    4.945315097004709e-09,
    9.239126761774161e-11,
    -4.4785035095565104e-08,
    -2.5530843509690577e-08,
    2.9395034891143953e-07,
    1.4226907959590643e-07,
    -1.9509705736129426e-06,
    1.8400713260085753e-07,
    1.3339586865337153e-05,
    -1.6748852996783636e-05,
    -7.62111715423106e-05,
    0.0002828896529035029,
    -4.46002041579611e-05,
    -0.0024612651869547453,
    0.010208851378929245,
    -0.025178554830803324,
    0.04439886132982282,
    -0.05715904897220465,
    0.04764866133891091,
    -0.004193708178278547,
    -0.07005241362061759,
    0.6208209264948372,
)
TAIL_FLOAT32 = (  # relative error 6.3e-9, evaluated in float64
    0.000309892541149978,
    -0.00010417926744502567,
    -0.0024932559574343672,
    0.010226723868224654,
    -0.025168313432903305,
    0.044396420663977434,
    -0.05716021564135222,
    0.047648807603717876,
    -0.004193674062877778,
    -0.0700524160096641,
    0.6208209265316145,
)

GRID = 64.0
CUTOFF = 40.0  # cdf(-40) = 3.7e-350 is 0 in float64
TAIL_CUTOFF = {"float32": 20.0, "float64": 55.0}

SQRT_2 = 1.4142135623730951
PDF_AT_0 = 0.3989422804014327  # 1/√(2π)

LINEAR = 1.5957691216057308  # 2√(2/π)
CUBIC = 0.07135481627260025  # 0.044715 · 2√(2/π)
LINEAR_HIGH = 109660419028 / 2**36
LINEAR_LOW = 3.0874305383944692e-12  # LINEAR - LINEAR_HIGH, at 50 digits
CUBIC_HIGH = 1197135 / 2**24
CUBIC_LOW = 9.849412992916964e-09
# The same rounded to the type, and what that rounds off, at 60 digits: for fused multiply-adds.
LINEAR_ROUNDED = {"float32": 1.5957691669464111, "float64": 1.5957691216057308}
LINEAR_REST = {"float32": -4.534068042105272e-08, "float64": -9.96930880911092e-17}
CUBIC_ROUNDED = {"float32": 0.07135481387376785, "float64": 0.07135481627260025}
CUBIC_REST = {"float32": 2.3988323959931355e-09, "float64": -6.175149918155315e-19}

SCALE = 2.0**-64
SHIFT_HIGH = 195103586505167 / 2**42
SHIFT_LOW = 1.0806560032487666e-13  # 64·log(2) - SHIFT_HIGH, at 50 digits
