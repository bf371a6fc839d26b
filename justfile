# The command list. CI runs `check`; the rest needs tools that each recipe names or installs.

# What must pass before a change lands.
check:
    .ci/run

# Format the workspace.
fmt:
    cargo fmt --all

# Accept changed snapshots after looking at them (needs `cargo install cargo-insta`).
snapshots:
    cargo insta test --workspace --review

# Scan the shipped phantom.
demo:
    cargo run --release -- scan

# Train both shipped phantoms anew and compare them with the committed ones (same machine and threads: same bytes).
phantoms:
    rm -rf target/phantoms
    cargo run --release -- train phantoms/phantom.toml --out target/phantoms/phantom
    cargo run --release -- train phantoms/phantom-plain.toml --out target/phantoms/phantom-plain
    cmp target/phantoms/phantom/model.safetensors phantoms/phantom/model.safetensors
    cmp target/phantoms/phantom-plain/model.safetensors phantoms/phantom-plain/model.safetensors

# Make the parity fixtures anew with the pinned transformers, in a virtual environment outside the repository.
golden:
    #!/usr/bin/env bash
    set -euo pipefail
    venv="${XDG_CACHE_HOME:-$HOME/.cache}/neuroanatomy/golden"
    [[ -d "$venv" ]] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet -r fixtures/requirements.txt
    "$venv/bin/python" fixtures/make.py

# Compare settings that no fixture has with the pinned transformers (with the Python of `golden`).
sweep *types:
    cargo build --release
    "${XDG_CACHE_HOME:-$HOME/.cache}/neuroanatomy/golden/bin/python" fixtures/sweep.py target/release/neuro {{types}}

# Make the GGUF fixture anew with the pinned gguf-py, in a virtual environment outside the repository.
golden-gguf *options:
    #!/usr/bin/env bash
    set -euo pipefail
    venv="${XDG_CACHE_HOME:-$HOME/.cache}/neuroanatomy/gguf"
    [[ -d "$venv" ]] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet -r fixtures/gguf-requirements.txt
    "$venv/bin/python" fixtures/gguf_quants.py {{options}}

# Compare the logits of GGUF files with llama.cpp's own (its first install compiles for minutes and needs a C++ compiler).
parity-llama-cpp +files:
    #!/usr/bin/env bash
    set -euo pipefail
    venv="${XDG_CACHE_HOME:-$HOME/.cache}/neuroanatomy/bench-llama"
    [[ -d "$venv" ]] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet llama-cpp-python==0.3.36 numpy
    cargo build --release
    "$venv/bin/python" fixtures/gguf_llama_cpp.py target/release/neuro {{files}}

# Export every architecture as GGUF, baseline and paths, and compare logits and greedy text with llama.cpp.
parity-gguf *fixtures:
    #!/usr/bin/env bash
    set -euo pipefail
    venv="${XDG_CACHE_HOME:-$HOME/.cache}/neuroanatomy/bench-llama"
    [[ -d "$venv" ]] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet llama-cpp-python==0.3.36 numpy
    cargo build --release
    "$venv/bin/python" fixtures/gguf_architectures.py target/release/neuro {{fixtures}}

# Show that what llama.cpp computes otherwise on bf16 files is its rounding of activations (with the Pythons of `golden` and
# `parity-llama-cpp`).
rounding-gguf *fixtures:
    #!/usr/bin/env bash
    set -euo pipefail
    cache="${XDG_CACHE_HOME:-$HOME/.cache}/neuroanatomy"
    cargo build --release
    "$cache/golden/bin/python" fixtures/gguf_rounding.py target/release/neuro "$cache/bench-llama/bin/python" {{fixtures}}

# Export every fixture, run what was written in other programs, and write docs/reference/exports.md.
exports *options:
    #!/usr/bin/env bash
    set -euo pipefail
    cache="${XDG_CACHE_HOME:-$HOME/.cache}/neuroanatomy"
    [[ -d "$cache/exports" ]] || python3 -m venv "$cache/exports"
    "$cache/exports/bin/pip" install --quiet -r fixtures/exports-requirements.txt
    "$cache/exports/bin/pip" install --quiet --no-deps mergekit==0.1.5
    # llama.cpp's Python is that of parity-llama-cpp.
    llama=(); [[ -x "$cache/bench-llama/bin/python" ]] && llama=(--llama "$cache/bench-llama/bin/python")
    # Trained models with tokenizers, where they lie beside the project.
    more=(); for model in ../shared/data/models/{stories260K,stories260K.gguf,TinyStories-656K}; do [[ -e "$model" ]] && more+=("$model"); done
    [[ ${#more[@]} -gt 0 ]] && more=(--more "${more[@]}")
    cargo build --release
    mkdir -p docs/reference
    "$cache/exports/bin/python" fixtures/exports.py --neuro target/release/neuro "${llama[@]}" "${more[@]}" {{options}} > target/exports.md
    mv target/exports.md docs/reference/exports.md

# Record scipy's and statsmodels' values anew that the statistics are tested against, in a virtual environment outside the repository.
golden-stats:
    #!/usr/bin/env bash
    set -euo pipefail
    venv="${XDG_CACHE_HOME:-$HOME/.cache}/neuroanatomy/golden-stats"
    [[ -d "$venv" ]] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet -r fixtures/stats/requirements.txt
    "$venv/bin/python" fixtures/stats/golden.py

# Hold the statistics against phantoms of which everything is known, write docs/calibration.md, and fail where something that is
# demanded of them was not found. Complete answers and confirmations are kept and gone on with; remove target/calibration to
# have them made anew. The build for development optimises what computes.
calibrate seeds="20":
    #!/usr/bin/env bash
    set -euo pipefail
    cargo build --release
    out=target/calibration
    mkdir -p "$out/whole"
    for phantom in phantom phantom-plain; do
        target/release/neuro scan "$phantom" --probe phantom --probe phantom:likelihood --questions all --out "$out/$phantom" > /dev/null
        for seed in $(seq 0 $(({{seeds}} - 1))); do
            run="$out/whole/$phantom-$seed"
            target/release/neuro scan "$phantom" --questions 64 --seed "$seed" --out "$run" > /dev/null
            target/release/neuro confirm "$run" --seed "$seed" > /dev/null
        done
    done
    cargo run --release -p neuro-stats --example calibrate -- "$out/phantom" "$out/phantom-plain" "$out/whole" > "$out/page.md"
    mv "$out/page.md" docs/calibration.md

# Make the fixtures anew with the pinned transformers, compare them, and write the table of docs/reference/models.md.
parity: golden parity-table

# Compare the fixtures as they are, and write the table.
parity-table:
    NEURO_WRITE_TABLE=1 cargo test -p neuro-model --test parity

# Measure how much memory loading a gigabyte of bf16 for a quantised scan takes.
memory:
    cargo test --release -p neuro-model --test bf16_memory -- --ignored --nocapture

# Run one fuzz target for some seconds on stable Rust: `just fuzz config 60`.
fuzz target seconds="60":
    cargo run --release --manifest-path fuzz/Cargo.toml -- {{target}} {{seconds}}

# Measure the speed against the peers and print the table; bench/README.md says what each part needs.
bench *options:
    python3 bench/run.py {{options}}

# One part of it.
bench-a *options: (bench "a" options)
bench-b *options: (bench "b" options)
bench-c *options: (bench "c" options)
bench-d *options: (bench "d" options)
bench-e *options: (bench "e" options)
bench-f *options: (bench "f" options)
bench-g *options: (bench "g" options)
