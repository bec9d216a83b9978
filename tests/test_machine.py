"""The machine's fingerprint, and when its state makes numbers doubtful."""

from __future__ import annotations

import getpass
import json
import platform

import pytest

from benchmarks import bandwidth, machine


@pytest.fixture(scope="module")
def found():
    return machine.fingerprint(2)


def test_fingerprint_is_plain_data_without_host_or_user(found):
    text = json.dumps(found)
    assert platform.node() not in text.split('"')
    assert getpass.getuser() not in text.split('"')


def test_machine_id_does_not_change_from_run_to_run_or_with_threads(found):
    assert machine.fingerprint(1)["machine_id"] == found["machine_id"]


def test_packages_have_versions(found):
    assert found["packages"]["numpy"][0].isdigit()


def test_a_quiet_machine_needs_no_warning_of_load():
    assert not any("processors" in warning for warning in machine.warnings(0.02))


def test_a_busy_machine_is_named_with_its_load():
    (warning,) = [w for w in machine.warnings(0.5) if "processors" in w]
    assert "50%" in warning
    assert "doubtful" in warning


def test_default_threads_stay_within_what_is_allowed():
    assert 1 <= machine.default_threads() <= len(machine.os.sched_getaffinity(0))


def test_bandwidth_is_measured_at_every_size_and_interpolated():
    measured = bandwidth.measure_host(1)
    assert measured.n_bytes == bandwidth.LADDER
    assert all(0.1 < rate < 10_000 for rate in measured.gigabytes_per_s)
    low, high = sorted(measured.gigabytes_per_s[3:5])
    middle = (measured.n_bytes[3] * measured.n_bytes[4]) ** 0.5
    assert low <= measured.at(middle) <= high
    assert measured.at(1) == pytest.approx(measured.gigabytes_per_s[0])
    assert measured.at(1e15) == pytest.approx(measured.gigabytes_per_s[-1])
