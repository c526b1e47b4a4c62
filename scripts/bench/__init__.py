"""Measures flyte_nb beside its peers, on the same slots, in one run: `make bench`.

The way of one figure: `cases` says what is compared with what and which bars hold; `measure` has each system in a process of its own
(`children` starts, pauses and ends it, `child` is the program in it) and lets them work in turn; `systems/` holds one module for each
system, which does a workload and returns seconds; `table` judges and words; `record` writes JSON and the page; `plot` draws.
"""
