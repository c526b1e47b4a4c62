"""What is accepted without effect is accepted whole, kept, and said so."""

import datetime as dt
import inspect
import pickle
from typing import Any

import pytest

from flyte_nb.authoring import inert
from flyte_nb.authoring.inert import Cron, FixedRate, Image, OnArtifact, PodTemplate, Trigger, TriggeredArtifact, TriggerTime


def chained() -> Image:
    """Return an image with one layer of every kind."""
    return (
        Image.from_debian_base(python_version=(3, 12), install_flyte=False, registry="ghcr.io/us", name="etl")
        .with_pip_packages("pandas", "numpy<3", pre=True)
        .with_apt_packages("git")
        .with_requirements("requirements.txt")
        .with_uv_project("pyproject.toml", project_install_mode="install_project")
        .with_poetry_project("pyproject.toml")
        .with_pixi_project("pixi.toml")
        .with_commands(["echo hi"])
        .with_env_vars({"A": "1"})
        .with_source_folder("src", dst=".")
        .with_source_file(["a.py"])
        .with_code_bundle(copy_style="all")
        .with_workdir("/srv")
        .with_dockerignore(".dockerignore")
        .with_local_v2()
    )


def test_an_image_keeps_its_chain() -> None:
    """Every step returns a new image with one layer more."""
    start = Image.from_debian_base()

    assert [name for name, _, _ in chained().layers] == [name for name in vars(Image) if name.startswith("with_")]
    assert chained().layers[0] == ("with_pip_packages", ("pandas", "numpy<3"), {"pre": True})
    assert (start.layers, start.with_workdir("a") is start) == ((), False)


@pytest.mark.parametrize(
    "image,uri",
    [
        (Image.from_debian_base(), "debian"),
        (Image.from_base("python:3.12-slim"), "python:3.12-slim"),
        (Image.from_ref_name("mine"), "mine"),
        (Image.from_dockerfile("Dockerfile", "ghcr.io/us", "etl"), "ghcr.io/us/etl"),
        (Image.from_uv_script("script.py", name="etl", pre=True), "etl"),
        (Image.from_pixi_script("script.py", name="etl", registry="ghcr.io/us"), "ghcr.io/us/etl"),
        (Image.from_base("python:3.12-slim").clone(name="etl", extendable=True), "etl"),
    ],
)
def test_an_image_has_many_beginnings(image: Image, uri: str) -> None:
    """None of them reads a file or a registry."""
    assert image.uri == uri


def test_an_image_is_not_made_directly() -> None:
    """As in Flyte."""
    with pytest.raises(TypeError, match="from_"):
        Image("python:3.12-slim")


def test_an_image_travels_and_can_be_a_key() -> None:
    """It is part of an environment, which tasks carry along."""
    image = chained()

    assert pickle.loads(pickle.dumps(image)) == image
    assert {image: 1}[chained()] == 1


def test_a_pod_template_keeps_what_it_got() -> None:
    """Its methods return templates."""
    pod = PodTemplate.from_spec("spec", primary_container_name="main", labels={"a": "b"})

    assert (pod.pod_spec, pod.primary_container_name, pod.labels) == ("spec", "main", {"a": "b"})
    assert PodTemplate().allow_fuse(privileged=True).allow_nested_sandboxing().with_termination_grace_period(30) == PodTemplate()


def test_a_link_is_a_protocol_to_implement() -> None:
    """A user's class with its two parts is one."""

    class Dashboard(inert.Link):
        name = "Dashboard"

        def get_link(self, run_name: str, *_args: Any, **_kwargs: Any) -> str:
            return f"https://example.org/{run_name}"

    assert Dashboard().get_link("r1") == "https://example.org/r1"


@pytest.mark.parametrize(
    "make,expression",
    [
        (Trigger.minutely, "* * * * *"),
        (Trigger.hourly, "0 * * * *"),
        (Trigger.daily, "0 0 * * *"),
        (Trigger.weekly, "0 0 * * 0"),
        (Trigger.monthly, "0 0 1 * *"),
    ],
)
def test_triggers_have_common_schedules(make: Any, expression: str) -> None:
    """Named after themselves, with the time as an input where one is named."""
    trigger = make("at", inputs={"x": 1}, auto_activate=False)

    assert (trigger.name, trigger.automation, trigger.auto_activate) == (make.__name__, Cron(expression), False)
    assert trigger.inputs == {"at": TriggerTime, "x": 1}
    assert make().inputs == {}


def test_triggers_are_kept() -> None:
    """Schedules, artifacts and sentinels."""
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    triggers = [
        Trigger("a", Cron("0 * * * *", timezone="Asia/Tokyo")),
        Trigger("b", FixedRate(5, start), queue="q"),
        Trigger("c", OnArtifact("m")),
    ]

    assert pickle.loads(pickle.dumps(triggers)) == triggers
    assert Cron("0 * * * *").timezone_expression == "CRON_TZ=UTC 0 * * * *"
    assert [pickle.loads(pickle.dumps(each)) is each for each in (TriggerTime, TriggeredArtifact)] == [True, True]
    assert repr(TriggerTime) == "flyte.TriggerTime"


@pytest.mark.parametrize("make,fields", [(Trigger, {"name": "", "automation": Cron("* * * * *")}), (OnArtifact, {"name": ""})])
def test_nameless_things_are_refused(make: Any, fields: dict[str, Any]) -> None:
    """As in Flyte."""
    with pytest.raises(ValueError, match="empty"):
        make(**fields)


def test_a_trigger_needs_an_automation() -> None:
    """One of the three kinds."""
    with pytest.raises(TypeError, match="automation"):
        Trigger("a", "0 * * * *")  # type: ignore[arg-type]  # what is tested


def test_every_inert_thing_says_so() -> None:
    """The docstring is where a user looks when nothing happens."""
    classes = [each for name, each in inspect.getmembers(inert, inspect.isclass) if each.__module__ == inert.__name__ and name[0] != "_"]

    assert [each.__name__ for each in classes if "without effect" not in (each.__doc__ or "")] == []
