"""Decides nothing: `flyte.durable` under its Flyte name; what it does is in `authoring.durable`."""

from flyte_nb.authoring.durable import now, sleep, time

__all__ = ["now", "sleep", "time"]
