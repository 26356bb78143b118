//! `RUN --mount=…` ([reference](https://docs.docker.com/reference/dockerfile/#run---mount)).

/// A mount of one `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountRequest {
    pub(crate) kind: MountKind,
    /// Where it is in the container.
    pub(crate) target: String,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MountKind {
    /// A directory that later builds find again.
    Cache { id: String, sharing: SharingMode, read_only: bool, mode: u32, owner: (u32, u32) },
    /// Files of the context, a stage or an image.
    Bind { from: Option<String>, source: String, writable: bool },
    /// Memory.
    Tmpfs { size: Option<String> },
    /// A file that is in no layer, or with a name a variable that is in no layer's history.
    Secret { id: String, variable: Option<String>, required: bool, mode: u32, owner: (u32, u32) },
}

/// What happens when two use one cache at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SharingMode {
    /// Both do.
    Shared,
    /// The second waits. What `private` asks for is had by it too: one at a time.
    Locked,
}

impl MountRequest {
    /// Reads `type=cache,target=/x,…`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut fields = Fields::of(text)?;
        let kind = fields.take(&["type"]).unwrap_or_else(|| "bind".to_owned());
        let target = fields.take(&["target", "dst", "destination"]);
        let needed = || format!("--mount={text}: target= is needed");
        let request = match kind.as_str() {
            "cache" => {
                if fields.take(&["from"]).is_some() || fields.take(&["source"]).is_some() {
                    return Err(format!(
                        "--mount={text}: a cache begins empty, from= is not known"
                    ));
                }
                let target = target.ok_or_else(needed)?;
                let sharing = match fields.take(&["sharing"]).as_deref() {
                    None | Some("shared") => SharingMode::Shared,
                    Some("locked" | "private") => SharingMode::Locked,
                    Some(other) => {
                        return Err(format!("--mount={text}: sharing={other} is not known"));
                    }
                };
                let kind = MountKind::Cache {
                    id: fields.take(&["id"]).unwrap_or_else(|| target.clone()),
                    sharing,
                    read_only: fields.truth(&["ro", "readonly"])?,
                    mode: fields.octal("mode", 0o755)?,
                    owner: fields.owner()?,
                };
                Self { kind, target }
            }
            "bind" => {
                let from = fields.take(&["from"]);
                let source = fields.take(&["source", "src"]).unwrap_or_else(|| "/".to_owned());
                let read_only = fields.truth(&["ro", "readonly"])?;
                let writable = fields.truth(&["rw", "readwrite"])? && !read_only;
                // Else the working directory.
                let target = target.unwrap_or_else(|| ".".to_owned());
                Self { kind: MountKind::Bind { from, source, writable }, target }
            }
            "tmpfs" => {
                let kind = MountKind::Tmpfs { size: fields.take(&["size"]) };
                Self { kind, target: target.ok_or_else(needed)? }
            }
            "secret" => {
                let (id, asked) = (fields.take(&["id"]), target.is_some());
                let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
                let id = id.or_else(|| target.as_deref().map(base));
                let id = id.filter(|id| !id.is_empty());
                let id = id.ok_or_else(|| format!("--mount={text}: id= is needed"))?;
                let target = target.unwrap_or_else(|| format!("/run/secrets/{id}"));
                let variable = fields.take(&["env"]);
                if variable.is_some() && asked {
                    return Err(format!("--mount={text}: a secret is a file or a variable"));
                }
                let kind = MountKind::Secret {
                    id,
                    variable,
                    required: fields.truth(&["required"])?,
                    mode: fields.octal("mode", 0o400)?,
                    owner: fields.owner()?,
                };
                Self { kind, target }
            }
            other => {
                let known = "bind, cache, tmpfs and secret are known";
                return Err(format!("--mount={text}: type={other} is not supported: {known}"));
            }
        };
        fields.end(text)?;
        Ok(request)
    }
}

struct Fields(Vec<(String, Option<String>)>);

impl Fields {
    fn of(text: &str) -> Result<Self, String> {
        let field = |field: &str| match field.split_once('=') {
            Some((name, value)) => (name.to_ascii_lowercase(), Some(value.to_owned())),
            None => (field.to_ascii_lowercase(), None),
        };
        let fields: Vec<_> = text.split(',').map(field).collect();
        for (index, (name, _)) in fields.iter().enumerate() {
            if fields.iter().take(index).any(|(other, _)| other == name) {
                return Err(format!("--mount={text}: {name} is there twice"));
            }
        }
        Ok(Self(fields))
    }

    fn raw(&mut self, names: &[&str]) -> Option<Option<String>> {
        let place = self.0.iter().position(|(name, _)| names.contains(&name.as_str()))?;
        Some(self.0.remove(place).1)
    }

    fn take(&mut self, names: &[&str]) -> Option<String> {
        self.raw(names).flatten().filter(|value| !value.is_empty())
    }

    fn truth(&mut self, names: &[&str]) -> Result<bool, String> {
        match self.raw(names) {
            None => Ok(false),
            Some(None) => Ok(true),
            Some(Some(value)) => match value.as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                other => Err(format!("'{other}' is neither true nor false")),
            },
        }
    }

    fn octal(&mut self, name: &str, usual: u32) -> Result<u32, String> {
        let Some(text) = self.take(&[name]) else { return Ok(usual) };
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
        mode.ok_or_else(|| format!("{name}={text}: an octal mode is needed, as in 0600"))
    }

    fn owner(&mut self) -> Result<(u32, u32), String> {
        let mut number = |name: &str| match self.take(&[name]) {
            None => Ok(0),
            Some(text) => {
                text.parse().map_err(|_no_number| format!("{name}={text}: a number is needed"))
            }
        };
        Ok((number("uid")?, number("gid")?))
    }

    fn end(self, text: &str) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("--mount={text}: {name} is not known")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_have_their_defaults() {
        let cache = MountRequest::parse("type=cache,target=/x").unwrap();
        assert!(
            matches!(&cache.kind, MountKind::Cache { id, sharing: SharingMode::Shared, .. } if id == "/x")
        );
        let secret = MountRequest::parse("type=secret,id=key").unwrap();
        assert_eq!(secret.target, "/run/secrets/key");
        assert!(matches!(secret.kind, MountKind::Secret { mode: 0o400, required: false, .. }));
        let bind = MountRequest::parse("target=/src,rw").unwrap();
        assert!(matches!(bind.kind, MountKind::Bind { writable: true, from: None, .. }));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "type=ssh",
            "type=cache",
            "type=bind,target=/x,colour=red",
            "type=tmpfs,target=/x,target=/y",
            "type=secret",
            "type=cache,target=/x,sharing=none",
            "type=cache,target=/x,mode=9",
            "type=cache,target=/x,from=y",
        ] {
            assert!(MountRequest::parse(text).is_err(), "{text}");
        }
    }
}
