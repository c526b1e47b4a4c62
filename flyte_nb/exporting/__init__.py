"""How the tasks of a notebook become a plain module that the real Flyte SDK runs.

Texts and syntax trees only: no kernel, no run, no file. `module.write_module` is the way in.
"""
