"""Decides what runs where and when (controller, lanes), and does it (runner, backends, worker)."""
