"""What deploys and builds on a Flyte backend, and has nothing to do here.

Decides: that these calls are accepted, say so, and do nothing: there is no backend, and tasks run in the kernel's own Python.
Must not know: anything that runs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger("flyte_nb")


#: Flyte's limit.
_MOST = 255


@dataclass(frozen=True)
class Documentation:
    """Text about a task for Flyte's console, 255 characters of it. Kept, without effect.

    Attributes:
        description: The text.
    """

    description: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "description", self.description[:_MOST])


@dataclass(frozen=True)
class ImageBuild:
    """What `build` gives: an image that was not built."""

    uri: str
    remote_run: None = None


class _Nothing:
    """A call that does nothing, with its async form."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self.__doc__ = text

    def __call__(self, *things: object, **_options: object) -> Any:
        """Do nothing, and say so in the log.

        Args:
            things: what Flyte would deploy or build.
        """
        logger.info("flyte_nb: %s() has no effect in a notebook: tasks run here as they are.", self._name)
        if self._name == "build":
            return ImageBuild(str(getattr(things[0], "uri", "")) if things else "")
        return list(things) if self._name == "deploy" else None

    async def aio(self, *things: object, **options: object) -> Any:
        """The same, to be awaited."""
        return self(*things, **options)

    def __repr__(self) -> str:
        return f"<flyte_nb.{self._name}: has no effect here>"


deploy = _Nothing("deploy", "Accepted for Flyte, without effect: there is nothing to deploy to. Gives the environments back.")
build = _Nothing("build", "Accepted for Flyte, without effect: images are not built.")
build_images = _Nothing("build_images", "Accepted for Flyte, without effect: images are not built.")
