"""What a task asks of the machine, as numbers."""

from collections.abc import Callable

import pytest

from flyte_nb.core import resources
from flyte_nb.core.resources import Device, Resources


@pytest.mark.parametrize(
    "cpu,cores",
    [(None, None), (2, 2.0), (0.5, 0.5), ("500m", 0.5), ("2", 2.0), (" 1.5 ", 1.5), ((1, 4), 1.0), (("250m", 1), 0.25), (0, 0.0)],
)
def test_cpus_are_counted_in_cores(cpu: object, cores: float | None) -> None:
    """Numbers, Kubernetes' milli-cores and ranges; of a range the request counts."""
    assert Resources(cpu=cpu).cpu_cores == cores  # type: ignore[arg-type]  # as users write it


@pytest.mark.parametrize(
    "memory,size",
    [(None, None), ("1Gi", 2**30), ("512Mi", 2**29), ("2G", 2_000_000_000), ("1.5k", 1_500), ("123", 123), (("1Ki", "2Ki"), 1024)],
)
def test_memory_is_counted_in_bytes(memory: object, size: int | None) -> None:
    """Kubernetes' decimal and binary units, and ranges."""
    assert Resources(memory=memory).memory_bytes == size  # type: ignore[arg-type]  # as users write it


@pytest.mark.parametrize(
    "gpu,count", [(None, 0), (0, 0), (3, 3), ("T4:2", 2), ("A100 80G:8", 8), (Device(2, "GPU"), 2), (resources.GPU("A100", 2, "1g.5gb"), 2)]
)
def test_accelerators_are_counted(gpu: object, count: int) -> None:
    """A number, a named type with its quantity, or a device."""
    assert Resources(gpu=gpu).gpu_count == count  # type: ignore[arg-type]  # as users write it


def test_a_named_device_knows_its_class() -> None:
    """The text form and the constructors agree on the class."""
    named = [Resources(gpu=text).get_device() for text in ("T4:1", "Trn1:4", "MI300X:1", "Gaudi1:1")]

    assert named == [
        Device(1, "GPU", "T4"),
        Device(4, "NEURON", "Trn1"),
        Device(1, "AMD_GPU", "MI300X"),
        Device(1, "HABANA_GAUDI", "Gaudi1"),
    ]
    assert [resources.TPU("V5P", "2x2x1"), resources.Neuron("Inf2"), resources.AMD_GPU("MI100"), resources.HABANA_GAUDI("Gaudi1")] == [
        Device(1, "TPU", "V5P", "2x2x1"),
        Device(1, "NEURON", "Inf2"),
        Device(1, "AMD_GPU", "MI100"),
        Device(1, "HABANA_GAUDI", "Gaudi1"),
    ]


def test_shared_memory_may_be_all_there_is() -> None:
    """Flyte writes "auto" as an empty size."""
    assert [Resources(shm=shm).get_shared_memory() for shm in (None, "auto", "1Gi")] == [None, "", "1Gi"]


@pytest.mark.parametrize(
    "make,fields,error",
    [
        (Resources, {"cpu": -1}, ValueError),
        (Resources, {"cpu": float("nan")}, ValueError),
        (Resources, {"cpu": "two"}, ValueError),
        (Resources, {"cpu": "1Gi"}, ValueError),
        (Resources, {"cpu": (1, 2, 3)}, ValueError),
        (Resources, {"cpu": True}, TypeError),
        (Resources, {"cpu": [1]}, TypeError),
        (Resources, {"memory": "lots"}, ValueError),
        (Resources, {"memory": "1Gb"}, ValueError),
        (Resources, {"memory": 512}, ValueError),
        (Resources, {"memory": ("1Gi",)}, ValueError),
        (Resources, {"disk": "1 Gi"}, ValueError),
        (Resources, {"shm": "some"}, ValueError),
        (Resources, {"gpu": -1}, ValueError),
        (Resources, {"gpu": "T4:9"}, ValueError),
        (Resources, {"gpu": "T4"}, ValueError),
        (Resources, {"gpu": "V9:1"}, ValueError),
        (Resources, {"gpu": 1.0}, TypeError),
        (Device, {"quantity": 0, "device_class": "GPU"}, ValueError),
        (resources.GPU, {"device": "V5P", "quantity": 1}, ValueError),
        (resources.GPU, {"device": "A100", "quantity": 1, "partition": "9g"}, ValueError),
    ],
)
def test_requests_that_make_no_sense_are_refused(make: Callable[..., object], fields: dict[str, object], error: type[Exception]) -> None:
    """A bad request fails where it is written."""
    with pytest.raises(error):
        make(**fields)
