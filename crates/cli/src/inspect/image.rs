//! An image, as `docker image inspect` shows one.

use sandbar_image::{Image, Reference};
use serde_json::{Value, json};

/// All there is to know of an image with these names.
pub(crate) fn image(image: &Image, references: &[Reference]) -> Result<Value, serde_json::Error> {
    let (tags, digests): (Vec<_>, Vec<_>) =
        references.iter().partition(|reference| reference.digest().is_none());
    let names = |list: Vec<&Reference>| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(json!({
        "Id": image.id,
        "RepoTags": names(tags),
        "RepoDigests": names(digests),
        "Created": image.created,
        "Architecture": image.config.architecture().to_string(),
        "Os": image.config.os().to_string(),
        "Size": image.size,
        "Config": serde_json::to_value(image.config.config())?,
        "RootFS": { "Type": "layers", "Layers": image.config.rootfs().diff_ids() },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbar_image::{File, Home, Settings, Store};

    #[test]
    fn the_shape_is_dockers() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let name = Reference::parse("tiny", Home::Localhost).unwrap();
        let settings = Settings { cmd: vec!["/hello".into()], ..Settings::default() };
        let file = File { path: "/hello", mode: 0o755, contents: b"hello" };
        let id = store.put_files(&name, &settings, &[file]).unwrap();
        let found = store.find("tiny").unwrap();
        let it = image(&found, &[name]).unwrap();
        assert_eq!(it["Id"], id.to_string());
        assert_eq!(it["RepoTags"], json!(["localhost/tiny:latest"]));
        assert_eq!(it["Config"]["Cmd"], json!(["/hello"]));
        assert_eq!(it["Os"], "linux");
        assert_eq!(it["RootFS"]["Layers"].as_array().unwrap().len(), 1);
    }
}
