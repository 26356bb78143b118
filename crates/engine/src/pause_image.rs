//! The built-in image `localhost/pause`: always there, never pulled.

use sandbar_image::{File, Home, ImageId, Reference, Settings, Store};

use crate::error::Error;

/// Its name.
pub(crate) const NAME: &str = "localhost/pause";

/// Makes sure that the image is in the store; returns its id.
pub(crate) fn ensure(store: &Store) -> Result<ImageId, Error> {
    let reference = Reference::parse(NAME, Home::Localhost)?;
    let settings = Settings {
        entrypoint: vec!["/pause".to_owned()],
        user: Some("65535:65535".to_owned()),
        ..Settings::default()
    };
    let pause = File { path: "pause", mode: 0o755, contents: sandbar_pause::ELF };
    Ok(store.put_files(&reference, &settings, &[pause])?)
}
