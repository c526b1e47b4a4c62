"""Decides what is kept of runs."""
