//! Root filesystems, made of programs of this machine, as archives.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

/// A root filesystem being made. Paths are relative to its root.
pub struct Rootfs {
    archive: Builder<Vec<u8>>,
    directories: BTreeSet<PathBuf>,
}

impl std::fmt::Debug for Rootfs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rootfs").finish_non_exhaustive()
    }
}

impl Default for Rootfs {
    fn default() -> Self {
        Self::new()
    }
}

/// The users of all.
const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
alice:x:1000:1000:Alice:/home/alice:/bin/sh
2000:x:3000:3000:a name that is a number:/:/bin/sh
";
const GROUP: &str = "\
root:x:0:
wheel:x:10:root,alice
www-data:x:33:
staff:x:50:alice
alice:x:1000:
nogroup:x:65534:
";

impl Rootfs {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { archive: Builder::new(Vec::new()), directories: BTreeSet::new() }
    }

    /// One with busybox, all its names, and some users.
    ///
    /// # Panics
    /// If there is no busybox.
    #[must_use]
    pub fn busybox() -> Self {
        let mut made = Self::new().users().directory("tmp", 0o1777).directory("home/alice", 0o755);
        let program = fs::read("/bin/busybox").expect("/bin/busybox");
        made = made.file("bin/busybox", 0o755, &program);
        let list = std::process::Command::new("/bin/busybox").arg("--list").output();
        let list = list.expect("busybox").stdout;
        for name in String::from_utf8_lossy(&list).lines().filter(|name| *name != "busybox") {
            made = made.link(&format!("bin/{name}"), "/bin/busybox");
        }
        made
    }

    /// One with nginx, the libraries that it needs, and its usual directories.
    ///
    /// # Panics
    /// If there is no nginx.
    #[must_use]
    pub fn nginx() -> Self {
        let mut made = Self::new().users().directory("tmp", 0o1777).with_program("/usr/sbin/nginx");
        for directory in ["var/log/nginx", "var/lib/nginx", "run", "proc", "sys", "dev"] {
            made = made.directory(directory, 0o755);
        }
        let usual = b"events {}\nhttp { server { listen 80; return 200 \"nginx\\n\"; } }\n";
        made.file("etc/nginx/nginx.conf", 0o644, usual)
    }

    /// With users, groups and root's home.
    #[must_use]
    fn users(self) -> Self {
        self.file("etc/passwd", 0o644, PASSWD.as_bytes())
            .file("etc/group", 0o644, GROUP.as_bytes())
            .directory("root", 0o700)
    }

    /// With a program of this machine at its own path, and the libraries that it is linked with.
    ///
    /// # Panics
    /// If there is no such program.
    #[must_use]
    pub fn with_program(mut self, path: &str) -> Self {
        self = self.copy(path);
        let list = std::process::Command::new("ldd").arg(path).output().expect("ldd").stdout;
        for library in String::from_utf8_lossy(&list).split_whitespace() {
            if library.starts_with('/') {
                self = self.copy(library);
            }
        }
        self
    }

    /// With a file of this machine at its own path.
    fn copy(self, path: &str) -> Self {
        let content = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        self.file(path.trim_start_matches('/'), 0o755, &content)
    }

    /// With a directory, and those above it.
    #[must_use]
    pub fn directory(mut self, path: &str, mode: u32) -> Self {
        self.parents(Path::new(path));
        self.directories.insert(path.into());
        self.add(EntryType::Directory, path, mode, &[], None)
    }

    /// With a file.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, content: &[u8]) -> Self {
        self.parents(Path::new(path));
        self.add(EntryType::Regular, path, mode, content, None)
    }

    /// With a file at a path that no honest tool would write, and without the directories above it.
    ///
    /// # Panics
    /// If the path has more than 100 bytes.
    #[must_use]
    pub fn raw_file(mut self, path: &str, content: &[u8]) -> Self {
        let mut header = header(EntryType::Regular, 0o644, content.len());
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        self.archive.append(&header, content).expect("an archive in memory");
        self
    }

    /// With a symbolic link.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.parents(Path::new(path));
        self.add(EntryType::Symlink, path, 0o777, &[], Some(target))
    }

    /// With a FIFO.
    #[must_use]
    pub fn fifo(mut self, path: &str) -> Self {
        self.parents(Path::new(path));
        self.add(EntryType::Fifo, path, 0o666, &[], None)
    }

    /// The archive.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn into_archive(self) -> Vec<u8> {
        self.archive.into_inner().expect("an archive in memory")
    }

    fn parents(&mut self, path: &Path) {
        let above: Vec<_> = path.ancestors().skip(1).filter(|it| *it != Path::new("")).collect();
        for directory in above.into_iter().rev() {
            if self.directories.insert(directory.to_owned()) {
                let header = header(EntryType::Directory, 0o755, 0);
                append(&mut self.archive, header, directory, &[], None);
            }
        }
    }

    fn add(
        mut self,
        kind: EntryType,
        path: &str,
        mode: u32,
        content: &[u8],
        target: Option<&str>,
    ) -> Self {
        let header = header(kind, mode, content.len());
        append(&mut self.archive, header, Path::new(path), content, target);
        self
    }
}

fn header(kind: EntryType, mode: u32, length: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(u64::try_from(length).expect("a length"));
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn append(
    archive: &mut Builder<Vec<u8>>,
    mut header: Header,
    path: &Path,
    content: &[u8],
    target: Option<&str>,
) {
    let done = match target {
        Some(target) => archive.append_link(&mut header, path, target),
        None => archive.append_data(&mut header, path, content),
    };
    done.expect("an archive in memory");
}
