"""Decides nothing: `flyte.report` under its Flyte name; what a report is, is in `authoring.reports`."""

from flyte_nb.authoring.reports import Report, Tab, Timeline, abbreviate, current_report, duration_ms, flush, get_tab, log, replace

__all__ = ["Report", "Tab", "Timeline", "abbreviate", "current_report", "duration_ms", "flush", "get_tab", "log", "replace"]
