# What people do here, one command each; `just` lists them. Nothing is hidden: type the command instead, if you like.

# The list
_:
    @just --list --unsorted

# Everything on this machine: API, table, keys, and a simulated WeChat Pay
run *options:
    cargo run -- up {{options}}

# A payment from login to refund, each step checked
demo:
    cargo run -- demo

# The tests, with nothing but Rust
test:
    cargo test --workspace

# Every gate; installs what it needs below target/ci
ci:
    .ci/run

# The Lambda artefacts, into .aws-sam, for the processor that samconfig.toml names
build *options:
    sam build {{options}}

# The whole system under seeds, without sockets (ARCHITECTURE.md)
proof *options:
    cargo run -p proof -- {{options}}

# Size and start-up of each release binary beside the floor (docs/performance.md)
bench *options:
    cargo run -p bench -- {{options}}

# The release binaries under load (docs/load.md); --help lists the scenarios
load *options:
    cargo run -p bench -- load {{options}}

# Headers, notices and orders beside other libraries and languages; installs them below target/peers
peers *options:
    benches/peers/run {{options}}

# To AWS, with the values of samconfig.toml (docs/operations.md)
deploy *options: build
    sam deploy {{options}}

# WeChat Pay alone, for a client in any language (docs/simulator.md)
simulator *options:
    cargo run -p simulator -- {{options}}
