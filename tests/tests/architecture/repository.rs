//! The files of the repository, and how a claim reports what breaks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Directories and files that are built, installed or kept by git itself.
const IGNORED: [&str; 5] = [".git", "cdk.out", "mutants.out", "node_modules", "target"];
/// A larger file was not written by hand.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A text file.
#[derive(Debug)]
pub struct File {
    /// Relative to the root of the repository, with `/` between its parts.
    pub path: String,
    pub text: String,
}

impl File {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }
}

/// Every text file of the repository, sorted by path.
pub fn files() -> &'static [File] {
    static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
        let mut files = Vec::new();
        collect(&root(), "", &mut files);
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files
    });
    &FILES
}

/// Whether there is a file or folder at `path`.
pub fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// Every file with this extension.
pub fn with_extension<'a>(files: &'a [File], extension: &'a str) -> impl Iterator<Item = &'a File> {
    files.iter().filter(move |file| file.has_extension(extension))
}

/// The file at `path`.
pub fn file<'a>(files: &'a [File], path: &str) -> &'a File {
    files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} is missing"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if IGNORED.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() && entry.metadata().unwrap().len() <= MAX_FILE_BYTES {
            // Compressed samples and pictures are not text.
            files.extend(fs::read_to_string(entry.path()).ok().map(|text| File { path, text }));
        }
    }
}

/// Fails with every finding on a line of its own.
#[track_caller]
pub fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} found:\n{}\n", findings.len(), findings.join("\n"));
}

/// Fails unless the sample breaks the claim exactly as `expected` says: the beginnings of the findings.
#[track_caller]
pub fn assert_found(findings: &[String], expected: &[impl AsRef<str>]) {
    let expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
    let agrees = findings.len() == expected.len()
        && findings.iter().zip(&expected).all(|(finding, start)| finding.starts_with(start));
    assert!(agrees, "found {findings:#?}, expected {expected:#?}");
}
