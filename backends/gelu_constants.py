"""The constants of gelu: a polynomial for the normal tail, and the cubic of the tanh form in two parts.

The tail. For a >= 0 the normal distribution function of -a is, without cancellation or underflow,

    cdf(-a) = exp(-a²/2) · P(t) / (1 + √2·a),   t = (a - 5) / (a + 5)

where P(t) = (1 + √2·a) · exp(a²/2) · erfc(a/√2) / 2 is between 0.5 and 0.63 and smooth: the transformation of
Shepherd and Laframboise, Math. Comp. 36 (1981) 249. The coefficients interpolate P at Chebyshev nodes, at 50
digits, for a up to 40 (beyond which exp(-a²/2) is 0 in float64) or 15 (in float32), highest power first.
tests/test_gelu_constants.py holds them against mpmath.

The argument. An error of the exponent is an error of exp as many times larger as the exponent, so exponents need
more digits than a float64 has. With h = a rounded to a multiple of 1/64, what depends on h alone is exact, and
the rest is small: a²/2 = h²/2 + (a - h)(a + h)/2, and likewise for the cubic 2u(a) = LINEAR·a + CUBIC·a³ with
LINEAR = 2√(2/π) and CUBIC = 0.044715·LINEAR (Hendrycks and Gimpel 2016). *_HIGH are multiples of 2**-36 and
2**-24, so that h·(LINEAR_HIGH + CUBIC_HIGH·h²) < 1024 is a multiple of 2**-42: exact in 53 bits. So is its
difference to SHIFT_HIGH, where SHIFT = 64·log(2): exp(SHIFT - v) = 2**64·exp(-v) is never subnormal where a
product with it is not 0.
"""

TAIL_FLOAT64 = (  # relative error 1.6e-17
    1.1600024458881742e-09,
    5.86233919573898e-09,
    -2.6001461471625533e-10,
    -4.7517511169651986e-08,
    -2.6360989074057963e-08,
    2.973761538791939e-07,
    1.4421375962435208e-07,
    -1.953314105549569e-06,
    1.8227178006763444e-07,
    1.3340534330502536e-05,
    -1.674800077978655e-05,
    -7.621140001299813e-05,
    0.0002828894034320682,
    -4.4600172891357636e-05,
    -0.002461265143302926,
    0.010208851376858619,
    -0.02517855483514738,
    0.04439886132985187,
    -0.05715904897198636,
    0.04764866133891314,
    -0.004193708178282786,
    -0.07005241362061763,
    0.6208209264948372,
)
TAIL_FLOAT32 = (  # relative error 4.7e-9, evaluated in float64
    0.00030680228522944207,
    -0.00010991588941196475,
    -0.0024929478351202565,
    0.010231901223781058,
    -0.02516715548548939,
    0.04439477752222341,
    -0.05716063597355411,
    0.04764901207772164,
    -0.004193635137706004,
    -0.07005242339130982,
    0.6208209260308105,
)

GRID = 64.0
CUTOFF = 40.0  # cdf(-40) = 3.7e-350 is 0 in float64

SQRT_2 = 1.4142135623730951
PDF_AT_0 = 0.3989422804014327  # 1/√(2π)

LINEAR = 1.5957691216057308  # 2√(2/π)
CUBIC = 0.07135481627260025  # 0.044715 · 2√(2/π)
LINEAR_HIGH = 109660419028 / 2**36
LINEAR_LOW = 3.0874305383944692e-12  # LINEAR - LINEAR_HIGH, at 50 digits
CUBIC_HIGH = 1197135 / 2**24
CUBIC_LOW = 9.849412992916964e-09

SCALE = 2.0**-64
SHIFT_HIGH = 195103586505167 / 2**42
SHIFT_LOW = 1.0806560032487666e-13  # 64·log(2) - SHIFT_HIGH, at 50 digits
