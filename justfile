# Common tasks; `just` lists them.

# List the tasks
default:
    @just --list

# Format the code
fmt:
    cargo fmt

# Check format and lints
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

# Run all tests
test:
    cargo test --locked

# Build the documentation of the code, warnings are errors
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# Drive the pages in headless Chromium; screenshots go to target/browser/shots
browser:
    cargo build --locked
    .ci/browser ${CARGO_TARGET_DIR:-target}/debug/timpush_exporter

# Run everything that must hold before a change goes in
ci:
    .ci/run

# Run the demo on loopback; flags follow, such as --speed 120
demo *flags:
    cargo run --release --locked -- demo {{flags}}

# Everything at once at random for so many minutes: faults, kills, stops, reloads
soak minutes="60":
    .ci/soak "$(({{minutes}} * 60))" twenty_a_second

# The budget at 10 and at 100 requests a second with faults, ten minutes each
budget-soak seconds="600":
    .ci/soak {{seconds}} ten_a_second a_hundred_a_second

# Every fuzz target for so many seconds
fuzz seconds="600":
    .ci/fuzz {{seconds}}

# Licences, duplicates and sources of all crates
deny:
    .ci/deny
