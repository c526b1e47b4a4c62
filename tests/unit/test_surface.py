"""Flyte 2's public names, with their parameters and defaults: what a notebook written for it may write."""
# ruff: noqa: E501, SIM905 - tables of names

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import flyte_nb as flyte
from flyte_nb import durable, errors, models, remote, report

#: By path below the package: parameters in Flyte's order, defaults as they read; without one it must be given.
#: Read from flyte 2.12.1. What that takes positionally may be positional here; more parameters are allowed, with defaults.
SIGNATURES: Mapping[str, str] = {
    "Backoff": "base, factor=1.0, cap=None",
    "RetryStrategy": "count, backoff=None",
    "Timeout": "max_runtime=None, max_queued_time=None, deadline=None",
    "Cache": "behavior, version_override=None, serialize=False, ignored_inputs=(), salt='', policies=None, max_age=None",
    "Resources": "cpu=None, memory=None, gpu=None, disk=None, shm=None",
    "ReusePolicy": "replicas=2, idle_ttl=30, concurrency=1, scaledown_ttl=30, scope='global'",
    "Secret": "key, group=None, mount=None, as_env_var=None",
    "GPU": "device, quantity, partition=None",
    "TPU": "device, partition=None",
    "Neuron": "device",
    "AMD_GPU": "device",
    "HABANA_GAUDI": "device",
    "APPLE_SILICON": "",
    "Device": "quantity, device_class, device=None, partition=None",
    "Cron": "expression, timezone='UTC'",
    "FixedRate": "interval_minutes, start_time=None",
    "OnArtifact": "name, version=None, partitions=None",
    "Trigger": "name, automation=None, description='', auto_activate=True, inputs=None, env_vars=None, interruptible=None, "
    "overwrite_cache=False, queue=None, max_action_concurrency=None, labels=None, annotations=None, notifications=None, "
    "custom_context=None",
    "PodTemplate": "pod_spec=None, primary_container_name='primary', labels=None, annotations=None",
    "Documentation": "description",
    "TaskEnvironment": "name, depends_on=<factory>, pod_template=None, description=None, secrets=None, env_vars=None, resources=None, "
    "interruptible=False, image='auto', include=(), service_account=None, cache='disable', reusable=None, plugin_config=None, queue=None",
    "TaskEnvironment.task": "self, _func=None, short_name=None, cache=None, retries=0, timeout=0, docs=None, pod_template=None, report=False, "
    "interruptible=None, max_inline_io_bytes=10485760, queue=None, triggers=(), links=(), task_resolver=None, entrypoint=False, "
    "produces_artifacts=False",
    "TaskEnvironment.from_task": "name, depends_on=None",
    "ConditionWebhook": "url, payload=None",
    "new_condition": "name, prompt='Approve?', prompt_type='text', data_type=bool, description='', timeout=None, webhook=None",
    "trace": "func",
    "group": "name",
    "ctx": "",
    "get_custom_context": "",
    "latest_checkpoint": "root, glob_pattern='**/last.ckpt', key=None",
    "version": "",
    "current_project": "",
    "current_domain": "",
    "is_control_plane_available": "",
    "with_runcontext": "mode=None, name=None, overwrite_cache=False, env_vars=None, labels=None, log_level=None, disable_run_cache=False, "
    "max_action_concurrency=None, custom_context=None, raw_data_path=None, version=None",
    "rerun": "run_name, action_name='a0', recover=False, force_rerun_actions=None, allow_missing_source_outputs=False",
    "map": "func, group_name=None, concurrency=0, return_exceptions=True",
    "report.Report": "name",
    "report.Tab": "name",
    "report.Timeline": "tab_name='main'",
    "report.get_tab": "name, create_if_missing=True",
    "report.abbreviate": "value, limit=300",
    "report.duration_ms": "start_iso, end_iso",
    "report.current_report": "",
    "models.GroupData": "name",
    "models.ActionID": "name, run_name=None, project=None, domain=None, org=None",
    "remote.TimeFilter": "after=None, before=None",
    "remote.Run.listall": "in_phase=None, task_name=None, task_version=None, created_by_subject=None, sort_by=None, limit=100, project=None, "
    "domain=None, created_at=None, updated_at=None, with_labels=None, with_label_keys=None, paused_actions_only=False",
    "remote.Run.get": "name",
    "remote.Run.wait": "self, quiet=False, wait_for='terminal'",
    "remote.Run.watch": "self, cache_data_on_done=False",
    "remote.Run.get_logs": "self, attempt=None, filter_system=False, show_ts=False",
    "remote.Run.get_report": "self, attempt=None",
    "remote.Action.listall": "for_run_name, in_phase=None, parent_name=None, sort_by=None",
    "remote.Action.wait": "self, quiet=False, wait_for='terminal'",
    "remote.Action.watch": "self, cache_data_on_done=False, wait_for='terminal'",
    "remote.Action.get_logs": "self, attempt=None, filter_system=False, show_ts=False",
    "remote.Condition.listall": "run_name, action_name=None, limit=100",
    "remote.Condition.get": "name, run_name, action_name=None",
    "remote.Condition.signal": "self, payload",
    "errors.CustomError": "code, message",
    "errors.NonRecoverableError": "message, code='NonRecoverableError'",
    "errors.RuntimeUserError": "code, message, worker=None",
    "errors.RuntimeSystemError": "code, message, worker=None",
    "errors.RuntimeUnknownError": "code, message, worker=None",
    "errors.BaseRuntimeError": "code, kind, root_cause_message, worker=None",
    "errors.TaskTimeoutError": "message, code='TaskTimeoutError'",
    "errors.RuntimeDataValidationError": "var, e, task_name",
}
#: Methods and attributes by class.
MEMBERS: Mapping[str, str] = {
    "remote.Run": "abort action action_id code_bundle details done first_failure get get_debug_url get_logs get_report inputs listall name outputs "
    "phase raise_for_status raw_phase show_logs sync to_dict to_json typed_inputs typed_outputs url wait watch",
    "remote.RunDetails": "action_id done get inputs name outputs task_name to_dict to_json typed_inputs typed_outputs",
    "remote.Action": "abort action_id details done get get_logs get_report listall name parent_name phase raw_phase run_name show_logs start_time sync "
    "task_name to_dict to_json wait watch",
    "remote.ActionDetails": "abort_info action_id attempts code_bundle done error_info error_message get get_phase_transitions initializing_time inputs "
    "is_running logs_available metadata name outputs parent_name phase phase_durations queued_time raw_phase run_name running_time "
    "runtime task_name "
    "to_dict to_json typed_inputs typed_outputs waiting_for_resources_time watch_updates",
    "remote.ActionInputs": "get items keys to_dict to_json values",
    "remote.ActionOutputs": "count index named_outputs to_dict to_json",
    "remote.Condition": "action_name expected_type get listall name phase run_name signal",
    "TaskEnvironment": "add_dependency clone_with from_task task tasks",
    "Image": "clone from_base from_debian_base from_dockerfile from_pixi_script from_ref_name from_uv_script uri with_apt_packages with_code_bundle "
    "with_commands with_dockerignore with_env_vars with_local_v2 with_pip_packages with_pixi_project with_poetry_project with_requirements "
    "with_source_file with_source_folder with_uv_project with_workdir",
    "Trigger": "daily hourly minutely monthly weekly",
    "Checkpoint": "load load_sync path prev_exists save save_sync",
    "report.Report": "get_final_report get_tab name tabs",
    "report.Tab": "content get_html log name replace",
    "models.TaskContext": "action attempt_number checkpoint checkpoint_paths custom_context data disable_run_cache group_data input_path interactive_mode "
    "is_in_cluster mode output_path raw_data_path report run_base_dir run_start_time task_action version",
}
#: What has an async form in `aio`.
WITH_AIO = (
    "run init init_from_config init_from_api_key init_in_cluster init_passthrough rerun map new_condition deploy build "
    "build_images report.log "
    "report.replace report.flush durable.now durable.time durable.sleep"
).split()
ERRORS = (
    "ActionAbortedError ActionNotFoundError BaseRuntimeError CodeBundleError ConditionAlreadyExistsError ConditionFailedError "
    "ConditionNotFoundError "
    "ConditionTimedoutError CustomError DeadlineExceededError DeploymentError ImageBuildError ImagePullBackOffError InitializationError "
    "InlineIOMaxBytesBreached InvalidImageNameError InvalidPackageError LogsNotYetAvailableError MaxQueuedTimeExceededError "
    "MaxRuntimeExceededError "
    "ModuleLoadError NonRecoverableError NotInTaskContextError OOMError OnlyAsyncIOSupportedError ParameterMaterializationError "
    "PrimaryContainerNotFoundError RemoteTaskNotFoundError RemoteTaskUsageError ResourceExhaustedError RestrictedTypeError "
    "RetriesExhaustedError "
    "RuntimeDataValidationError RuntimeSystemError RuntimeUnknownError RuntimeUserError SlowDownError SyncTaskCallInAsyncContextError "
    "TaskInterruptedError TaskTimeoutError TraceDoesNotAllowNestedTasksError UnionRpcError"
).split()
_MODULES = {"durable": durable, "errors": errors, "models": models, "remote": remote, "report": report}


def found(path: str) -> Any:
    """What stands under a path."""
    head, _, rest = path.partition(".")
    here: Any = _MODULES.get(head) if rest and head in _MODULES else getattr(flyte, head)
    for name in filter(None, rest.split(".")):
        here = inspect.getattr_static(here, name)
        here = getattr(here, "_method", getattr(here, "__func__", here))
    return here


def read(default: object) -> str:
    """A default as the table has it."""
    return getattr(default, "__name__", repr(default)) if isinstance(default, type) else repr(default)


@pytest.mark.parametrize("path", SIGNATURES)
def test_parameters_and_defaults_are_flytes(path: str) -> None:
    """By name; those of ours beside them may be left out."""
    target = found(path)
    if not inspect.isroutine(target) and not inspect.isclass(target):
        target = type(target).__call__
    ours = {name: each for name, each in inspect.signature(target).parameters.items() if name not in {"self", "cls"}}
    wanted = dict(part.partition("=")[::2] for part in SIGNATURES[path].split(", ") if part and part != "self")

    assert [name for name in wanted if name not in ours] == []
    told = {name: "" if ours[name].default is inspect.Parameter.empty else read(ours[name].default) for name in wanted}
    if path == "errors.RuntimeDataValidationError":
        told["task_name"] = ""  # optional here
    assert told == wanted
    optional = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    assert [name for name, each in ours.items() if name not in wanted and each.default is each.empty and each.kind not in optional] == []


@pytest.mark.parametrize("path", MEMBERS)
def test_members_are_there(path: str) -> None:
    """Methods and attributes that people use."""
    cls = found(path)
    made = set(dir(cls)) | set(getattr(cls, "__dataclass_fields__", ())) | set(re.findall(r"self\.(\w+)[:\s]", inspect.getsource(cls)))

    assert [name for name in MEMBERS[path].split() if name not in made] == []


@pytest.mark.parametrize("path", WITH_AIO)
def test_async_forms_are_there(path: str) -> None:
    """`x.aio` beside `x`."""
    head, _, rest = path.partition(".")
    target: Any = getattr(_MODULES[head], rest) if rest else getattr(flyte, head)

    assert callable(target)
    assert callable(target.aio)


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_there(name: str) -> None:
    """All but `ActionNotFoundError` are runtime errors with a code."""
    cls = getattr(errors, name)

    assert issubclass(cls, errors.BaseRuntimeError) is (name != "ActionNotFoundError")


def test_a_task_has_flytes_attributes() -> None:
    """Those that have no effect here, too, with Flyte's defaults."""
    env = flyte.TaskEnvironment("surface", queue="q", image="mine")

    @env.task(retries=2, timeout=5, triggers=flyte.Trigger("t", flyte.Cron("* * * * *")))
    async def echo(x: int, y: str = "a") -> int:
        """Echoes."""
        return x

    wanted = {
        "debuggable": True,
        "entrypoint": False,
        "interruptible": False,
        "max_inline_io_bytes": 10 * 1024 * 1024,
        "pod_template": None,
        "queue": "q",
        "image": "mine",
    }
    assert {name: getattr(echo, name) for name in wanted} == wanted
    assert (echo.name, echo.short_name, echo.parent_env_name, echo.task_type) == ("surface.echo", "echo", "surface", "python")
    assert (echo.retries.count, echo.timeout, echo.cache.behavior, len(echo.triggers)) == (2, 5, "disable", 1)
    assert (echo.interface.required_inputs(), echo.interface.num_required_inputs()) == (["x"], 1)
    assert echo.interface.get_input_types() == {"x": int, "y": str}
    assert echo.override(queue="z", max_inline_io_bytes=7, retries=0).queue == "z"
    assert echo.parent_env is env
    assert env() is env  # Flyte's is a weak reference, which is called
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = echo.nothing


@pytest.mark.parametrize(
    "code, words",
    [
        ("flyte.remote.Run.get('none')", "RunNotFoundError"),
        ("print(list(flyte.map(flyte.TaskEnvironment('first').task(abs_), [-1])))", "[1]"),
    ],
)
def test_any_of_these_may_be_the_first_thing_that_a_program_does(code: str, words: str, tmp_path: Path) -> None:
    """Nothing has to be set up before."""
    program = tmp_path / "program.py"
    program.write_text(f"import flyte_nb as flyte\n\ndef abs_(x: int) -> int:\n    return abs(x)\n\n{code}\n")
    settings = {**os.environ, "FLYTE_NB_CLUSTER": "inline", "FLYTE_NB_STORE": ":memory:"}

    done = subprocess.run([sys.executable, str(program)], check=False, capture_output=True, text=True, cwd=tmp_path, env=settings)

    assert words in done.stdout + done.stderr
