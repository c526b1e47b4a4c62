"""Decides which names of the real Flyte SDK there are, and what to use in place of those that only flyte_nb has.

The names are those of `flyte` 2.12; a test compares them with the package itself.

Must not know: statements of a notebook beyond their imports.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from flyte_nb.exporting.names import words
from flyte_nb.exporting.statements import dotted

#: This package, under which notebooks import it, and Flyte's.
OURS, FLYTES = "flyte_nb", "flyte"

#: What `import flyte` offers.
TOP = words(
    "AMD_GPU APPLE_SILICON AppHandle AsyncFunctionTaskTemplate Backoff BaseCheckpoint Cache CachePolicy CacheRequest Checkpoint "
    "ConditionWebhook Cron Device DeviceClass Documentation Environment FixedRate GPU HABANA_GAUDI Image ImageBuild Link Neuron OnArtifact "
    "PodTemplate Resources RetryStrategy ReusePolicy Secret SecretRequest TPU TaskEnvironment TaskTemplate Timeout TimeoutType Trigger "
    "TriggerTime TriggeredArtifact TriggeredPartition build build_images ctx current_domain current_project custom_context deploy errors "
    "get_custom_context group init init_from_api_key init_from_config init_in_cluster init_passthrough is_control_plane_available "
    "latest_checkpoint load_interactive_ctx load_plugin_config logger map models new_condition rerun run run_python_script serve "
    "system_logger trace version with_runcontext with_servecontext"
)
#: Modules of Flyte's that have to be imported by themselves, and what they offer.
MODULES: dict[str, frozenset[str]] = {
    "durable": words("now sleep time"),
    "io": words("DataFrame Dir EmptyDir File HashFunction PARQUET"),
    "remote": words(
        "Action ActionDetails ActionInputs ActionOutputs App Artifact Condition PartitionSchema Project Run RunDetails Secret SecretTypes "
        "Settings Task TaskDetails TimeFilter Trigger TriggerDetails User auth_metadata upload_dir upload_file"
    ),
    "report": words("Report Timeline abbreviate current_report duration_ms flush get_tab log replace"),
}
#: Modules that come with `import flyte`.
INCLUDED: dict[str, frozenset[str]] = {
    "errors": words(
        "ActionAbortedError ActionNotFoundError BaseRuntimeError CodeBundleError ConditionAlreadyExistsError ConditionFailedError "
        "ConditionNotFoundError ConditionTimedoutError CustomError DeadlineExceededError DeploymentError ErrorKind GPUFaultError "
        "GPUFaultSystemError GPUFaultUserError ImageBuildError ImagePullBackOffError InitializationError InlineIOMaxBytesBreached "
        "InvalidImageNameError InvalidPackageError LogsNotYetAvailableError MaxQueuedTimeExceededError MaxRuntimeExceededError "
        "ModuleLoadError NonRecoverableError NotInTaskContextError OOMError OnlyAsyncIOSupportedError ParameterMaterializationError "
        "PrimaryContainerNotFoundError RemoteTaskNotFoundError RemoteTaskUsageError ResourceExhaustedError RestrictedTypeError "
        "RetriesExhaustedError RuntimeDataValidationError RuntimeSystemError RuntimeUnknownError RuntimeUserError SlowDownError "
        "SyncTaskCallInAsyncContextError TaskInterruptedError TaskTimeoutError TraceDoesNotAllowNestedTasksError UnionRpcError"
    ),
    "models": words(
        "ActionID ActionPhase CheckpointPaths CodeBundle GroupData NativeInterface PathRewrite RawDataPath SerializationContext TaskContext"
    ),
}
#: What a handle of a run offers.
RUN = words(
    "abort action code_bundle details done download_code first_failure get get_debug_url get_logs get_report input_literals inputs listall "
    "name output_literals outputs phase raise_for_status raw_phase show_logs sync to_dict to_json typed_inputs typed_outputs url wait "
    "watch"
)
#: Calls that block, and that the SDK refuses in async functions: they have an awaitable form `.aio`.
BLOCKING = words(
    "deploy durable.now durable.sleep durable.time init init_from_api_key init_from_config init_in_cluster init_passthrough map "
    "new_condition report.flush report.log report.replace rerun run"
)
#: Arguments of ours that the SDK's functions do not take.
ONLY_OUR_ARGUMENTS: dict[str, frozenset[str]] = {
    "init": words(
        "workers threads_per_worker memory_limit adaptive cluster security max_actions grace_seconds kill_workers system_retries "
        "ship_package kernel_host block stdout store keep_days cache_bytes keep_bytes"
    ),
    "map": frozenset({"batch_size", "on_batch_error"}),
    "with_runcontext": frozenset({"driver", "max_actions"}),
    "override": frozenset({"report"}),
}
#: What starts a run.
STARTERS = frozenset({"run", "rerun", "with_runcontext", "map_frame", "form"})
#: What to use instead of names that only we have.
INSTEAD = {
    "ActionPhase": "`flyte.models.ActionPhase`",
    "Task": "`flyte.TaskTemplate`",
    "best": "`max(results, key=...)` over what the run returned",
    "durable": "`import flyte.durable`",
    "export": "nothing: this file is the export",
    "form": "the task's arguments on the command line: `flyte run FILE TASK --x 1`",
    "io": "`import flyte.io`",
    "live": "the run's page on the Flyte backend",
    "map_frame": "`flyte.map.aio(task, *(frame[name] for name in columns))`, or `asyncio.gather` over the rows in a driver task",
    "plots": "the plotting library, on what the run returned",
    "remote": "`import flyte.remote`",
    "report": "`import flyte.report`",
    "runs": "`flyte.remote.Run.listall()`",
}
#: What to use instead of members of a run that only we have.
INSTEAD_OF_RUN = {
    "abort_where": "`run.abort()`, by a condition of your own",
    "actions": "`flyte.remote.Action.listall(for_run_name=run.name)`",
    "as_completed": "`asyncio.as_completed` in the driver",
    "on_update": "`run.watch()`",
    "rerun": "`flyte.rerun(run.name)`",
    "results": "what the driver returned: `run.outputs()[0]`",
    "state": "`run.phase`",
    "stream": "`asyncio.as_completed` in the driver",
    "summary": "`run.phase`",
}


@dataclass
class FlyteNames:
    """How a notebook calls Flyte's names.

    Attributes:
        modules: names of the package itself, such as `flyte` in `import flyte_nb as flyte`.
        members: names of parts of it: `File` -> `io.File`.
    """

    modules: set[str] = field(default_factory=set)
    members: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, trees: Iterable[ast.AST], package: str = OURS) -> FlyteNames:
        """Read them from all imports in some code, those in functions included."""
        found = cls()
        for tree in trees:
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    for alias in node.names:
                        found._import(alias, package)
                elif isinstance(node, ast.ImportFrom) and not node.level and is_of(node.module, package):
                    inner = (node.module or "").partition(".")[2]
                    names = [each for each in node.names if each.name != "*"]
                    found.members.update({each.asname or each.name: f"{inner}.{each.name}".lstrip(".") for each in names})
                    if len(names) < len(node.names):
                        found.members.update({name: name for name in TOP | INSTEAD.keys() if not inner})
        return found

    def _import(self, alias: ast.alias, package: str) -> None:
        inner = alias.name.partition(".")[2]
        if not is_of(alias.name, package):
            return
        if inner and alias.asname:
            self.members[alias.asname] = inner
        else:
            self.modules.add(alias.asname or package)

    def path(self, node: ast.AST) -> str | None:
        """What of Flyte an expression names: `flyte.io.File` is "io.File", the package itself is "", anything else None."""
        first, _, rest = dotted(node).partition(".")
        if first in self.modules:
            return rest
        return f"{self.members[first]}.{rest}".rstrip(".") if first in self.members else None

    def starts_run(self, node: ast.AST) -> bool:
        """Whether a call starts a run: `flyte.run(...)`, `flyte.run.aio(...)`, `flyte.with_runcontext(...).run(...)`."""
        return isinstance(node, ast.Call) and (self.path(node.func) or "").removesuffix(".aio") in STARTERS


def is_of(module: str | None, package: str) -> bool:
    """Whether a module is a package, or in it."""
    return module is not None and module.partition(".")[0] == package
