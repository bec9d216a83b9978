"""Which tests are run every day, and which in full: the rest of a matrix, and what starts many processes.

Tests that are not for every day get the marker `full`, which plain `pytest` leaves out (pyproject.toml);
`pytest -m "full and not certification"` runs them. `pytest benchmarks/test_correctness.py` alone is not concerned:
it checks everything.

A matrix of ops keeps `REPRESENTATIVES` where a backend compiles, since there an op costs seconds. `FULL` names
what takes longer than it is likely to notice something on a normal day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from backends.base import NARROW
from benchmarks.plugin import suites

FULL_TIER, CERTIFICATION = "full", "certification"
"""Markers of what is not for every day, and of what is for neither tier."""

REPRESENTATIVES = frozenset(
    {
        "sigmoid", "softplus", "elu", "step", "hard_tanh", "swiglu",  # smooth, with a parameter; piecewise; gated
        "softmax", "log_softmax",  # along an axis
        "mean_squared_error", "quantile", "binary_cross_entropy",  # losses and likelihoods
        "softmax_cross_entropy_with_integer_labels",  # of classes
    }
)  # fmt: skip
"""Ops that stand for all: each family, each kind of loop, parameters and optional inputs."""

KINDS = frozenset({"sigmoid", "elu", "swiglu", "softmax", "mean_squared_error", "binary_cross_entropy"})
"""One op of each kind of loop: for tests of what the loops do, and not of what an op computes."""

LABELLED = frozenset({"softmax_cross_entropy_with_integer_labels"})
"""One op whose second input are labels, of which there are none without classes."""

FEWEST = frozenset({"elu", "softmax", "mean_squared_error"})
"""One op elementwise, along an axis, and summed."""

COMPILES = ("jax", "numba", "numba-parallel")
"""Backends on which the first call of an op, type and shape takes tenths of a second."""

ROWS_ON_NUMBA: Mapping[str, tuple[str, ...]] = {
    "log_softmax": (),
    "softmax": ("float32",),
    "softmax_cross_entropy_with_integer_labels": ("float32",),
}
"""Types in which Numba has these of the representatives: it takes five to ten seconds each; loops are alike."""

NARROW_ON_NUMBA = frozenset({"elu", "mean_squared_error"})
"""Ops that Numba has in bfloat16: for a narrow type, a kernel is compiled again, with other loads and stores."""

FULL: Mapping[str, int] = {
    "test_lengths": 170,
    "test_what_a_gradient_starts_from_is_a_case_of_its_own": 12,
    "test_long_and_large_rows_are_those_of_one_thread": 25,
    "test_a_report_and_its_summary_compute_each_table_once": 8,
    "test_a_slower_kernel_is_a_regression_and_everything_is_written": 17,
    "test_a_missing_compiler_is_said_to_be_missing": 4,
    "test_of_many_ops_the_first_screen_counts_the_winners": 2,
    "test_a_picture_takes_the_colours_and_the_width_of_the_page": 3,
    "test_a_picture_needs_no_network_and_says_what_it_shows": 1,
    "test_modules_that_are_no_backend_are_named_at_the_start": 3,
    "test_a_device_that_is_not_there_is_known_before_anything_is_collected": 5,
    "test_what_cannot_fit_into_memory_costs_one_case": 20,
    "test_missing_packages_are_reported_with_what_to_install": 17,
    "test_a_numpy_run_imports_no_other_framework": 16,
    "test_policies_are_cases_of_their_own": 14,
    "test_several_numbers_of_threads_are_cases_of_their_own": 12,
    "test_a_killed_run_loses_nothing_it_measured": 13,
    "test_a_file_in_the_way_ends_a_run_before_it_measures": 4,
    "test_a_cache_that_cannot_be_left_is_a_reason_and_no_number": 10,
    "test_save_without_a_name_takes_the_commit_or_the_date": 9,
    "test_a_run_measures_the_units_that_it_is_asked_for_and_no_other": 10,
    "test_a_run_that_cannot_begin_says_why": 6,
    "test_a_plan_on_two_nodes_of_which_one_is_killed_is_one_complete_run": 60,
    "test_compare_fail_fails_the_run": 7,
    "test_pytest_benchmark_s_own_options_work": 7,
    "test_a_run_that_timed_nothing_is_not_the_last_to_report": 7,
    "test_a_hang_costs_one_case": 18,
    "test_a_bound_tanh_takes_as_many_instructions_as_the_ufunc": 20,
    "test_a_process_that_fails_under_valgrind_says_why": 3,
    "test_a_run_on_a_made_up_device_ends_with_its_record": 9,
    "test_the_commands_are_ones_that_pytest_takes": 8,
    "test_the_site_is_built_without_a_warning_and_needs_no_network": 20,
    "test_the_pages_of_ops_are_up_to_date": 6,
    "test_every_backend_says_how_it_computes_each_op": 6,
    "test_without_a_gpu_it_says_so_in_one_file": 13,
    "test_the_simulator_gives_each_element_its_own_value_whatever_the_length": 20,
    "test_the_simulator_sums_in_an_order_of_its_own_that_stays": 10,
    "test_the_simulator_takes_more_elements_than_its_blocks_have_threads": 15,
    "test_new_labels_are_those_that_the_next_call_takes_and_what_no_class_has_is_refused": 4,
    "test_an_op_of_each_kind_is_compiled_for_two_architectures": 20,
    "test_a_copy_that_hangs_costs_its_worker_and_no_case": 5,
    "test_a_transfer_that_hangs_costs_its_times_alone_and_is_not_asked_for_again": 5,
    "test_a_graph_that_writes_nothing_is_no_result": 2,
    "test_a_crash_or_a_hang_of_one_that_computes_alone_costs_that_one": 5,
    "test_a_crash_and_a_hang_beside_others_cost_those_alone": 8,
    "test_workers_that_are_launched_are_there_when_asked_and_end_with_the_others": 2,
    "test_what_changes_while_several_compute_is_put_back_and_nobody_is_blamed": 2,
    "test_every_framework_keeps_its_memory": 6,
    "test_a_result_that_is_not_computed_is_refused": 16,
    "test_every_cheat_is_refused": 60,
    "test_another_wrong_backend_is_refused": 60,
    "test_a_kernel_that_remembers_its_results_is_not_called_faster": 10,
    "test_whoever_is_honest_is_measured": 60,
    "test_an_answer_that_was_computed_when_it_was_bound_is_not_used": 60,
    "test_more_threads_than_allowed_are_noticed": 15,
    "test_inputs_that_calls_change_are_noticed": 15,
    "test_who_slows_others_is_refused_and_they_are_measured": 10,
    "test_a_journal_that_a_kernel_has_edited_is_not_reported": 10,
    "test_a_wrong_reduction_is_found": 14,
    "test_a_device_with_a_queue_is_waited_for": 6,
    "test_a_buffer_that_is_not_written_is_invalid": 4,
    "test_a_kernel_that_is_wrong_now_fails_and_is_never_timed": 18,
    "test_backends_of_another_layout_are_measured_against_todays": 15,
    "test_a_twofold_slower_kernel_of_ones_own_is_found_and_the_same_one_is_not": 45,
    "test_a_head_that_cannot_be_imported_fails_now": 6,
    "test_an_optimizing_python_starts_and_checks": 8,
    "test_a_terminated_run_keeps_what_it_measured": 8,
    "test_a_budget_that_ends_first_says_what_it_did_not_reach": 6,
    "test_a_saved_run_is_in_the_history_and_others_are_not": 25,
    "test_a_history_that_cannot_be_written_costs_a_run_nothing_else": 11,
    "test_an_added_op_is_checked_timed_and_reported_and_missing_elsewhere": 33,
    "test_an_added_op_is_in_the_generated_tables": 5,
    "test_a_policy_is_declared_once_and_found_in_ids_and_records": 20,
    "test_tables_the_page_and_answers_have_it": 10,
    "test_older_records_are_compared_as_what_they_were": 2,
    "test_it_is_timed_beside_ours": 15,
    "test_a_peer_is_judged_and_timed_in_the_same_run": 15,
    "test_pages_are_small": 15,
    "test_code_against_itself_is_called_changed_in_at_most_one_run_of_twenty": 15,
    "test_what_the_runs_differ_by_as_a_whole_is_nobody_s_regression": 14,
    "test_what_the_comparison_says_it_finds_is_what_it_finds": 9,
    "test_the_thread_count_takes_effect": 6,
    "test_workers_use_no_processor_after_their_turn": 8,
    "test_eager_jax_computes_what_jax_does": 8,
    "test_compiled_torch_computes_what_torch_does": 5,
    "test_what_is_bound_is_compiled_once": 5,
    "test_disable_checks_but_does_not_time": 5,
    "test_python_example_runs": 50,
    "test_a_run_is_measured_in_a_process_of_its_own": 20,
    "test_the_notebook_runs_and_every_cell_shows_something": 45,
    "test_the_lines_of_every_op_compute_what_the_backend_does": 400,
    "test_the_lines_of_a_compiled_call_compute_what_the_backend_does": 15,
    "test_the_bridge_computes_what_the_kernels_do": 20,
    "test_autograd_finds_the_gradient_of_the_kernels": 20,
    "test_a_gradient_flows_through_a_model": 3,
    "test_a_second_derivative_is_refused": 3,
    "test_in_process_works_for_debuggers": 8,
    "test_a_time_budget_ends_the_run_and_says_what_it_did_not_reach": 7,
    "test_importing_compiles_nothing_and_the_disk_cache_keeps_ops_apart": 5,
    "test_the_disk_cache_survives_another_date_and_another_folder": 6,
    "test_the_largest_of_a_narrow_row_is_found_as_it_is_stored": 4,
    "test_released_memory_is_found_again_at_each_call": 4,
    "test_names_are_text": 5,
    "test_a_damaged_file_is_refused_or_as_it_was": 8,
    "test_a_frameworks_memory_counts_like_numpys": 5,
    "test_a_peer_computes_what_numpy_does": 8,
    "test_another_library_takes_arrays_without_elements_or_says_that_it_takes_none": 60,
    "test_another_library_takes_arrays_without_dimensions": 20,
    "test_nothing_but_ops_is_in_the_table_of_a_backend": 5,
    "test_it_is_checked_in_every_mode_and_type": 14,
    "test_pictures_are_written_in_every_format_the_same_bytes_each_time": 5,
    "test_no_text_is_cut_off_or_lies_over_another": 6,
    "test_memory_that_no_machine_has_is_running_out_of_it": 3,
    "test_ten_thousand_cases_can_be_listed": 1,
    "test_long_rows_are_split_over_threads_without_a_difference": 12,
    "test_serial_and_parallel_agree_to_the_bit": 17,
    "test_parallel_sums_are_the_same_every_time": 12,
    "test_rows_and_shared_inputs_are_searched_too": 9,
    "test_inputs_are_read_only_and_stay_as_they_were": 35,
    "test_axis_agrees_with_moving_it_last": 11,
    "test_a_masked_class_without_target_costs_nothing": 9,
    "test_an_infinite_cotangent_warns_nowhere": 8,
    "test_a_nan_among_masked_classes_counts": 6,
    "test_it_may_lack_the_ops_that_are_not_asked_for": 18,
    "test_a_full_disk_is_an_error_in_one_line": 3,
    "test_a_reader_who_leaves_is_no_verdict": 11,
    "test_sums_beyond_narrow_types": 10,
    "test_every_value_of_the_first_input_is_within_the_budget": 150,
    "test_special_values_mean_the_same_in_arrays_of_every_length": 20,
    "test_rows_along_any_axis_are_rounded_once": 5,
    "test_rows_too_long_for_a_buffer_are_computed_too": 10,
    "test_ab_ends_with_its_verdict": 6,
    "test_a_run_takes_its_settings_and_modules_from_nowhere_else": 6,
    "test_tests_of_others_are_refused": 2,
    "test_all_options_can_be_listed": 2,
    "test_a_terminal_of_few_signs_gets_all_words": 5,
    "test_energy_is_read_around_half_a_second_of_calls": 5,
    "test_a_step_whose_time_is_used_up_is_interrupted_and_keeps_what_it_printed": 3,
    "test_the_threads_stated_are_those_in_force_and_a_list_of_results_is_waited_for": 30,
    "test_keras_on_numpy_computes_in_one_thread": 5,
    "test_a_library_that_leaves_it_on_is_noticed": 5,
    "test_available_gives_devices_and_reasons": 12,
    "test_missing_device_says_why": 10,
    "test_timed_results_are_never_subnormal": 5,
    "test_timed_inputs_are_never_subnormal": 5,
    "test_loading_one_backend_imports_no_other_framework": 8,
    "test_a_right_function_is_right_in_all_types_and_timed_beside_numpy": 12,
    "test_the_trend_of_made_up_runs_is_as_shown": 4,
    "test_made_up_sittings_are_compared_as_shown": 2,
    "test_a_run_that_was_cut_short_says_so_as_shown": 2,
    "test_two_shards_are_merged_as_shown_and_unlike_ones_are_not": 2,
    "test_two_made_up_machines_side_by_side_are_as_shown": 3,
    "test_a_function_that_is_wrong_at_one_place_is_wrong_there": 6,
    "test_an_inaccurate_tail_is_wrong_there_or_measured_with_the_error_that_is_allowed": 18,
    "test_a_function_that_is_fast_in_one_type_has_times_of_both": 12,
    "test_a_function_that_remembers_its_results_cheats": 10,
    "test_what_cannot_be_tried_is_said_in_a_line": 40,
    "test_several_ops_leave_open_which_one_a_candidate_computes": 3,
    "test_candidates_are_measured_in_one_run_with_the_others": 14,
    "test_an_op_of_ones_own_is_checked_timed_and_tried": 25,
    "test_a_twofold_slower_kernel_turns_the_gate_red_and_the_same_one_does_not": 60,
    "test_a_base_without_the_file_cannot_tell": 4,
    "test_every_framework_s_functions_compute_and_are_differentiated_if_that_differentiates": 12,
    "test_what_autograd_cannot_follow_has_no_gradient": 4,
    "test_a_process_that_starts_with_the_variable_has_the_ops": 1,
    "test_every_command_takes_what_is_made_up": 25,
    "test_shards_measured_apart_make_the_run_that_one_would": 40,
    "test_nothing_of_a_candidate_is_imported_to_plan_it": 1,
    "test_what_is_ended_anywhere_goes_on_as_if_nothing_had_happened": 90,
    "test_a_harm_costs_one_request": 15,
    "test_descriptors_that_are_used_up_cost_no_later_request": 2,
    "test_gigabytes_of_output_stay_out_of_this_process": 3,
    "test_children_of_a_backend_end_with_it": 4,
    "test_a_harm_costs_its_own_cases_and_no_other": 50,
}
"""Tests of the full tier by name, each with its seconds on two cores: most start processes that measure."""

LONG = frozenset(
    {
        "test_a_backend_and_an_op_of_another_package_are_checked_and_timed",
        "test_a_backend_in_a_folder_on_the_path_is_measured",
        "test_a_cache_that_cannot_be_left_is_a_reason_and_no_number",
        "test_a_hang_costs_one_case",
        "test_a_harm_costs_its_own_cases_and_no_other",
        "test_a_harm_costs_one_request",
        "test_a_history_that_cannot_be_written_costs_a_run_nothing_else",
        "test_a_kernel_that_is_wrong_now_fails_and_is_never_timed",
        "test_a_numpy_run_imports_no_other_framework",
        "test_a_page_of_thousands_of_records_loads",
        "test_every_command_takes_what_is_made_up",
        "test_shards_measured_apart_make_the_run_that_one_would",
        "test_a_peer_is_judged_and_timed_in_the_same_run",
        "test_a_policy_is_declared_once_and_found_in_ids_and_records",
        "test_a_result_that_is_not_computed_is_refused",
        "test_a_run_that_timed_nothing_is_not_the_last_to_report",
        "test_a_saved_run_is_in_the_history_and_others_are_not",
        "test_a_twofold_slower_kernel_of_ones_own_is_found_and_the_same_one_is_not",
        "test_a_wrong_reduction_is_found",
        "test_an_added_op_is_checked_timed_and_reported_and_missing_elsewhere",
        "test_an_answer_that_was_computed_when_it_was_bound_is_not_used",
        "test_an_inaccurate_tail_is_wrong_there_or_measured_with_the_error_that_is_allowed",
        "test_an_op_of_ones_own_is_checked_timed_and_tried",
        "test_an_optimizing_python_starts_and_checks",
        "test_another_library_takes_arrays_without_dimensions",
        "test_another_library_takes_arrays_without_elements_or_says_that_it_takes_none",
        "test_autograd_finds_the_gradient_of_the_kernels",
        "test_backends_of_another_layout_are_measured_against_todays",
        "test_compare_fail_fails_the_run",
        "test_each_choice_shows_what_it_says_and_nothing_else_and_fits_a_phone",
        "test_in_process_works_for_debuggers",
        "test_long_and_large_rows_are_those_of_one_thread",
        "test_it_is_timed_beside_ours",
        "test_it_is_checked_in_every_mode_and_type",
        "test_it_may_lack_the_ops_that_are_not_asked_for",
        "test_missing_packages_are_reported_with_what_to_install",
        "test_pages_are_small",
        "test_policies_are_cases_of_their_own",
        "test_pytest_benchmark_s_own_options_work",
        "test_python_example_runs",
        "test_save_without_a_name_takes_the_commit_or_the_date",
        "test_several_numbers_of_threads_are_cases_of_their_own",
        "test_the_bridge_computes_what_the_kernels_do",
        "test_the_lines_of_a_compiled_call_compute_what_the_backend_does",
        "test_the_lines_of_every_op_compute_what_the_backend_does",
        "test_the_notebook_runs_and_every_cell_shows_something",
        "test_what_a_gradient_starts_from_is_a_case_of_its_own",
        "test_what_cannot_be_tried_is_said_in_a_line",
        "test_what_cannot_fit_into_memory_costs_one_case",
        "test_what_is_ended_anywhere_goes_on_as_if_nothing_had_happened",
    }
)
"""Tests of the full tier that are left to the certification: minutes of what shorter ones show in part."""

EACH_OP = frozenset(
    {
        "test_large_inputs_repeat_whole_rows",
        "test_every_op_can_be_asked_for_new_values",
    }
)
"""Tests of other rooms that take each op: every day those that stand for all."""

EMPTY = frozenset(
    {
        "test_arrays_without_elements_work",
        "test_arrays_without_dimensions_give_what_one_element_gives",
        "test_a_row_alone_gives_what_a_matrix_of_one_row_gives",
        "test_every_allocation_takes_them",
        "test_the_oracle_knows_arrays_without_elements",
    }
)
"""Tests of `tests/backends` that take every day the ops that stand for all, except where a backend compiles."""

SHORT = frozenset({"test_short_arrays_are_right_at_special_values", "test_short_rows_are_right_at_special_values"})
"""Those that try dozens of lengths: every day one op of each kind of loop in one type, if nothing is compiled."""

FEW = frozenset(
    {
        "test_no_whole_array_is_converted",
        "test_threads_may_share_a_fresh_call",
        "test_inplace_reads_special_values_before_it_overwrites_them",
        "test_inplace_overwrites_with_the_values_of_fresh",
        "test_reuse_returns_the_same_object_with_the_values_of_fresh",
        "test_layout_does_not_matter",
    }
)
"""Those that compile a kernel anew for each op: every day one op, where that takes a second or two."""

COMPILED_AGAIN = frozenset(
    {"test_threads_may_share_a_fresh_call", "test_a_row_alone_gives_what_a_matrix_of_one_row_gives"}
)
"""Those that compile what no other test does, for loops that are alike: in full one op of each kind of loop."""

COMPILED: Mapping[str, int] = {
    "test_a_hopeless_logit_has_a_finite_loss": 3,
    "test_certain_and_correct_logits_cost_nothing": 3,
    "test_slope_of_zero_is_relu": 2,
    "test_the_gradient_of_an_entropy_does_not_cancel": 2,
    "test_an_infinite_distance_with_a_slope_of_zero_costs_nothing": 4,
    "test_a_class_of_probability_zero_that_is_not_the_target_costs_nothing": 12,
    "test_a_margin_to_a_masked_class_is_that_to_the_others": 15,
    "test_a_class_of_weight_zero_costs_nothing_however_wrong_the_prediction": 4,
    "test_a_gate_of_minus_infinity_lets_nothing_through": 4,
    "test_losses_of_certain_and_correct_predictions_are_zero": 10,
    "test_a_leaky_relu_of_slope_zero_is_zero_far_left": 1,
    "test_what_an_ignored_row_holds_reaches_neither_loss_nor_gradient": 25,
    "test_a_parameter_that_float16_cannot_hold_keeps_its_meaning": 12,
    "test_a_square_that_float16_cannot_hold_is_divided_first": 2,
    "test_a_parameter_that_float32_cannot_hold_keeps_its_meaning": 15,
    "test_sums_and_counts_beyond_float16_are_averaged": 30,
    "test_sparsemax_counts_beyond_what_float16_can": 6,
    "test_short_vectors_have_the_gradient_of_their_bounded_norm": 8,
    "test_a_quotient_that_would_be_subnormal_is_not_taken": 1,
    "test_sums_of_many_float32_are_as_good_as_float64": 3,
}
"""Tests of `tests/backends` of the full tier where a backend compiles, with the seconds that takes."""

Params = Mapping[str, Any]

CORRECTNESS = {
    "test_accuracy": "",
    "test_accuracy_from_the_output": "",
    "test_parameters": "",
    "test_shapes_and_layouts": "float32",
    "test_shapes_and_layouts_from_the_output": "float32",
    "test_gradient_from_the_output_is_the_gradient": "float64",
    "test_gradient_agrees_with_numerical_difference": "float64",
    "test_gradients_of_backends_agree": "float64",
    "test_derivative_is_the_gradient_for_ones": "float32",
    "test_course_notes_examples": "float64",
    "test_ends_of_parameters": "",
}
"""The correctness suite's tests of which a part is for every day, each with its type where that is always one."""


FROM_OUTPUT = frozenset(
    {
        "test_accuracy_from_the_output", "test_shapes_and_layouts_from_the_output",
        "test_gradient_from_the_output_is_the_gradient",
    }
)  # fmt: skip
"""Those that compile kernels which no other test needs; `tests/backends/test_from_output.py` has two in full."""

SPARING = frozenset({"test_shapes_and_layouts", "test_ends_of_parameters"})
"""Those of them of which a backend that compiles gets the fewest."""

LIKE_OTHERS = frozenset({"softplus", "step", "hard_tanh", "log_softmax"})
"""Representatives whose loops are those of `KINDS`: in full, they are compiled in one type, without float64."""

ONE_TYPE = ("float32",)
"""Types in which Numba has all representatives: in float64, a second compilation, it has the fewest."""


def _is_everyday_of_correctness(name: str, params: Params) -> bool:
    """All ops in one type on what does not compile; else the representatives, on some one of each kind of loop."""
    op, backend = params["op"], params.get("backend", "numba")  # without a backend, all of them do the same
    if backend not in COMPILES:
        usual = "float64" if name == "test_parameters" else "float32"
        return params.get("dtype", usual) == usual or (op in REPRESENTATIVES and name != "test_ends_of_parameters")
    dtype = params.get("dtype", CORRECTNESS[name])
    if name in FROM_OUTPUT or op not in (FEWEST if name in SPARING else REPRESENTATIVES):
        return False
    if backend == "jax":
        quick = name == "test_accuracy" or (name == "test_parameters" and op not in ROWS_ON_NUMBA)
        return op in KINDS or (dtype not in NARROW and quick)
    if name == "test_parameters" and op not in KINDS:
        return False  # each reduction is compiled
    if dtype in NARROW:
        return op in NARROW_ON_NUMBA and (backend, dtype) == ("numba", "bfloat16")
    return dtype in ROWS_ON_NUMBA.get(op, (dtype,) if op in FEWEST else ONE_TYPE)


def is_everyday(nodeid: str, name: str, params: Params) -> bool:
    """Tell whether a test is run every day: of the function `name`, for these parameters."""
    if name in FULL:
        return False
    if name in CORRECTNESS and nodeid.startswith("benchmarks/"):
        return _is_everyday_of_correctness(name, params)
    if "test_browser.py" in nodeid or "test_installed.py" in nodeid:
        return False  # what a page holds is tested without one, too, and what is installed, in the checkout
    if name in EACH_OP:
        return params["op"] in REPRESENTATIVES
    return not nodeid.startswith("tests/backends/") or _is_everyday_of_backends(nodeid, name, params)


def _is_everyday_of_backends(nodeid: str, name: str, params: Params) -> bool:
    """One op of each kind of loop, in one type where types are compiled; and what is soon compiled."""
    compiles = not set(COMPILES).isdisjoint(map(str, params.values()))
    if name in FEW and compiles:
        return params.get("op") == "sigmoid" and params.get("dtype") != "float64"
    if name in EMPTY:
        return params["op"] in REPRESENTATIVES and not compiles
    if name in SHORT:
        return params["op"] in KINDS and params["dtype"] == "float32" and not compiles
    if str(params.get("b")).startswith("keras"):
        return False  # to import it takes four seconds
    if op := params.get("op") or params.get("loss"):
        return op in KINDS and not (compiles and params.get("dtype") in ("float64", *NARROW))
    # Properties of single ops compile what the correctness suite holds against the oracle anyway.
    return not compiles or (name not in COMPILED and "test_properties.py" not in nodeid)


@dataclass(frozen=True)
class Traits:
    """What decides whether a test is left to the certification: its op, type and backend, where it has them."""

    op: str | None
    dtype: str | None
    backend: str | None

    @property
    def rare(self) -> bool:
        """Whether its op stands for no others."""
        return self.op is not None and self.op not in REPRESENTATIVES | KINDS

    @property
    def compiles(self) -> bool:
        """Whether its backend does."""
        return self.backend in COMPILES

    @property
    def on_numba(self) -> bool:
        """Whether it compiles kernels of ours."""
        return self.backend in ("numba", "numba-parallel")

    @property
    def parallel(self) -> bool:
        """Whether it computes with the formulas of the serial kernels, put into other loops."""
        return self.backend == "numba-parallel"


LEFT_OUT: Mapping[str, Callable[[Traits], bool]] = {
    # Short arrays are serial; and JAX compiles each length.
    "test_lengths": lambda of: of.rare or of.parallel or (of.backend == "jax" and of.op not in FEWEST),
    "test_every_value_of_the_first_input_is_within_the_budget": lambda of: (
        of.op not in FEWEST or of.dtype == "float16"
    ),
    # Numbers of both narrow types are counted, and added up, in float64.
    "test_sums_beyond_narrow_types": lambda of: (
        of.op not in (FEWEST if of.compiles else REPRESENTATIVES) or (of.parallel and of.dtype == "bfloat16")
    ),
    # Most of it is compiled: each narrow type is loaded and stored in another way.
    "test_host_backends_round_float32_once_in_narrow_types": lambda of: (
        of.op not in KINDS and of.backend != "numpy"
    ),
    # Keras takes the threads of what it computes with.
    "test_the_threads_stated_are_those_in_force_and_a_list_of_results_is_waited_for": lambda of: (
        "keras" in str(of.backend)
    ),
    # `test_lengths` has each op at each length, against the same oracle.
    **dict.fromkeys(SHORT, lambda of: of.rare or of.compiles or of.dtype != "float32"),
    # Without elements, loops are alike; labels are not.
    **dict.fromkeys(EMPTY, lambda of: of.compiles and of.op not in {*KINDS, *LABELLED}),
    **dict.fromkeys(COMPILED_AGAIN, lambda of: of.compiles and (of.op not in FEWEST or of.dtype == "float64")),
    # Parallel loops over float64 are compiled for nothing else.
    "test_reuse_returns_the_same_object_with_the_values_of_fresh": lambda of: (
        of.compiles and (of.rare or (of.parallel and of.dtype == "float64"))
    ),
    "test_serial_and_parallel_agree_to_the_bit": lambda of: of.dtype == "float64" or of.op not in KINDS,
    "test_long_rows_are_split_over_threads_without_a_difference": lambda of: of.op != "softmax",
    "test_parallel_sums_are_the_same_every_time": lambda of: of.op not in KINDS,
    **dict.fromkeys(COMPILED, lambda of: of.parallel),
    "test_sums_and_counts_beyond_float16_are_averaged": lambda of: of.compiles,
    **dict.fromkeys(FROM_OUTPUT, lambda of: of.rare or of.compiles),
    **dict.fromkeys(LONG, lambda _: True),
}
"""What is left to the certification, of single tests."""


def is_exhaustive(name: str, params: Params) -> bool:
    """Tell whether a test is left to the certification: minutes of compiling what others of its kind show too."""
    backend = params.get("backend", params.get("name", params.get("b", params.get("host"))))
    of = Traits(params.get("op"), params.get("dtype", CORRECTNESS.get(name)), backend)
    if name in LEFT_OUT:
        return LEFT_OUT[name](of)
    if name == "test_accuracy" and of.compiles and of.dtype in NARROW and of.op not in KINDS:
        return True
    if name in CORRECTNESS and of.dtype == "float64" and of.op in LIKE_OTHERS:
        # Without a backend, the correctness suite's tests take all of them.
        return backend is None or of.on_numba
    # What is compiled takes minutes: of ops that stand for no others, it is held against the oracle in one type.
    is_kept = name == "test_accuracy" and of.dtype == "float32" and not of.parallel
    return of.rare and (of.compiles or (name in CORRECTNESS and backend is None)) and not is_kept


def tiers(nodeid: str, name: str, params: Params) -> frozenset[str]:
    """Return the markers of a test: of both tiers, of one, or none where it is run every day."""
    full, exhaustive = not is_everyday(nodeid, name, params), is_exhaustive(name, params)
    return frozenset([FULL_TIER] * full + [CERTIFICATION] * exhaustive)


@cache
def is_asked_for(expression: str, markers: frozenset[str]) -> bool:
    """Tell whether `-m` may ask for a test with these markers; always where it speaks of others, too."""
    words = {*re.findall(r"\w+", expression)} - {"and", "or", "not"}
    return not words <= {FULL_TIER, CERTIFICATION} or suites.selects(expression, *markers)


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    """Make no tests that are left out anyway: two thirds of 19,000, and ten seconds of each process.

    One is made where all are left out. Without any, pytest would make one that lacks its parameters. Where single
    tests are named, all are made, so that they are found.
    """
    yield
    config, of, made = metafunc.config, metafunc.definition, metafunc._calls
    if not any("::" in given for given in config.args):
        own = frozenset(filter(of.get_closest_marker, (FULL_TIER, CERTIFICATION)))
        kept = [
            call
            for call in made
            if call.marks or is_asked_for(config.option.markexpr, own | tiers(of.nodeid, of.name, call.params))
        ]
        metafunc._calls = kept or made[:1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what belongs to the full tier, before pytest leaves out what -m does not ask for; order the tests."""
    for item in items:
        name = getattr(item, "originalname", item.name)
        params = item.callspec.params if hasattr(item, "callspec") else {}
        for tier in tiers(item.nodeid, name, params):
            item.add_marker(tier)
    items.sort(key=place)


def place(item: pytest.Item) -> int:
    """Return where a test comes: backends last, and in full the correctness suite just before them.

    Of two processes, one begins with the first test and one in the middle; whichever is idle takes half of what
    the other has left, from its end. Tests of Numba at the start and in the middle would compile the same kernels
    at the same time: those in `tests/backends` find on disk what the correctness suite has compiled. In full,
    where tests of a module share a run of half a minute, that suite is what is divided in the end: its tests are
    short, and share nothing.
    """
    if item.nodeid.startswith("tests/backends/"):
        return 2
    return int(item.nodeid.startswith("benchmarks/") and FULL_TIER in item.keywords)
