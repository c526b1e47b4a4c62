"""The tests of flyte_nb; each folder is a ring (see CONTRIBUTING.md)."""
