#!/bin/sh
# Makes or refreshes .venv from pyproject.toml, with the extras that are named first, and then touches the file that is named second.
# Decides which Python; must need nothing but that Python (with venv) and its own pip.
# Called by the Makefile, which calls it again only when pyproject.toml or this file has changed.
set -eu
cd "$(dirname "$0")/.."
venv=.venv

# A name on PATH proves nothing: version managers leave stand-ins for versions that are not there, and Debian splits ensurepip off.
usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11)); ' >/dev/null 2>&1 && "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" && echo "$PYTHON" && return
        echo "PYTHON=$PYTHON is not a Python 3.11 or later with venv." >&2
        return 1
    fi
    for name in python3.13 python3.12 python3.11 python3; do
        if usable "$name"; then
            command -v "$name"
            return
        fi
    done
    echo "No Python 3.11 or later with venv was found. Install one (Debian, Ubuntu: apt-get install python3 python3-venv)," >&2
    echo "or name one: make PYTHON=/path/to/python3.12" >&2
    return 1
}

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "Making $venv with $("$python" --version) ($python)"
    "$python" -m venv --clear "$venv"
fi
case $1 in
    *test*) echo "Installing what its tests need into $venv (the first time takes a few minutes)" ;;
    *) echo "Installing flyte_nb and what its notebooks need into $venv (the first time takes a few minutes)" ;;
esac
"$venv/bin/python" -m pip install --quiet --editable ".[$1]"
touch "$2"
