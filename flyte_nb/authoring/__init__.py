"""What users write: environments, tasks, groups, maps, and what is checked when a task is called."""
