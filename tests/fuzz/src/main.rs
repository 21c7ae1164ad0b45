//! Runs the target that the variable `FUZZ_TARGET` names: under libFuzzer if built for it, else on the files given.
#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use equilibrium_fuzz::{Target, find};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    find(&name).expect("FUZZ_TARGET names a target; see `TARGETS`")
});

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET(input));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        TARGET(&std::fs::read(path)?);
    }
    Ok(())
}
