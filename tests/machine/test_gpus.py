"""GPUs, as files and a made-up NVML tell of them: no GPU is asked here, and none of this shows that one is."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from benchmarks.machine import gpus, resources
from benchmarks.machine.gpus import Load, Telemetry


class MadeUpError(Exception):
    """What the made-up NVML raises."""


class MadeUpNvml(SimpleNamespace):
    """Two GPUs, of which the second says less; what is asked of them is counted."""

    NVMLError = MadeUpError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self, **changed):
        super().__init__(started=0, reasons=0x1, **changed)

    def nvmlInit(self):  # noqa: N802 - NVML's own names, here and below
        self.started += 1

    def nvmlDeviceGetCount(self):  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return b"GPU-aaaa-0" if handle == 0 else "GPU-bbbb-1"

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return "570.86.10"

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return ("NVIDIA H100 80GB HBM3", "NVIDIA T4")[handle]

    def nvmlDeviceGetClockInfo(self, handle, clock):  # noqa: N802
        return 1755

    def nvmlDeviceGetMaxClockInfo(self, handle, clock):  # noqa: N802
        return {1: 1980, 2: 2619}[clock]

    def nvmlDeviceGetTemperature(self, handle, sensor):  # noqa: N802
        return 41

    def nvmlDeviceGetPersistenceMode(self, handle):  # noqa: N802
        return 1

    def nvmlDeviceGetMigMode(self, handle):  # noqa: N802
        if handle == 1:
            raise MadeUpError("not supported")
        return [0, 0]

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):  # noqa: N802
        return 700_000

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        return SimpleNamespace(total=85_520_809_984, used=600_000_000)

    def nvmlDeviceGetMemoryBusWidth(self, handle):  # noqa: N802
        return 5120

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        return 5_000

    def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
        return 350_000

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802
        return self.reasons


@pytest.fixture
def nvml(monkeypatch):
    """Put a made-up NVML in the place of its binding."""

    def install(module):
        monkeypatch.setitem(sys.modules, "pynvml", module)
        monkeypatch.delenv(gpus.VISIBLE, raising=False)
        gpus._library.cache_clear()
        return module

    yield install
    gpus._library.cache_clear()


def files(root, *paths, text=""):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("signs", "present"),
    [
        ((), False),
        (("dev/nvidia0",), True),
        (("dev/nvidia3",), True),  # a container that was given the fourth card
        (("proc/driver/nvidia/version",), True),
        (("dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"), True),  # WSL
        (("dev/dxg",), False),  # WSL, with another maker's card
        (("dev/nvidia-modeset",), False),
        (("dev/kfd",), False),  # AMD's
    ],
)
def test_a_driver_is_found_wherever_it_shows(tmp_path, signs, present):
    assert gpus.nvidia_present(files(tmp_path, *signs)) is present


@pytest.mark.parametrize(
    ("named", "hidden"),
    [(None, False), ("", True), ("-1", True), ("0", False), ("1,-1", False), ("GPU-aa", False)],
)
def test_gpus_can_be_hidden(named, hidden):
    assert gpus.hidden({} if named is None else {gpus.VISIBLE: named}) is hidden


def test_a_hidden_gpu_is_not_measured_by_default(monkeypatch):
    monkeypatch.setattr(gpus, "nvidia_present", lambda: True)
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    assert resources.cuda_driver_present()
    for nothing in ("", "-1"):
        monkeypatch.setenv(gpus.VISIBLE, nothing)
        assert not resources.cuda_driver_present()


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("1", [1]),
        ("2,0", [2, 0]),
        ("0, 1", [0, 1]),
        ("0,7,1", [0]),  # what comes after a number that is none is hidden too
        ("-1", []),
        ("GPU-bb", [1]),
        ("GPU-cc,GPU-aa", [2, 0]),
        ("GPU-xx,0", []),
        ("MIG-1234", [0, 1, 2]),
    ],
)
def test_only_visible_gpus_are_asked(named, expected):
    variables = {} if named is None else {gpus.VISIBLE: named}
    assert gpus.visible(["GPU-aa", "GPU-bb", "GPU-cc"], variables) == expected


def test_without_the_binding_or_a_driver_nothing_is_known(nvml, monkeypatch):
    nvml(None)  # as if it could not be imported
    assert (gpus.gpus(), gpus.load(), gpus.is_watched()) == (None, None, False)

    def fail():
        raise MadeUpError("no driver")

    module = nvml(MadeUpNvml())
    module.nvmlInit = fail
    gpus._library.cache_clear()
    assert (gpus.gpus(), gpus.load(), gpus.is_watched()) == (None, None, False)


def test_a_gpu_says_what_it_is_and_what_it_is_built_to_move(nvml):
    nvml(MadeUpNvml())
    first, second = gpus.gpus()
    assert (first.name, first.driver, first.sm_mhz, first.max_sm_mhz) == (
        "NVIDIA H100 80GB HBM3", "570.86.10", 1755, 1980,
    )  # fmt: skip
    assert (first.temperature_c, first.persistence_mode, first.mig_mode) == (41, "Enabled", "Disabled")
    assert (first.power_limit_w, first.reasons, first.memory_bytes) == (700, ("idle",), 85_520_809_984)
    assert first.nominal_gb_s == pytest.approx(3352, rel=1e-3)  # NVIDIA's data sheet: 3.35 TB/s
    assert second.mig_mode == "unknown"


def test_only_the_visible_one_is_asked(nvml, monkeypatch):
    nvml(MadeUpNvml())
    monkeypatch.setenv(gpus.VISIBLE, "GPU-bbbb")
    assert [gpu.name for gpu in gpus.gpus()] == ["NVIDIA T4"]
    monkeypatch.setenv(gpus.VISIBLE, "")
    assert gpus.gpus() == []
    assert gpus.load() is None


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x0, ()),
        (0x44, ("power limit", "temperature (hardware)")),
        (0xA8, ("hardware slowdown", "temperature (software)", "power brake")),
    ],
)
def test_reasons_are_told_in_words_under_either_name(nvml, bits, words):
    module = nvml(MadeUpNvml())
    module.reasons = bits
    assert gpus.load().reasons == words
    module.nvmlDeviceGetCurrentClocksEventReasons = lambda handle: bits
    assert gpus.load().reasons == words


def test_a_load_has_units(nvml):
    nvml(MadeUpNvml())
    assert gpus.load() == Load(1755, ("idle",), energy_j=5.0, power_w=350.0, memory_used_bytes=600_000_000)


def test_models_are_the_drivers_files_or_else_nvmls(nvml, tmp_path):
    nvml(MadeUpNvml())
    assert gpus.models(tmp_path) == ("NVIDIA H100 80GB HBM3", "NVIDIA T4")
    for bus, model in (("0000:18", "NVIDIA H200"), ("0000:2a", "NVIDIA A10")):
        files(tmp_path, f"proc/driver/nvidia/gpus/{bus}/information", text=f"Model: \t\t {model}\nIRQ: 3\n")
    assert gpus.models(tmp_path) == ("NVIDIA A10", "NVIDIA H200")
    nvml(None)
    assert gpus.models(tmp_path) == ("NVIDIA A10", "NVIDIA H200")


def test_telemetry_counts_turns_in_which_the_gpu_was_slowed_down():
    loads = [
        Load(1980.0, (), None, None, None),
        Load(1400.0, ("power limit",), None, None, None),
        Load(345.0, ("idle",), None, None, None),
        None,
    ]
    telemetry = Telemetry(iter(loads).__next__)
    assert [telemetry.beat() for _ in loads] == [False, True, False, False]
    seen = telemetry.finish()
    assert (seen.turns, seen.low_mhz, seen.high_mhz) == (3, 1400.0, 1980.0)
    assert (seen.throttled, seen.reasons) == (1, ("power limit",))
    assert telemetry.finish() is None
