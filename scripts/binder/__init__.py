"""Shows without Docker that Binder will serve the notebooks: what would be built, in what memory it works, and how soon.

`make binder-check` runs it.
"""
