//! Replays the committed inputs: the seeds of the corpus, and those that have failed once.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use equilibrium_fuzz::TARGETS;

#[test]
fn every_target_keeps_its_promises_on_its_seeds() {
    assert_eq!(replay("seeds"), TARGETS.map(|(name, _)| name), "every target has seeds");
}

#[test]
fn no_input_that_has_failed_fails_again() {
    replay("regressions");
}

/// Runs the inputs of a folder, and returns the targets that have some.
fn replay(folder: &str) -> Vec<&'static str> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    for (name, target) in TARGETS {
        let Ok(inputs) = fs::read_dir(folder.join(name)) else { continue };
        for input in inputs {
            let path = input.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
        }
        found.push(name);
    }
    found
}
