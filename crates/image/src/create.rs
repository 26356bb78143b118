//! Images made here: from a root filesystem's archive, from a few files, or from another image and what was changed.

mod changes;
mod extend;
mod files;
mod import;
mod layer;
mod settings;

pub use changes::Changes;
pub use files::File;
pub use settings::Settings;
