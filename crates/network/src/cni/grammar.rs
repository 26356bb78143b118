//! Names, as the specification lets them be.

/// A network's name or a container's id: begins with a letter or digit; letters, digits, `_`, `.` and `-` follow.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let first = name.bytes().next().ok_or("empty")?;
    let follows = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if first.is_ascii_alphanumeric() && name.bytes().all(follows) {
        Ok(())
    } else {
        Err(format!("'{name}' is not a letter or digit, then letters, digits, '_', '.' or '-'"))
    }
}

/// A plugin's `type`: the name of a file, and never a path.
pub(super) fn check_type(name: &str) -> Result<(), String> {
    if name.is_empty() {
        Err("empty".to_owned())
    } else if matches!(name, "." | "..") || name.contains(['/', '\\', '\0']) {
        Err(format!("'{name}' is not the bare name of a program"))
    } else {
        Ok(())
    }
}

/// An interface's name, as Linux has it (`dev_valid_name`).
pub(super) fn check_interface(name: &str) -> Result<(), String> {
    let bad = |c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace();
    if name.is_empty() || name.len() > 15 {
        Err(format!("'{name}' is not 1 to 15 bytes"))
    } else if matches!(name, "." | "..") || name.contains(bad) {
        Err(format!("'{name}' is not a name that an interface can have"))
    } else {
        Ok(())
    }
}

/// A key and a value of `CNI_ARGS`, which separates pairs with `;`.
pub(super) fn check_argument((key, value): &(String, String)) -> Result<(), String> {
    let bad = |c: char| c == ';' || c == '\0';
    if key.is_empty() || key.contains('=') || key.contains(bad) || value.contains(bad) {
        Err(format!("'{key}={value}' can't be told apart from its neighbours in CNI_ARGS"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names_that_begin_with_a_letter_or_digit() {
        for name in ["a", "0", "web-1_x.y", "k8s-pod-network"] {
            check_name(name).unwrap();
        }
        for name in ["", ".", "..", "-a", "_a", "a/b", "a b", "a:b", "é", "a\0"] {
            check_name(name).unwrap_err();
        }
    }

    #[test]
    fn types_are_bare_names() {
        check_type("host-local").unwrap();
        for name in ["", ".", "..", "/bin/sh", "../sh", "a/b", "a\\b", "a\0b"] {
            check_type(name).unwrap_err();
        }
    }

    #[test]
    fn interfaces_are_as_linux_names_them() {
        check_interface("eth0").unwrap();
        check_interface("fifteen-letters").unwrap();
        for name in ["", "sixteen--letters", ".", "..", "a/b", "a:b", "a b", "a\tb"] {
            check_interface(name).unwrap_err();
        }
    }

    #[test]
    fn arguments_are_pairs() {
        let pair = |key: &str, value: &str| check_argument(&(key.to_owned(), value.to_owned()));
        pair("IgnoreUnknown", "1").unwrap();
        pair("K", "a=b").unwrap();
        for (key, value) in [("", "1"), ("a=b", "1"), ("a;b", "1"), ("a", "1;b=2"), ("a", "\0")] {
            pair(key, value).unwrap_err();
        }
    }
}
