//! Images made here: from a root filesystem's archive, or from a few files.

mod files;
mod import;
mod settings;

pub use files::File;
pub use settings::Settings;
