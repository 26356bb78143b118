//! `--volume`: a directory or a file of the host, or a volume of Sandbar's own, at a path of the container.

use std::path::PathBuf;
use std::str::FromStr;

use sandbar_spec::Invalid;

use super::target;

/// `SOURCE:PATH[:OPTION,…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeArgument {
    pub(crate) source: VolumeFrom,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
    /// `z` or `Z`: the files are to get a label of SELinux's.
    pub(crate) relabel: bool,
}

/// Where a volume comes from, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VolumeFrom {
    /// A path of the host, perhaps relative.
    Path(PathBuf),
    /// A volume's name.
    Named(String),
}

impl FromStr for VolumeArgument {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason: &str| Invalid::new("volume", text, reason);
        let parts: Vec<&str> = text.split(':').collect();
        let (source, path, options) = match parts[..] {
            [_] => {
                let reason = "a volume without a name is not supported: write NAME:PATH";
                return Err(wrong(reason));
            }
            [source, path] => (source, path, ""),
            [source, path, options] => (source, path, options),
            _ => return Err(wrong("SOURCE:PATH[:OPTIONS] is needed")),
        };
        let mut volume = Self {
            source: from(source).map_err(wrong)?,
            target: target("volume", text, path)?,
            read_only: false,
            relabel: false,
        };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => volume.read_only = true,
                "rw" => volume.read_only = false,
                "z" | "Z" => volume.relabel = true,
                _ => {
                    let reason = format!("'{option}' is not supported: ro, rw, z and Z are");
                    return Err(wrong(&reason));
                }
            }
        }
        Ok(volume)
    }
}

/// A path begins with `/` or `.`; all else is a name.
fn from(source: &str) -> Result<VolumeFrom, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if source.is_empty() {
        Err("a source is needed before the ':'")
    } else if source.starts_with(['/', '.']) {
        Ok(VolumeFrom::Path(source.into()))
    } else if source.contains('/') {
        Err("a relative path must begin with './'")
    } else if !source.starts_with(|first: char| first.is_ascii_alphanumeric())
        || !source.bytes().all(allowed)
    {
        Err("a volume's name has letters, digits, '_', '.' and '-' alone")
    } else {
        Ok(VolumeFrom::Named(source.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_volume_is_a_path_or_a_name() {
        for (text, source) in [
            ("/srv:/data", VolumeFrom::Path("/srv".into())),
            ("./x:/data", VolumeFrom::Path("./x".into())),
            ("../x:/data", VolumeFrom::Path("../x".into())),
            (".:/data", VolumeFrom::Path(".".into())),
            ("db:/data", VolumeFrom::Named("db".into())),
        ] {
            let volume: VolumeArgument = text.parse().unwrap();
            assert_eq!((volume.source, volume.target.as_path()), (source, Path::new("/data")));
            assert!(!volume.read_only && !volume.relabel, "{text}");
        }
    }

    #[test]
    fn options_are_known_or_refused() {
        let volume = |text: &str| text.parse::<VolumeArgument>();
        assert!(volume("/a:/b:ro").unwrap().read_only);
        assert!(!volume("/a:/b:rw").unwrap().read_only);
        assert!(volume("/a:/b:ro,z").unwrap().relabel);
        let error = volume("/a:/b:rshared").unwrap_err().to_string();
        assert_eq!(
            error,
            "volume '/a:/b:rshared': 'rshared' is not supported: ro, rw, z and Z are"
        );
    }

    #[test]
    fn what_makes_no_volume_says_why() {
        for (bad, reason) in [
            ("/data", "without a name"),
            ("a/b:/data", "must begin with './'"),
            ("a b:/data", "letters"),
            (":/data", "source"),
            ("/a:data", "absolute"),
            ("/a:/", "root directory"),
            ("/a:", "absolute"),
            ("/a:/b:ro:z", "SOURCE:PATH"),
        ] {
            let error = bad.parse::<VolumeArgument>().unwrap_err().to_string();
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }
}
