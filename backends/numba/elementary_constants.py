"""Coefficients of exp and log for kernels of our own, highest power first; tests compare them with mpmath.

exp(r) = 1 + r + r²·Q(r) for |r| <= log(2)/2: `EXP` interpolates Q at Chebyshev nodes, at 60 digits.

log(m) = 2·artanh(s) = 2s + s·z·R(z) for √½ <= m <= √2, where s = (m - 1)/(m + 1) and z = s² (DLMF 4.6.4 and
4.37.24; the division of the range is that of Tang, ACM TOMS 16 (1990) 378): `LOG_QUOTIENT` interpolates R
likewise, and `LOG_TO_2` for 1 <= m <= 2.

log(1 + f) = f - f²/2 + f³·P(f) for the same m = 1 + f: `LOG` has the least largest relative error of log that
repeatedly weighted least squares find (Lawson 1961).
"""

LOG2_E = 1.4426950408889634
"""1/log(2)."""
LOG_2_HIGH = {"float32": 0.693145751953125, "float64": 0.6931471805598903}
"""log(2) cut to 15 and 42 bits, so that x - n·LOG_2_HIGH is exact for n = x/log(2), rounded."""
LOG_2_LOW = {"float32": 1.428606765330187e-06, "float64": 5.497923018708371e-14}
"""log(2) - LOG_2_HIGH, at 60 digits, rounded to the type."""

EXP = {
    "float32": (  # relative error of exp 8e-9
        0.0013926184037700295,
        0.008363178931176662,
        0.041666556149721146,
        0.16666576266288757,
        0.5,
    ),
    "float64": (  # relative error of exp 1.3e-17
        2.510038549551032e-08,
        2.7620088445409746e-07,
        2.7557268459997064e-06,
        2.4801521295954376e-05,
        0.00019841269863053618,
        0.0013888888917213717,
        0.008333333333330062,
        0.04166666666662413,
        0.16666666666666669,
        0.5000000000000001,
    ),
}
LOG = {
    "float32": (  # relative error of log 6e-9
        -0.07634492963552475,
        0.12761574983596802,
        -0.13160182535648346,
        0.14201758801937103,
        -0.16623356938362122,
        0.20001226663589478,
        -0.2500081956386566,
        0.3333333134651184,
    ),
}
LOG_QUOTIENT = {
    "float64": (  # relative error of log 4.6e-18
        0.14617807153417325,
        0.15331611722055008,
        0.1818289243253687,
        0.22222211089379496,
        0.28571428626253836,
        0.3999999999989889,
        0.666666666666667,
    ),
}
LOG_TO_2 = {
    "float32": (  # relative error of log 4e-10
        0.2322432922402335,
        0.21706575800880373,
        0.28592357994302836,
        0.3999970633192972,
        0.6666666732052742,
    ),
    "float64": (  # relative error of log 5e-18
        0.1616404561194353,
        0.08800738486144674,
        0.12001072809590713,
        0.13314144209654935,
        0.15385570064958623,
        0.18181789436132859,
        0.22222222717427864,
        0.2857142856710876,
        0.40000000000014585,
        0.6666666666666666,
    ),
}
LOWEST_EXPONENT = {"float32": -172.0, "float64": -1400.0}
"""exp is 0 here, by a wide margin, while its two factors are normal numbers."""
LOWEST_EXPM1 = {"float32": -30.0, "float64": -60.0}
"""exp(x) - 1 rounds to -1 here."""
HIGHEST_EXPONENT = {"float32": 89.0, "float64": 710.0}
"""exp is infinite here."""
LIFT = {"float32": 32, "float64": 64}
"""Exponentials are lifted by this many powers of two, so that one that would be subnormal is a normal number."""
LOWEST_LIFTED = {"float32": -109.0, "float64": -752.0}
"""x·exp(x) rounds to 0 here; exp(x), lifted, is still a normal number."""

_ROUND, _ROUND_64 = 1.5 * 2.0**23, 1.5 * 2.0**52
LARGE = {"float32": _ROUND + 2 * 127, "float64": _ROUND_64 + 2 * 1023}
"""Adding this to a number rounds it to an integer; the sum's last bits are that plus two biases of exponents."""
LIFTED_LARGE = {"float32": _ROUND + 127 + LIFT["float32"], "float64": _ROUND_64 + 1023 + LIFT["float64"]}
"""The same with one bias, plus `LIFT`."""
HALVED_LARGE = {"float32": _ROUND + 127 - 1, "float64": _ROUND_64 + 1023 - 1}
"""The same with one bias, less 1."""
