//! How far each shard is done, kept in a file: what Lambda keeps for its mappings.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::record::Position;
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_lambda::kinesis::record::ShardId;
use thiserror::Error;

/// What stands for a shard that is closed and done.
const END: &str = "end";

/// The file cannot be used.
#[derive(Debug, Error)]
pub enum PositionsError {
    /// It cannot be read.
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// It holds something else.
    #[error("{}: not positions of shards; without the file every shard begins at its oldest record", .0.display())]
    Foreign(PathBuf),
}

/// Positions in a file, and what was written to it last.
#[derive(Debug)]
pub struct PositionFile {
    path: PathBuf,
    written: BTreeMap<String, String>,
}

impl PositionFile {
    /// The file of the function called `name` in `folder`, and what it holds; nothing where there is none.
    ///
    /// # Errors
    /// [`PositionsError`].
    pub fn open(folder: &Path, name: &str) -> Result<(Self, Vec<(ShardId, Position)>), PositionsError> {
        let path = folder.join(name).with_extension("json");
        let written: BTreeMap<String, String> = match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|_| PositionsError::Foreign(path.clone()))?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(cause) => return Err(PositionsError::Unreadable { path, cause }),
        };
        let read = |(shard, position): (&String, &String)| {
            let position = match &position[..] {
                END => Position::End,
                digits => Position::After(Sequence::new(digits)?),
            };
            Some((ShardId::new(shard)?, position))
        };
        let positions: Option<Vec<_>> = written.iter().map(read).collect();
        let positions = positions.ok_or_else(|| PositionsError::Foreign(path.clone()))?;
        Ok((Self { path, written }, positions))
    }

    /// Writes the positions, all or none of them, where one has changed.
    ///
    /// # Errors
    /// What the system says; the file is as it was.
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
        let beside = self.path.with_extension("new");
        fs::write(&beside, serde_json::to_vec(&texts)?)?;
        fs::rename(&beside, &self.path)?;
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
    fn what_was_saved_is_found_again() {
        let folder = TempDir::new().unwrap();
        let (mut file, none) = PositionFile::open(folder.path(), "count").unwrap();
        assert!(none.is_empty());
        let positions = [
            (ShardId::numbered(0), Position::End),
            (ShardId::numbered(1), Position::After(Sequence::new("4959").unwrap())),
            (ShardId::numbered(2), Position::Oldest),
        ];
        file.save(positions.iter().map(|(shard, position)| (shard, position))).unwrap();
        let (_, found) = PositionFile::open(folder.path(), "count").unwrap();
        assert_eq!(found, positions[..2]);
        let (_, other) = PositionFile::open(folder.path(), "surge").unwrap();
        assert!(other.is_empty());
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let folder = TempDir::new().unwrap();
        for text in ["", "[]", r#"{"shard 1": "4"}"#, r#"{"shardId-1": "soon"}"#, r#"{"shardId-1": 4}"#] {
            fs::write(folder.path().join("count.json"), text).unwrap();
            let refused = PositionFile::open(folder.path(), "count").unwrap_err();
            assert!(matches!(refused, PositionsError::Foreign(_)), "{text}: {refused}");
        }
    }
}
