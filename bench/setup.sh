#!/usr/bin/env bash
# Makes the peers' virtual environments outside the repository: `bench/setup.sh transformers`, `bench/setup.sh llama`,
# or both without an argument. An environment that is complete is left alone.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/neuroanatomy"
mkdir -p "$cache"

environment() {
    local name="$1" venv="$cache/bench-$1"
    if cmp --silent "$here/requirements-$name.txt" "$venv/complete.txt"; then
        echo "$name: $venv is complete" >&2
        return
    fi
    echo "$name: making $venv" >&2
    [[ -d "$venv" ]] || python3 -m venv "$venv"
    # llama.cpp is compiled with every instruction of this machine, as our own side is. Its first build takes
    # about ten minutes on two cores.
    CMAKE_ARGS="${CMAKE_ARGS:--DGGML_NATIVE=ON -DLLAMA_BUILD_TOOLS=OFF -DLLAVA_BUILD=OFF}" nice -n 10 \
        "$venv/bin/pip" install --quiet -r "$here/requirements-$name.txt"
    cp "$here/requirements-$name.txt" "$venv/complete.txt"
}

if (($# == 0)); then set -- transformers llama; fi
for name in "$@"; do
    case "$name" in
        transformers | llama) environment "$name" ;;
        *) echo "unknown environment $name; transformers or llama" >&2; exit 2 ;;
    esac
done
