"""What shows runs: panels, tables, pages and text. Views read summaries and states, never the engine."""
