"""What a task asks of the machine: CPUs, memory, accelerators.

Decides: which requests are valid, and what they mean as numbers (cores, bytes, devices).
Must not know: which worker has what, or how a request is granted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

CpuRequest = int | float | str
#: The classes of accelerators.
DeviceClass = Literal["GPU", "TPU", "NEURON", "AMD_GPU", "HABANA_GAUDI", "APPLE_SILICON"]

# Kubernetes' suffixes.
_BYTES_PER_UNIT: Mapping[str, int] = MappingProxyType(
    {"": 1}
    | {unit: 1000**power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), start=1)}
    | {unit: 1024**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
)
_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([A-Za-z]*)")

_UP_TO_8 = range(1, 9)
# Flyte's list of devices, with the quantities that it takes in "DEVICE:QUANTITY".
_DEVICES: Mapping[str, tuple[DeviceClass, range | tuple[int, ...]]] = MappingProxyType(
    {
        "A2": ("GPU", (1,)),
        **dict.fromkeys(("A10", "A10G", "A100", "A100_80G", "B200", "H100", "H200", "L4", "L40s", "T4", "V100"), ("GPU", _UP_TO_8)),
        "RTX_PRO_4500": ("GPU", (1,)),
        "RTX_PRO_6000": ("GPU", (1, 2)),
        "GB10": ("GPU", (1,)),
        **dict.fromkeys(("T4 shared", "L4 shared", "A10G shared", "A10 shared", "L40S shared"), ("GPU", (1,))),
        **dict.fromkeys(("V5E", "V5P", "V6E"), ("TPU", ())),
        **dict.fromkeys(("Trn1", "Trn1n", "Trn2", "Trn2u"), ("NEURON", (1, 4, 8, 16))),
        **dict.fromkeys(("Inf1", "Inf2"), ("NEURON", range(1, 13))),
        **dict.fromkeys(("MI100", "MI210", "MI250", "MI250X", "MI300A", "MI300X", "MI325X", "MI350X", "MI355X"), ("AMD_GPU", (1,))),
        "Gaudi1": ("HABANA_GAUDI", (1,)),
        "AppleSilicon": ("APPLE_SILICON", (1,)),
    }
)
_PARTITIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "A100": ("1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"),
        "A100_80G": ("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
        "H100": ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
        "H200": ("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"),
        "RTX_PRO_6000": ("1g.24gb", "2g.48gb", "4g.96gb"),
        "V5E": ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"),
        "V5P": ("2x2x1", "2x2x2", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16", "8x16x16", "16x16x16", "16x16x24"),
        "V6E": ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16"),
    }
)


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator: how many, of which class, and which device or part of one.

    Attributes:
        quantity: How many, from 1; this is what counts here.
        device_class: One of `DeviceClass`.
        device: Its type, such as "T4".
        partition: A part of one, such as "1g.5gb".

    Raises:
        ValueError: The quantity is below 1.

    Example:
        >>> flyte.Device(quantity=2, device_class="GPU", device="T4").quantity
        2
    """

    quantity: int
    device_class: DeviceClass
    device: str | None = None
    partition: str | None = None

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise ValueError("GPU quantity must be at least 1")


#: Names of devices in older versions of Flyte.
_OLD_NAMES: Mapping[str, str] = MappingProxyType({"A100 80G": "A100_80G", "RTX PRO 6000": "RTX_PRO_6000"})
#: How Flyte's messages call the classes of devices.
_CLASS_WORDS: Mapping[DeviceClass, str] = MappingProxyType({"NEURON": "Neuron", "AMD_GPU": "AMD GPU", "HABANA_GAUDI": "Habana Gaudi"})


def _device(device_class: DeviceClass, device: str, quantity: int = 1, partition: str | None = None) -> Device:
    device = _OLD_NAMES.get(device, device)
    known = [name for name, (its_class, _) in _DEVICES.items() if its_class == device_class]
    if device not in known:
        raise ValueError(f"Invalid {_CLASS_WORDS.get(device_class, device_class)} type: {device}. Must be one of {tuple(known)}")
    partitions = _PARTITIONS.get(device, ())
    if partition is not None and partitions and partition not in partitions:
        raise ValueError(f"Invalid partition for {device}: {partition}. Must be one of {partitions}")
    return Device(quantity, device_class, device, partition)


def GPU(device: str, quantity: int, partition: str | None = None) -> Device:  # noqa: N802 - Flyte's name
    """A GPU of a named type; here only the quantity counts.

    Args:
        device: its type, such as "T4".
        quantity: how many, from 1.
        partition: a part of one, such as "1g.5gb" of an A100.

    Raises:
        ValueError: there is no such device or partition.

    Example:
        >>> flyte.GPU("T4", 2).quantity
        2
    """
    return _device("GPU", device, quantity, partition)


def TPU(device: str, partition: str | None = None) -> Device:  # noqa: N802 - Flyte's name
    """A TPU of a named type; here it counts as one device.

    Args:
        device: its type, such as "V5P".
        partition: its topology, such as "2x2x1".

    Raises:
        ValueError: there is no such device or partition.

    Example:
        >>> flyte.TPU("V5P", "2x2x1").partition
        '2x2x1'
    """
    return _device("TPU", device, 1, partition)


def Neuron(device: str) -> Device:  # noqa: N802 - Flyte's name
    """A Neuron device of a named type; here it counts as one device.

    Args:
        device: its type, such as "Trn1".

    Raises:
        ValueError: there is no such device.

    Example:
        >>> flyte.Neuron("Trn1").device
        'Trn1'
    """
    return _device("NEURON", device)


def AMD_GPU(device: str) -> Device:  # noqa: N802 - Flyte's name
    """An AMD GPU of a named type; here it counts as one device.

    Args:
        device: its type, such as "MI300X".

    Raises:
        ValueError: there is no such device.

    Example:
        >>> flyte.AMD_GPU("MI300X").device
        'MI300X'
    """
    return _device("AMD_GPU", device)


def HABANA_GAUDI(device: str) -> Device:  # noqa: N802 - Flyte's name
    """A Habana Gaudi device of a named type; here it counts as one device.

    Args:
        device: its type, such as "Gaudi1".

    Raises:
        ValueError: there is no such device.

    Example:
        >>> flyte.HABANA_GAUDI("Gaudi1").device
        'Gaudi1'
    """
    return _device("HABANA_GAUDI", device)


def APPLE_SILICON() -> Device:  # noqa: N802 - Flyte's name
    """The GPU of a Mac; here it counts as one device.

    Example:
        >>> flyte.APPLE_SILICON().quantity
        1
    """
    return _device("APPLE_SILICON", "AppleSilicon")


@dataclass(frozen=True, slots=True)
class Resources:
    """What one action of a task needs.

    Attributes:
        cpu: Cores: 1, 0.5, "500m", or (request, limit).
        memory: Bytes with Kubernetes' units: "512Mi", "2G", or (request, limit).
        gpu: A count, "TYPE:QUANTITY" such as "T4:1", or a `Device`.
        disk: Scratch space, as memory; kept, without effect here.
        shm: Shared memory, as memory, or "auto"; kept, without effect here.

    Example:
        >>> flyte.Resources(cpu="500m", memory="1Gi", gpu="T4:2").memory_bytes
        1073741824
    """

    cpu: CpuRequest | tuple[CpuRequest, CpuRequest] | None = None
    memory: str | tuple[str, str] | None = None
    gpu: int | str | Device | None = None
    disk: str | None = None
    shm: str | None = None

    def __post_init__(self) -> None:
        _check_range("cpu", self.cpu)
        _check_range("memory", self.memory)
        for request in self.cpu if isinstance(self.cpu, tuple) else (self.cpu,):
            _cores(request)
        for size in self.memory if isinstance(self.memory, tuple) else (self.memory,):
            _bytes("memory", size)
        _bytes("disk", self.disk)
        if self.shm != "auto":
            _bytes("shm", self.shm)
        self.get_device()

    @property
    def cpu_cores(self) -> float | None:
        """The cores asked for; of a range its lower end. None if nothing is asked."""
        return _cores(self.cpu[0] if isinstance(self.cpu, tuple) else self.cpu)

    @property
    def memory_bytes(self) -> int | None:
        """The bytes of memory asked for; of a range its lower end. None if nothing is asked."""
        return _bytes("memory", self.memory[0] if isinstance(self.memory, tuple) else self.memory)

    @property
    def gpu_count(self) -> int:
        """How many accelerators are asked for."""
        device = self.get_device()
        return 0 if device is None else device.quantity

    def get_device(self) -> Device | None:
        """The accelerators asked for, None if there are none."""
        return _parse_gpu(self.gpu)

    def get_shared_memory(self) -> str | None:
        """The shared memory asked for; "" stands for as much as there is."""
        return "" if self.shm == "auto" else self.shm


def _check_range(name: str, value: object) -> None:
    if isinstance(value, tuple) and len(value) != 2:  # noqa: PLR2004 - request and limit
        raise ValueError(f"{name} tuple must have exactly two elements")


def _cores(request: CpuRequest | None) -> float | None:
    if request is None:
        return None
    if isinstance(request, bool) or not isinstance(request, int | float | str):
        raise TypeError(f"cpu must be a number or a string such as '500m', got {request!r}")
    if isinstance(request, str):
        match = _QUANTITY.fullmatch(request.strip())
        if match is None or match[2] not in {"", "m"}:
            raise ValueError(f"cpu must be a number of cores or of milli-cores such as '500m', got {request!r}")
        return float(Decimal(match[1]) / (1000 if match[2] else 1))
    if not 0 <= request < float("inf"):
        raise ValueError("cpu must be greater than or equal to 0")
    return float(request)


def _bytes(name: str, request: object) -> int | None:
    if request is None:
        return None
    if not isinstance(request, str):
        kind = f"{type(request).__name__}: {request!r}"
        raise ValueError(f"{name} must be a Kubernetes quantity string such as '1Gi', '512Mi' or '2G', got {kind}")  # noqa: TRY004 - Flyte's class
    match = _QUANTITY.fullmatch(request.strip())
    if match is None or match[2] not in _BYTES_PER_UNIT:
        raise ValueError(f"{name} must be a number with a unit such as '512Mi' or '2G', got {request!r}")
    return int(Decimal(match[1]) * _BYTES_PER_UNIT[match[2]])


def _parse_gpu(gpu: object) -> Device | None:
    if gpu is None or isinstance(gpu, Device):
        return gpu
    if isinstance(gpu, str):
        return _parse_device(gpu)
    if not isinstance(gpu, int) or isinstance(gpu, bool):
        raise TypeError(f"gpu must be an int, a string such as 'T4:1' or a Device, got {gpu!r}")
    if gpu < 0:
        raise ValueError("gpu must be greater than or equal to 0")
    return Device(gpu, "GPU") if gpu else None


def _parse_device(text: str) -> Device:
    name, _, quantity = ("AppleSilicon:1" if text == "AppleSilicon" else text).rpartition(":")  # a Mac has one
    name = _OLD_NAMES.get(name, name)
    device_class, quantities = _DEVICES.get(name, ("GPU", ()))
    if not quantity.isdecimal() or int(quantity) not in quantities:
        known = [f"{each}:{min(allowed)}" for each, (_, allowed) in _DEVICES.items() if allowed]
        raise ValueError(f"gpu must be TYPE:QUANTITY with one of Flyte's devices, such as {known}, got {text!r}")
    return Device(int(quantity), device_class, name)
