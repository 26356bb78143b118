//! Listing images.

use super::Store;
use crate::error::Result;
use crate::image::{Summary, created};

impl Store {
    /// All images, the newest first. Takes no lock, and so answers whatever others do.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    pub fn list(&self) -> Result<Vec<Summary>> {
        let references = self.all_references()?;
        let mut list = Vec::new();
        for id in self.ids()? {
            let summary = self.record(&id).and_then(|record| match record {
                Some(record) => Ok(Some((record.size, created(&self.config(&id)?)))),
                None => Ok(None),
            });
            let (size, created) = match summary {
                Ok(Some(known)) => known,
                Ok(None) => continue,
                // Removed between two looks at it.
                Err(_) if self.record(&id)?.is_none() => continue,
                Err(error) => return Err(error),
            };
            let mine = references.iter().filter(|(_, to)| *to == id);
            let references = mine.map(|(reference, _)| reference.clone()).collect();
            list.push(Summary { id, references, size, created });
        }
        list.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(list)
    }
}
