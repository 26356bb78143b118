//! A directory of configurations, as libcni reads it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Configuration, Error, ErrorKind, Result,
    configuration::{More, Plugin, bad_file},
};

/// What a file may be, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `.conflist`
    List,
    /// `.conf` and `.json`: a list, or a single plugin with its network's name.
    Either,
}

pub(super) fn find(dir: &Path, name: Option<&str>) -> Result<Configuration> {
    let all = read_all(dir)?;
    let nothing = || {
        let what = name.map_or("a network".to_owned(), |name| format!("a network '{name}'"));
        let message = format!("{}: no file configures {what}", dir.display());
        Error::new(ErrorKind::NoConfiguration, message)
    };
    all.into_iter().find(|it| name.is_none_or(|name| it.name == name)).ok_or_else(nothing)
}

/// All networks of a directory, in the order of their files' names.
fn read_all(dir: &Path) -> Result<Vec<Configuration>> {
    let mut found: Vec<(PathBuf, Configuration)> = Vec::new();
    for file in files(dir, &["conflist", "conf", "json"])? {
        let configuration = read(dir, &file)?;
        if let Some((other, _)) = found.iter().find(|(_, it)| it.name == configuration.name) {
            let name = configuration.name;
            let message = format!("name: '{name}' is configured by {}, too", other.display());
            return Err(bad_file(&file, message));
        }
        found.push((file, configuration));
    }
    Ok(found.into_iter().map(|(_, configuration)| configuration).collect())
}

fn read(dir: &Path, file: &Path) -> Result<Configuration> {
    let form = match file.extension().is_some_and(|it| it == "conflist") {
        true => Form::List,
        false => Form::Either,
    };
    let unfinished = Configuration::parse(&contents(file)?, form, file)?;
    let mut configuration = unfinished.configuration;
    if unfinished.more == More::InFolder {
        let folder = dir.join(&configuration.name);
        if folder.is_dir() {
            for file in files(&folder, &["conf"])? {
                configuration.plugins.push(Plugin::parse(&contents(&file)?, &file)?);
            }
        }
        if configuration.plugins.is_empty() {
            let why = format!("plugins: missing, and there are none in {}", folder.display());
            return Err(bad_file(file, why));
        }
    }
    Ok(configuration)
}

/// The files of a directory with one of these extensions, in order of their names.
fn files(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::system(format!("read the directory {}", dir.display()), error);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("{}: no such directory", dir.display());
            return Err(Error::new(ErrorKind::NoConfiguration, message));
        }
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|it| it.to_str());
        if extension.is_some_and(|it| extensions.contains(&it)) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn contents(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| Error::system(format!("read {}", file.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cni::Version;

    fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        dir
    }

    const A: &str = r#"{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge"}]}"#;
    const B: &str = r#"{"cniVersion":"0.3.1","name":"b","type":"bridge","x":{"y":[1,null]}}"#;

    #[test]
    fn the_first_by_file_name_is_the_default_and_others_are_found_by_name() {
        let dir = dir(&[("20-a.conflist", A), ("10-b.conf", B), ("00-readme.txt", "no")]);
        assert_eq!(Configuration::find(dir.path(), None).unwrap().name(), "b");
        let a = Configuration::find(dir.path(), Some("a")).unwrap();
        assert_eq!(a.version(), Version::V1_0_0);
        let error = Configuration::find(dir.path(), Some("c")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoConfiguration);
        assert!(error.to_string().ends_with("no file configures a network 'c'"), "{error}");
    }

    #[test]
    fn a_directory_without_configurations_is_told() {
        let empty = tempfile::tempdir().unwrap();
        for dir in [empty.path().to_owned(), empty.path().join("none")] {
            let error = Configuration::find(&dir, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoConfiguration, "{error}");
        }
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let dir = dir(&[("b.json", B)]);
        let b = Configuration::find(dir.path(), None).unwrap();
        assert_eq!(b.plugins[0].keys["x"], serde_json::json!({"y": [1, null]}));
        assert_eq!(Configuration::from_value(b.to_value()).unwrap(), b);
    }

    #[test]
    fn plugins_of_the_networks_folder_follow_those_of_the_list() {
        let list = r#"{"cniVersion":"1.1.0","name":"a","plugins":[{"type":"one"}]}"#;
        let none = r#"{"cniVersion":"1.1.0","name":"b"}"#;
        let only = r#"{"cniVersion":"1.1.0","name":"c","plugins":[{"type":"one"}],
                       "loadOnlyInlinedPlugins":true}"#;
        let dir = dir(&[
            ("a.conflist", list),
            ("a/2.conf", r#"{"type":"three"}"#),
            ("a/1.conf", r#"{"type":"two"}"#),
            ("a/3.conflist", "no"),
            ("b.conflist", none),
            ("b/1.conf", r#"{"type":"four"}"#),
            ("c.conflist", only),
            ("c/1.conf", r#"{"type":"five"}"#),
        ]);
        let programs = |name| -> Vec<String> {
            let found = Configuration::find(dir.path(), Some(name)).unwrap();
            found.plugins.into_iter().map(|plugin| plugin.program).collect()
        };
        assert_eq!(programs("a"), ["one", "two", "three"]);
        assert_eq!(programs("b"), ["four"]);
        assert_eq!(programs("c"), ["one"]);
    }

    #[test]
    fn the_highest_known_of_several_versions_is_spoken() {
        for (keys, version) in [
            (r#""cniVersion":"0.3.1","cniVersions":["0.4.0","1.0.0","9.0.0"]"#, Version::V1_0_0),
            (r#""cniVersions":["0.1.0","0.3.0"]"#, Version::V0_3_0),
            (r#""cniVersion":"1.1.0","cniVersions":[]"#, Version::V1_1_0),
        ] {
            let dir = dir(&[("a.conf", &format!(r#"{{"name":"a","type":"x",{keys}}}"#))]);
            assert_eq!(Configuration::find(dir.path(), None).unwrap().version(), version);
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_file_and_field() {
        let list = |plugins: &str| format!(r#"{{"cniVersion":"1.0.0","name":"a",{plugins}}}"#);
        for (text, words) in [
            ("{".to_owned(), "not JSON"),
            ("[]".to_owned(), "not a JSON object"),
            (r#"{"cniVersion":"1.0.0","plugins":[]}"#.to_owned(), "name: missing"),
            (r#"{"name":7}"#.to_owned(), "name: not a string"),
            (r#"{"name":"a/b"}"#.to_owned(), "name: 'a/b' is not a letter"),
            (r#"{"name":"a"}"#.to_owned(), "cniVersion: missing"),
            (r#"{"name":"a","cniVersion":"0.2.0"}"#.to_owned(), "cniVersion: '0.2.0' is not one"),
            (r#"{"name":"a","cniVersions":["9"]}"#.to_owned(), "cniVersions: has none"),
            (r#"{"name":"a","cniVersions":[9]}"#.to_owned(), "cniVersions: not a list of"),
            (list(r#""plugins":[]"#), "plugins: empty"),
            (list(r#""plugins":{}"#), "plugins: not a list"),
            (list(r#""disableGC":false"#), "plugins: missing, and there are none in"),
            (list(r#""loadOnlyInlinedPlugins":true"#), "plugins: missing"),
            (list(r#""plugins":[1]"#), "plugins[0]: not an object"),
            (list(r#""plugins":[{"type":"x"},{}]"#), "plugins[1].type: missing"),
            (list(r#""plugins":[{"type":"../x"}]"#), "plugins[0].type: '../x' is not the bare"),
            (list(r#""plugins":[{"type":"x","prevResult":{}}]"#), "plugins[0].prevResult: is for"),
            (list(r#""plugins":[{"type":"x","cni.dev/y":{}}]"#), "plugins[0].cni.dev/y: is for"),
            (
                list(r#""plugins":[{"type":"x","capabilities":{"ips":1}}]"#),
                "plugins[0].capabilities.ips: neither true nor false",
            ),
            (list(r#""plugins":[{"type":"x","capabilities":[]}]"#), "capabilities: not an object"),
            (list(r#""disableCheck":"x","plugins":[{"type":"x"}]"#), "disableCheck: neither"),
        ] {
            let dir = dir(&[("10-x.conflist", &text)]);
            let error = Configuration::find(dir.path(), None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadConfiguration, "{text}");
            let message = error.to_string();
            assert!(message.contains("10-x.conflist: "), "{message}");
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn two_networks_of_one_name_are_refused() {
        let dir = dir(&[("1.conflist", A), ("2.conflist", A)]);
        let error = Configuration::find(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("2.conflist: name: 'a' is configured by"), "{error}");
    }

    #[test]
    fn a_single_plugin_is_no_list() {
        let dir = dir(&[("b.conflist", B)]);
        let error = Configuration::find(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("plugins: missing"), "{error}");
    }
}
