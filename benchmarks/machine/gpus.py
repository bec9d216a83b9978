"""NVIDIA GPUs: which are there and visible, and, through NVML, what they are, their clocks, throttling and energy.

NVML comes with the driver; its binding is `nvidia-ml-py`, of the extra `cuda`. Without it, or without a driver
that answers, all that is asked of it is None. Everything here only reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from warnings import catch_warnings

from benchmarks.machine.environment import SYSTEM

VISIBLE = "CUDA_VISIBLE_DEVICES"
_NVIDIA_SIGNS = (
    "proc/driver/nvidia/version",
    "dev/nvidia[0-9]*",  # a container has the card's own number, whichever that is
    "dev/nvidiactl",
)
_WSL_SIGNS = ("dev/dxg", "usr/lib/wsl/lib/libcuda.so*")
"""In the Windows Subsystem for Linux, whose driver is Windows'."""
_MODELS = "proc/driver/nvidia/gpus/*/information"
_REASONS = {
    0x001: "idle",
    0x002: "clocks set by an application",
    0x004: "power limit",
    0x008: "hardware slowdown",
    0x010: "in step with other GPUs",
    0x020: "temperature (software)",
    0x040: "temperature (hardware)",
    0x080: "power brake",
    0x100: "clocks set for a display",
}
"""The bits of nvmlClocksEventReasons in NVIDIA's nvml.h."""
THROTTLING = frozenset(
    {"power limit", "hardware slowdown", "temperature (software)", "temperature (hardware)", "power brake"}
)
"""The reasons that slow a GPU down while it works."""


@dataclass(frozen=True)
class Gpu:
    """The state of an NVIDIA GPU: clocks in MHz, temperature in °C, power in W; None where it does not say.

    `nominal_gb_s` is what its memory is built to move, in 10⁹ bytes a second.
    """

    name: str
    driver: str
    sm_mhz: float | None
    max_sm_mhz: float | None
    temperature_c: float | None
    persistence_mode: str
    mig_mode: str
    power_limit_w: float | None
    reasons: tuple[str, ...]
    memory_bytes: int | None = None
    nominal_gb_s: float | None = None


@dataclass(frozen=True)
class Load:
    """What a GPU does at a moment; None where it does not say. `energy_j` counts from the driver's start."""

    sm_mhz: float | None
    reasons: tuple[str, ...]
    energy_j: float | None
    power_w: float | None
    memory_used_bytes: int | None


@dataclass(frozen=True)
class Seen:
    """What a GPU did in readings after `turns` bursts: its clock in MHz, and in how many it was slowed down."""

    turns: int
    low_mhz: float | None
    high_mhz: float | None
    throttled: int
    reasons: tuple[str, ...]


def nvidia_present(root: Path = SYSTEM) -> bool:
    """Tell whether there is an NVIDIA driver, also in a container and in WSL, without asking it."""
    return any(_found(root, sign) for sign in _NVIDIA_SIGNS) or all(_found(root, sign) for sign in _WSL_SIGNS)


def hidden(variables: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the environment hides every GPU from CUDA: its list is empty, or begins with -1."""
    return VISIBLE in variables and variables[VISIBLE].strip()[:1] in {"", "-"}


def visible(uuids: Sequence[str], variables: Mapping[str, str] = os.environ) -> list[int]:
    """Return which of the GPUs of these UUIDs CUDA shows to a process, in its order.

    CUDA_VISIBLE_DEVICES holds indices or beginnings of UUIDs; the first that names nothing ends the list. A part
    of a GPU (MIG) has a UUID of its own, which does not tell the GPU: then all are returned. Indices are taken for
    NVML's, in the order of the PCI bus: CUDA counts the fastest first, unless CUDA_DEVICE_ORDER says otherwise,
    which makes no difference between GPUs of one model.
    """
    if (named := variables.get(VISIBLE)) is None or named.strip().startswith("MIG-"):
        return list(range(len(uuids)))
    found: list[int] = []
    for entry in map(str.strip, named.split(",")):
        if entry.isdecimal():
            at = int(entry) if int(entry) < len(uuids) else None
        else:
            at = next((i for i, uuid in enumerate(uuids) if entry and uuid.startswith(entry)), None)
        if at is None:
            break
        found.append(at)
    return found


def models(root: Path = SYSTEM) -> tuple[str, ...]:
    """Return the models of the GPUs here, in alphabetical order: as the driver's files say, or else NVML.

    Those files need no package, so that a machine is the same one whether or not NVML's binding is installed.
    """
    lines = [line for path in root.glob(_MODELS) for line in _lines(path)]
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return tuple(sorted(named or [gpu.name for gpu in gpus() or ()]))


def is_watched() -> bool:
    """Tell whether NVML answers."""
    return _library() is not None


def gpus() -> list[Gpu] | None:
    """Return the state of each GPU that is visible to CUDA; None where NVML does not answer."""
    library = _library()
    return None if library is None else [_gpu(library, handle) for handle in _handles(library)]


def load(at: int = 0) -> Load | None:
    """Return what the visible GPU of this number does now; None where NVML does not answer."""
    library = _library()
    handles = _handles(library) if library else []
    if library is None or at >= len(handles):
        return None
    ask = _Asked(library, handles[at])
    memory = ask("nvmlDeviceGetMemoryInfo")
    return Load(
        sm_mhz=ask("nvmlDeviceGetClockInfo", library.NVML_CLOCK_SM),
        reasons=_reasons(ask),
        energy_j=_thousandth(ask("nvmlDeviceGetTotalEnergyConsumption")),
        power_w=_thousandth(ask("nvmlDeviceGetPowerUsage")),
        memory_used_bytes=None if memory is None else int(memory.used),
    )


@dataclass
class Telemetry:
    """Watches the first visible GPU while a group of cases is measured: `read` is `load`, unless given."""

    read: Callable[[], Load | None] = load
    _loads: list[Load] = field(default_factory=list)

    def beat(self) -> bool:
        """Read, right after a burst of rounds; it takes less than 1 ms. Tell whether the GPU is slowed down."""
        if (now := self.read()) is None:
            return False
        self._loads.append(now)
        return not THROTTLING.isdisjoint(now.reasons)

    def finish(self) -> Seen | None:
        """Return what was seen since the last call; None where nothing was."""
        loads, self._loads = self._loads, []
        if not loads:
            return None
        # Between turns a GPU may idle, at a clock that no turn is taken at.
        clocks = [each.sm_mhz for each in loads if each.sm_mhz is not None and "idle" not in each.reasons]
        slowed = [[reason for reason in each.reasons if reason in THROTTLING] for each in loads]
        return Seen(
            turns=len(loads),
            low_mhz=min(clocks, default=None),
            high_mhz=max(clocks, default=None),
            throttled=sum(map(bool, slowed)),
            reasons=tuple(dict.fromkeys(reason for reasons in slowed for reason in reasons)),
        )


@dataclass(frozen=True)
class _Asked:
    """Asks NVML about one GPU; None for what it, its driver or the binding does not know."""

    library: Any
    handle: Any

    def __call__(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self.library, name)(self.handle, *arguments)
        except (AttributeError, self.library.NVMLError):
            return None


@cache
def _library() -> Any:
    """Return NVML's binding, ready to be asked; None without it or without a driver."""
    try:
        with catch_warnings(action="ignore"):  # an older package of the same module says that it is one
            import pynvml  # late: an extra, which a machine without a GPU does not need
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except (OSError, pynvml.NVMLError):
        return None
    return pynvml


def _handles(library: Any) -> list[Any]:
    """Return NVML's handles of the GPUs that CUDA shows to this process."""
    try:
        every = [library.nvmlDeviceGetHandleByIndex(i) for i in range(library.nvmlDeviceGetCount())]
        uuids = [_text(library.nvmlDeviceGetUUID(handle)) for handle in every]
    except library.NVMLError:
        return []
    return [every[i] for i in visible(uuids)]


def _gpu(library: Any, handle: Any) -> Gpu:
    ask = _Asked(library, handle)
    mig, memory = ask("nvmlDeviceGetMigMode"), ask("nvmlDeviceGetMemoryInfo")
    try:
        driver = _text(library.nvmlSystemGetDriverVersion())
    except library.NVMLError:
        driver = "unknown"
    return Gpu(
        name=_text(ask("nvmlDeviceGetName")),
        driver=driver,
        sm_mhz=ask("nvmlDeviceGetClockInfo", library.NVML_CLOCK_SM),
        max_sm_mhz=ask("nvmlDeviceGetMaxClockInfo", library.NVML_CLOCK_SM),
        temperature_c=ask("nvmlDeviceGetTemperature", library.NVML_TEMPERATURE_GPU),
        persistence_mode=_switch(ask("nvmlDeviceGetPersistenceMode")),
        mig_mode=_switch(None if mig is None else mig[0]),
        power_limit_w=_thousandth(ask("nvmlDeviceGetEnforcedPowerLimit")),
        reasons=_reasons(ask),
        memory_bytes=None if memory is None else int(memory.total),
        nominal_gb_s=nominal_gb_s(
            ask("nvmlDeviceGetMaxClockInfo", library.NVML_CLOCK_MEM), ask("nvmlDeviceGetMemoryBusWidth")
        ),
    )


def nominal_gb_s(memory_mhz: float | None, bus_bits: float | None) -> float | None:
    """Return what a memory moves at most in 10⁹ bytes a second: two transfers a clock, on each wire of the bus."""
    return 2 * memory_mhz * bus_bits / 8e3 if memory_mhz and bus_bits else None


def _reasons(ask: _Asked) -> tuple[str, ...]:
    active = ask("nvmlDeviceGetCurrentClocksEventReasons")
    if active is None:  # the older drivers' name
        active = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
    return tuple(words for bit, words in _REASONS.items() if (active or 0) & bit)


def _switch(state: int | None) -> str:
    return "unknown" if state is None else "Enabled" if state else "Disabled"


def _thousandth(value: float | None) -> float | None:
    return None if value is None else value / 1e3


def _text(value: Any) -> str:
    """Return a text that some versions of the binding give as bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _found(root: Path, pattern: str) -> bool:
    return next(root.glob(pattern), None) is not None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
