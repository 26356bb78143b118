//! What `RUN --mount` asks for, made ready.
//!
//! Files of the context or of an image are copied for the command, so that what it writes there is gone after it, and
//! `.dockerignore` holds. Secrets are in memory.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Gid, Mode, Timespec, Timestamps, UTIME_NOW, Uid};
use sandbar_engine::{ContainerOptions, Volume, VolumeSource};
use sandbar_image::Digest;
use sandbar_sys::During;

use crate::builder::Builder;
use crate::cache::Key;
use crate::canvas::Canvas;
use crate::copying::copy_all;
use crate::dockerfile::{MountKind, MountRequest, SharingMode};
use crate::error::{Error, Kind, Result};
use crate::ignore::Ignore;
use crate::selection::{Origin, Selection};
use crate::stage::Built;
use crate::tree::{Tree, split};
use crate::workspace::{base, lock, make_all};

/// The mounts of one `RUN`.
pub(super) struct Mounts {
    wanted: Vec<Wanted>,
    /// A script's path in the container, and what is in it.
    script: Option<(String, String)>,
}

struct Wanted {
    text: String,
    kind: MountKind,
    /// Absolute.
    target: String,
    /// The files of a bind mount, where they are not the context's.
    from: Option<Tree>,
}

impl Mounts {
    /// Reads what is asked for.
    pub(super) fn of(
        builder: &mut Builder<'_>,
        built: &Built,
        requests: &[String],
    ) -> Result<Self> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for text in requests {
            let text = builder.expand(built, text)?;
            let MountRequest { kind, target } = MountRequest::parse(&text)
                .map_err(|why| Error::new(Kind::Invalid, format!("RUN: {why}")))?;
            let from = match &kind {
                MountKind::Bind { from: Some(from), .. } => {
                    let layers = builder.source(from, built)?;
                    Some(layers.tree(&builder.store, &builder.work)?)
                }
                _ => None,
            };
            let target = built.config.absolute(&target);
            let is_variable =
                |kind: &MountKind| matches!(kind, MountKind::Secret { variable: Some(_), .. });
            let is_there = |other: &Wanted| other.target == target && !is_variable(&other.kind);
            if !is_variable(&kind) && wanted.iter().any(is_there) {
                let message = format!("RUN: two mounts are to be at {target}");
                return Err(Error::new(Kind::Invalid, message));
            }
            wanted.push(Wanted { text, kind, target, from });
        }
        Ok(Self { wanted, script: None })
    }

    /// Shows the command a script; gives its path.
    pub(super) fn add_script(&mut self, name: &str, content: &str) -> String {
        let path = format!("/dev/pipes/{}", split(name.as_bytes()).1.escape_ascii());
        self.script = Some((path.clone(), content.to_owned()));
        path
    }

    /// Adds what counts: of a secret and a cache only that it is there.
    pub(super) fn add_to(&self, builder: &Builder<'_>, key: &mut Key) -> Result<()> {
        for wanted in &self.wanted {
            key.add("mount", &wanted.text);
            if let MountKind::Bind { source, .. } = &wanted.kind {
                let files = wanted.files(builder, source)?;
                key.add_digest("files", |hash| files.digest(hash))?;
            }
        }
        if let Some((_, content)) = &self.script {
            key.add("script", content);
        }
        Ok(())
    }

    /// Makes them ready; what it gives keeps caches locked.
    pub(super) fn prepare(
        &self,
        builder: &Builder<'_>,
        options: &mut ContainerOptions,
    ) -> Result<Vec<OwnedFd>> {
        let mut held = Vec::new();
        if let Some((target, content)) = &self.script {
            let path = builder.work.new_path();
            write(&path, content.as_bytes(), 0o755, (0, 0))?;
            let source = VolumeSource::Path(path);
            let script = Volume { source, target: target.into(), read_only: true };
            options.volumes.push(script);
        }
        for wanted in &self.wanted {
            let (source, read_only) = match &wanted.kind {
                MountKind::Bind { source, writable, .. } => {
                    (VolumeSource::Path(wanted.copy(builder, source)?), !writable)
                }
                MountKind::Tmpfs { size } => {
                    let options = size.iter().map(|size| format!("size={size}")).collect();
                    (VolumeSource::Tmpfs(options), false)
                }
                MountKind::Cache { id, sharing, read_only, mode, owner } => {
                    let (path, lock) = cache(builder, id, *sharing, (*mode, *owner))?;
                    held.push(lock);
                    (VolumeSource::Path(path), *read_only)
                }
                MountKind::Secret { id, variable, required, mode, owner } => {
                    match (builder.request.secrets.get(id), variable) {
                        (Some(secret), Some(name)) => {
                            let value =
                                std::str::from_utf8(secret.bytes()).map_err(|_not_text| {
                                    let message = format!("RUN: the secret '{id}' is not UTF-8");
                                    Error::new(Kind::Invalid, message)
                                })?;
                            options.environment.push(format!("{name}={value}"));
                            continue;
                        }
                        (Some(secret), None) => {
                            let path = builder.work.secrets()?.join(held_name(id));
                            write(&path, secret.bytes(), *mode, *owner)?;
                            (VolumeSource::Path(path), true)
                        }
                        (None, _) if *required => {
                            let message = format!("RUN: the secret '{id}' is needed: --secret");
                            return Err(Error::new(Kind::NotFound, message));
                        }
                        (None, _) => continue,
                    }
                }
            };
            let target = PathBuf::from(&wanted.target);
            options.volumes.push(Volume { source, target, read_only });
        }
        Ok(held)
    }
}

impl Wanted {
    fn files<'a>(&'a self, builder: &'a Builder<'_>, source: &str) -> Result<Selection<'a>> {
        let origin = match &self.from {
            Some(tree) => Origin { tree, ignore: None, what: "where it is from", is_roots: false },
            None => builder.context.origin(),
        };
        let path = crate::selection::clean(source).join("/");
        origin
            .select(path.into_bytes(), &Ignore::default())
            .map_err(|error| error.within(format_args!("RUN --mount={}", self.text)))
    }

    /// A copy of the files: a directory, or the file that was asked for.
    fn copy(&self, builder: &Builder<'_>, source: &str) -> Result<PathBuf> {
        let files = self.files(builder, source)?;
        let place = crate::layers::upper(&builder.work)?;
        let mut canvas = Canvas::plain(&place)?;
        copy_all(&mut canvas, &files)?;
        canvas.finish()?;
        match files.is_directory() {
            true => Ok(place),
            false => Ok(place.join("file")),
        }
    }
}

/// A cache's directory, and what keeps it.
fn cache(
    builder: &Builder<'_>,
    id: &str,
    sharing: SharingMode,
    (mode, owner): (u32, (u32, u32)),
) -> Result<(PathBuf, OwnedFd)> {
    let all = base(builder.engine.roots()).join("caches");
    make_all(&all)?;
    let path = all.join(held_name(id));
    let operation = match sharing {
        SharingMode::Shared => FlockOperation::LockShared,
        SharingMode::Locked => FlockOperation::LockExclusive,
    };
    let held = lock(&path.with_extension("lock"), operation)?;
    let now = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    rustix::fs::futimens(&held, &now).during("utimensat", || path.display().to_string())?;
    if !path.is_dir() {
        make_all(&path)?;
        own(&path, mode, owner)?;
    }
    Ok((path, held))
}

/// What a file is called that stands for something with a name of any kind.
fn held_name(id: &str) -> String {
    Digest::of(id.as_bytes()).hex()
}

fn write(path: &Path, bytes: &[u8], mode: u32, owner: (u32, u32)) -> Result<()> {
    let words = || path.display().to_string();
    let _was_there = std::fs::remove_file(path);
    let file = std::fs::File::create_new(path).during("open", words)?;
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR).during("fchmod", words)?;
    std::io::Write::write_all(&mut &file, bytes).during("write", words)?;
    own(path, mode, owner)
}

fn own(path: &Path, mode: u32, (uid, gid): (u32, u32)) -> Result<()> {
    let words = || path.display().to_string();
    rustix::fs::chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .during("chown", words)?;
    rustix::fs::chmod(path, Mode::from_raw_mode(mode)).during("chmod", words)?;
    Ok(())
}
