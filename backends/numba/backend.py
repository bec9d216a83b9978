"""Numba: scalar and row formulas (`piecewise` and so on) in compiled loops, each a single pass over memory.

`numba` computes in one thread, `numba-parallel` in several. Inputs that are not contiguous are copied first.
Nothing is compiled before an op is called, and then that op alone; the result is cached on disk.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numba

from backends.catalogue import OPS
from backends.host import HostBackend
from backends.numba import activations as smooth
from backends.numba import class_losses, gated, likelihoods, losses, piecewise, rows
from backends.numba.ops import (
    along_axis,
    along_axis_in_two_passes,
    elementwise,
    loss,
    loss_vjp,
    one_of,
    row_loss,
    row_loss_vjp,
)

PACKAGE = "numba"
EXTRA = "numba"
DEVICES = ("cpu",)
VARIANTS = ("numba", "numba-parallel")


def create(variant: str, device: str, threads: int | None) -> NumbaBackend:
    """Return a backend of `threads` threads, or of one for plain `numba`.

    Raises ValueError for more threads than Numba started with.
    """
    del device
    most = numba.config.NUMBA_NUM_THREADS
    if variant == "numba":
        return NumbaBackend(variant, 1, globals())
    if threads is not None and threads > most:
        raise ValueError(
            f"threads: Numba started with at most {most} threads; got {threads}; "
            f"set NUMBA_NUM_THREADS={threads} before it starts"
        )
    return NumbaBackend(variant, threads or most, globals())


class NumbaBackend(HostBackend):
    """Compiled loops over NumPy arrays on the host."""

    @property
    def version(self) -> str:
        """Version of Numba."""
        return str(numba.__version__)

    def _options(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return {**parameters, "threads": self.threads}


moving = partial(elementwise, streams=True)
"""For formulas that take no longer than memory."""


# --- piecewise activations ------------------------------------------------------------------------------------

step = moving(piecewise.step)
step_vjp = moving(piecewise.step_vjp)
relu = moving(piecewise.relu)
relu_vjp = moving(piecewise.relu_vjp)
relu6 = moving(piecewise.relu6)
relu6_vjp = moving(piecewise.relu6_vjp)
leaky_relu = moving(piecewise.leaky_relu)
leaky_relu_vjp = moving(piecewise.leaky_relu_vjp)
prelu = moving(gated.prelu)
prelu_vjp = moving(gated.prelu_vjp)
hard_sigmoid = moving(piecewise.hard_sigmoid)
hard_sigmoid_vjp = moving(piecewise.hard_sigmoid_vjp)
hard_silu = moving(piecewise.hard_silu)
hard_silu_vjp = moving(piecewise.hard_silu_vjp)
hard_tanh = moving(piecewise.hard_tanh)
hard_tanh_vjp = moving(piecewise.hard_tanh_vjp)
soft_shrink = moving(piecewise.soft_shrink)
soft_shrink_vjp = moving(piecewise.soft_shrink_vjp)
hard_shrink = moving(piecewise.hard_shrink)
hard_shrink_vjp = moving(piecewise.hard_shrink_vjp)
threshold = moving(piecewise.threshold)
threshold_vjp = moving(piecewise.threshold_vjp)
sparse_plus = moving(piecewise.sparse_plus)
sparse_plus_vjp = moving(piecewise.sparse_plus_vjp)
sparse_sigmoid = moving(piecewise.sparse_sigmoid)
sparse_sigmoid_vjp = moving(piecewise.sparse_sigmoid_vjp)
linear = moving(piecewise.linear)
linear_vjp = moving(piecewise.linear_vjp)

# --- smooth activations ---------------------------------------------------------------------------------------

sigmoid = elementwise(smooth.sigmoid)
sigmoid_vjp = elementwise(smooth.sigmoid_vjp)
tanh = elementwise(smooth.tanh)
tanh_vjp = elementwise(smooth.tanh_vjp)
elu = elementwise(smooth.elu)
elu_vjp = elementwise(smooth.elu_vjp)
celu = elementwise(smooth.celu)
celu_vjp = elementwise(smooth.celu_vjp)
selu = elementwise(smooth.selu)
selu_vjp = elementwise(smooth.selu_vjp)
gelu = one_of("approximate", {"none": elementwise(smooth.gelu), "tanh": elementwise(smooth.gelu_tanh)})
gelu_vjp = one_of("approximate", {"none": elementwise(smooth.gelu_vjp), "tanh": elementwise(smooth.gelu_tanh_vjp)})
silu = elementwise(smooth.silu)
silu_vjp = elementwise(smooth.silu_vjp)
mish = elementwise(smooth.mish)
mish_vjp = elementwise(smooth.mish_vjp)
softplus = elementwise(smooth.softplus)
softplus_vjp = elementwise(smooth.softplus_vjp)
softsign = moving(smooth.softsign)
softsign_vjp = moving(smooth.softsign_vjp)
log_sigmoid = elementwise(smooth.log_sigmoid)
log_sigmoid_vjp = elementwise(smooth.log_sigmoid_vjp)
tanh_shrink = elementwise(smooth.tanh_shrink)
tanh_shrink_vjp = elementwise(smooth.tanh_shrink_vjp)
squareplus = elementwise(smooth.squareplus)
squareplus_vjp = elementwise(smooth.squareplus_vjp)
exponential = elementwise(smooth.exponential)
exponential_vjp = elementwise(smooth.exponential_vjp)

# --- gated units ----------------------------------------------------------------------------------------------

swiglu = elementwise(gated.swiglu)
swiglu_vjp = elementwise(gated.swiglu_vjp)
geglu = one_of("approximate", {"none": elementwise(gated.geglu), "tanh": elementwise(gated.geglu_tanh)})
geglu_vjp = one_of(
    "approximate", {"none": elementwise(gated.geglu_vjp), "tanh": elementwise(gated.geglu_tanh_vjp)}
)
reglu = moving(gated.reglu)
reglu_vjp = moving(gated.reglu_vjp)
glu = along_axis(rows.glu, OPS["glu"].shape)
glu_vjp = along_axis(rows.glu_vjp)

# --- activations along an axis --------------------------------------------------------------------------------

softmax = along_axis_in_two_passes(rows.exp_sums, rows.softmax_of_sums, rows.softmax)
softmax_vjp = along_axis_in_two_passes(rows.weighted_exp_sums, rows.softmax_vjp_of_sums, rows.softmax_vjp)
log_softmax = along_axis_in_two_passes(rows.exp_sums, rows.log_softmax_of_sums, rows.log_softmax)
log_softmax_vjp = along_axis_in_two_passes(
    rows.exp_sums_and_plain, rows.log_softmax_vjp_of_sums, rows.log_softmax_vjp
)
softmin = along_axis_in_two_passes(rows.falling_exp_sums, rows.softmin_of_sums, rows.softmin)
softmin_vjp = along_axis_in_two_passes(rows.falling_weighted_exp_sums, rows.softmin_vjp_of_sums, rows.softmin_vjp)
sparsemax = along_axis(rows.sparsemax)
sparsemax_vjp = along_axis(rows.sparsemax_vjp)

# --- losses ---------------------------------------------------------------------------------------------------

mean_squared_error = loss(losses.mean_squared_error)
mean_squared_error_vjp = loss_vjp(losses.mean_squared_error_vjp, streams=True)
mean_absolute_error = loss(losses.mean_absolute_error)
mean_absolute_error_vjp = loss_vjp(losses.mean_absolute_error_vjp, streams=True)
mean_absolute_percentage_error = loss(losses.mean_absolute_percentage_error)
mean_absolute_percentage_error_vjp = loss_vjp(losses.mean_absolute_percentage_error_vjp)
mean_squared_logarithmic_error = loss(losses.mean_squared_logarithmic_error)
mean_squared_logarithmic_error_vjp = loss_vjp(losses.mean_squared_logarithmic_error_vjp)
huber = loss(losses.huber)
huber_vjp = loss_vjp(losses.huber_vjp, streams=True)
smooth_l1 = loss(losses.smooth_l1)
smooth_l1_vjp = loss_vjp(losses.smooth_l1_vjp, streams=True)
log_cosh = loss(losses.log_cosh)
log_cosh_vjp = loss_vjp(losses.log_cosh_vjp)
quantile = loss(losses.quantile)
quantile_vjp = loss_vjp(losses.quantile_vjp, streams=True)
binary_cross_entropy = loss(likelihoods.binary_cross_entropy)
binary_cross_entropy_vjp = loss_vjp(likelihoods.binary_cross_entropy_vjp)
binary_cross_entropy_with_logits = loss(likelihoods.binary_cross_entropy_with_logits)
binary_cross_entropy_with_logits_vjp = loss_vjp(likelihoods.binary_cross_entropy_with_logits_vjp)
binary_focal_cross_entropy = one_of(
    "gamma", {None: loss(likelihoods.binary_focal_cross_entropy), 2: loss(likelihoods.square_focal_cross_entropy)}
)
binary_focal_cross_entropy_vjp = one_of(
    "gamma",
    {
        None: loss_vjp(likelihoods.binary_focal_cross_entropy_vjp),
        2: loss_vjp(likelihoods.square_focal_cross_entropy_vjp),
    },
)
poisson = one_of("log_input", {True: loss(likelihoods.poisson), False: loss(likelihoods.poisson_of_rates)})
poisson_vjp = one_of(
    "log_input", {True: loss_vjp(likelihoods.poisson_vjp), False: loss_vjp(likelihoods.poisson_of_rates_vjp)}
)
gaussian_negative_log_likelihood = loss(likelihoods.gaussian_negative_log_likelihood)
gaussian_negative_log_likelihood_vjp = loss_vjp(likelihoods.gaussian_negative_log_likelihood_vjp)
hinge = loss(losses.hinge)
hinge_vjp = loss_vjp(losses.hinge_vjp, streams=True)
squared_hinge = loss(losses.squared_hinge)
squared_hinge_vjp = loss_vjp(losses.squared_hinge_vjp, streams=True)
soft_margin = loss(losses.soft_margin)
soft_margin_vjp = loss_vjp(losses.soft_margin_vjp)

# --- losses of classes ----------------------------------------------------------------------------------------

categorical_cross_entropy = row_loss(class_losses.categorical_cross_entropy)
categorical_cross_entropy_vjp = row_loss_vjp(class_losses.categorical_cross_entropy_vjp)
softmax_cross_entropy = row_loss(class_losses.softmax_cross_entropy)
softmax_cross_entropy_vjp = row_loss_vjp(class_losses.softmax_cross_entropy_vjp)
softmax_cross_entropy_with_integer_labels = row_loss(class_losses.softmax_cross_entropy_with_integer_labels)
softmax_cross_entropy_with_integer_labels_vjp = row_loss_vjp(
    class_losses.softmax_cross_entropy_with_integer_labels_vjp
)
negative_log_likelihood = row_loss(class_losses.negative_log_likelihood)
negative_log_likelihood_vjp = row_loss_vjp(class_losses.negative_log_likelihood_vjp)
kl_divergence = row_loss(class_losses.kl_divergence)
kl_divergence_vjp = row_loss_vjp(class_losses.kl_divergence_vjp)
categorical_hinge = row_loss(class_losses.categorical_hinge)
categorical_hinge_vjp = row_loss_vjp(class_losses.categorical_hinge_vjp)
cosine_similarity = row_loss(class_losses.cosine_similarity)
cosine_similarity_vjp = row_loss_vjp(class_losses.cosine_similarity_vjp)
dice = row_loss(class_losses.dice)
dice_vjp = row_loss_vjp(class_losses.dice_vjp)
tversky = row_loss(class_losses.tversky)
tversky_vjp = row_loss_vjp(class_losses.tversky_vjp)
