//! The position of each shard in a file, which Lambda stores for its own mappings.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_lambda::kinesis::record::ShardId;
use thiserror::Error;

use crate::record::Position;

/// The text of [`Position::End`]. [`Position::Oldest`] is not written.
const END: &str = "end";

/// Why the file cannot be used.
#[derive(Debug, Error)]
pub enum PositionsError {
    /// The file cannot be read.
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The file holds something else: remove it to start every shard at its oldest record.
    #[error("{}: not a file of shard positions; without it every shard starts at its oldest record", .0.display())]
    Malformed(PathBuf),
}

/// A file of positions, with the content that was last written.
#[derive(Debug)]
pub struct PositionFile {
    path: PathBuf,
    written: BTreeMap<String, String>,
}

impl PositionFile {
    /// Opens the file of the function called `name` in `folder` and returns its positions; none if the file does not
    /// exist.
    ///
    /// # Errors
    /// [`PositionsError`].
    pub fn open(folder: &Path, name: &str) -> Result<(Self, Vec<(ShardId, Position)>), PositionsError> {
        let path = folder.join(name).with_extension("json");
        let written: BTreeMap<String, String> = match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|_| PositionsError::Malformed(path.clone()))?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(cause) => return Err(PositionsError::Unreadable { path, cause }),
        };
        let parse = |(shard, position): (&String, &String)| {
            let position = match &position[..] {
                END => Position::End,
                digits => Position::After(Sequence::new(digits)?),
            };
            Some((ShardId::new(shard)?, position))
        };
        let positions: Option<Vec<_>> = written.iter().map(parse).collect();
        let positions = positions.ok_or_else(|| PositionsError::Malformed(path.clone()))?;
        Ok((Self { path, written }, positions))
    }

    /// Replaces the file atomically if a position has changed.
    ///
    /// # Errors
    /// The error of the operating system; the file is unchanged.
    pub fn save<'a>(
        &mut self,
        positions: impl Iterator<Item = (&'a ShardId, &'a Position)>,
    ) -> io::Result<()> {
        let texts = positions.filter_map(|(shard, position)| {
            let text = match position {
                Position::Oldest => return None,
                Position::After(sequence) => sequence.as_str().to_owned(),
                Position::End => END.to_owned(),
            };
            Some((shard.as_str().to_owned(), text))
        });
        let texts: BTreeMap<String, String> = texts.collect();
        if texts == self.written {
            return Ok(());
        }
        let temporary = self.path.with_extension("new");
        fs::write(&temporary, serde_json::to_vec(&texts)?)?;
        fs::rename(&temporary, &self.path)?;
        self.written = texts;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn saved_positions_are_read_again() {
        let folder = TempDir::new().unwrap();
        let (mut file, none) = PositionFile::open(folder.path(), "count").unwrap();
        assert!(none.is_empty());
        let positions = [
            (ShardId::numbered(0), Position::End),
            (ShardId::numbered(1), Position::After(Sequence::new("4959").unwrap())),
            (ShardId::numbered(2), Position::Oldest),
        ];
        file.save(positions.iter().map(|(shard, position)| (shard, position))).unwrap();
        let (_, read) = PositionFile::open(folder.path(), "count").unwrap();
        assert_eq!(read, positions[..2]);
        let (_, other) = PositionFile::open(folder.path(), "surge").unwrap();
        assert!(other.is_empty());
    }

    #[test]
    fn a_file_with_other_content_is_rejected() {
        let folder = TempDir::new().unwrap();
        for text in ["", "[]", r#"{"shard 1": "4"}"#, r#"{"shardId-1": "soon"}"#, r#"{"shardId-1": 4}"#] {
            fs::write(folder.path().join("count.json"), text).unwrap();
            let error = PositionFile::open(folder.path(), "count").unwrap_err();
            assert!(matches!(error, PositionsError::Malformed(_)), "{text}: {error}");
        }
    }
}
