//! Writes the table of the page's built files, whose names hold hashes of their content.

use std::env;
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The build of `web/`, relative to this crate.
const BUILT: &str = "dist";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={BUILT}");
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(&root).join(BUILT).join("assets"))? {
        names.push(
            entry?.file_name().into_string().map_err(|name| format!("{} is not UTF-8", name.display()))?,
        );
    }
    names.sort();
    let mut table = String::from("&[\n");
    for name in names {
        let path = format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{BUILT}/assets/{name}\")");
        writeln!(table, "    (\"{name}\", include_bytes!({path})),")?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("assets.rs"), table)?;
    Ok(())
}
