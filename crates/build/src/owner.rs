//! `--chown` and `USER`: whose something is, by the names of the image itself.

use crate::error::{Error, Kind, Result};
use crate::tree::Tree;

/// The ids of `USER[:GROUP]`, as `/etc/passwd` and `/etc/group` in the tree have them. A user without a group has
/// that of `/etc/passwd`, a number without one the same number.
pub(crate) fn resolve(text: &str, tree: &Tree) -> Result<(u32, u32)> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (uid, gid) = match user.parse() {
        Ok(uid) => (uid, uid),
        Err(_) => {
            let line = find(tree, "etc/passwd", user)?;
            (number(&line, 2, text)?, number(&line, 3, text)?)
        }
    };
    let gid = match group {
        None => gid,
        Some(group) => match group.parse() {
            Ok(gid) => gid,
            Err(_) => number(&find(tree, "etc/group", group)?, 2, text)?,
        },
    };
    Ok((uid, gid))
}

/// The fields of the line that begins with a name.
fn find(tree: &Tree, file: &str, name: &str) -> Result<Vec<String>> {
    let bytes = tree.read(file.as_bytes())?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect());
    lines.find(|fields: &Vec<String>| fields.first().is_some_and(|it| it == name)).ok_or_else(
        || Error::new(Kind::NotFound, format!("'{name}' is not in the image's /{file}")),
    )
}

fn number(fields: &[String], at: usize, text: &str) -> Result<u32> {
    fields
        .get(at)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| Error::new(Kind::Invalid, format!("'{text}': the image gives it no number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_images() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("etc")).unwrap();
        std::fs::write(directory.path().join("etc/passwd"), "a:x:7:8::/:\n9:x:1:1::/:\n").unwrap();
        std::fs::write(directory.path().join("etc/group"), "g:x:5:\n").unwrap();
        let tree = Tree::at(directory.path()).unwrap();
        for (text, ids) in [("a", (7, 8)), ("a:g", (7, 5)), ("9", (9, 9)), ("3:4", (3, 4))] {
            assert_eq!(resolve(text, &tree).unwrap(), ids, "{text}");
        }
        for text in ["b", "a:b", "", ":g"] {
            assert!(resolve(text, &tree).is_err(), "{text}");
        }
    }
}
