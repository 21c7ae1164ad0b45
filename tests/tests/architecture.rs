//! The walls: what each crate may use, how large its parts are, and that names, documents and lists agree.
//!
//! Each claim reads the files of the repository and names the line that breaks it, with what to do. Beside each
//! claim a sample shows that it can fail.
#![allow(clippy::unwrap_used)]

mod architecture {
    pub mod circles;
    pub mod deployment;
    pub mod documents;
    pub mod manifests;
    pub mod metrics;
    pub mod payloads;
    pub mod repository;
    pub mod rust_source;
    pub mod shape;
    pub mod sources;
    pub mod vocabulary;
    pub mod walls;
}
