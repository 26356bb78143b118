//! Files and directories that appear under their names whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

/// A file that is being written. Dropped without [`WholeFile::keep`] it is gone, and what was there is there still.
#[derive(Debug)]
pub(crate) struct WholeFile {
    /// Where to write.
    pub(crate) file: File,
    target: PathBuf,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// It has no name yet, and so leaves nothing behind even if the process is killed.
    Nameless,
    /// It has a name of its own.
    Beside(PathBuf),
    /// It is no file, and written to as it is.
    Special,
}

impl WholeFile {
    /// Begins a file that only its owner can read: images have secrets now and then.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        // Through a link, what it leads to is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&target) {
            Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(metadata) if !metadata.is_file() => {
                let file = OpenOptions::new().write(true).open(&target)?;
                return Ok(Self { file, target, stage: Stage::Special });
            }
            _ => {}
        }
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::open(parent(&target), flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Self { file: fd.into(), target, stage: Stage::Nameless }),
            // Not every file system has files without names.
            Err(_) => {
                let beside = beside(&target);
                let mut options = OpenOptions::new();
                let file = options.write(true).create_new(true).mode(0o600).open(&beside)?;
                Ok(Self { file, target, stage: Stage::Beside(beside) })
            }
        }
    }

    /// Gives it its name, when all is written.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        if matches!(self.stage, Stage::Special) {
            return Ok(());
        }
        self.file.sync_all()?;
        if matches!(self.stage, Stage::Nameless) {
            let beside = beside(&self.target);
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            rustix::fs::linkat(CWD, own, CWD, &beside, AtFlags::SYMLINK_FOLLOW)?;
            self.stage = Stage::Beside(beside);
        }
        if let Stage::Beside(beside) = &self.stage {
            fs::rename(beside, &self.target)?;
            self.stage = Stage::Special;
        }
        File::open(parent(&self.target))?.sync_all()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if let Stage::Beside(beside) = &self.stage {
            // What failed before is what is told.
            let _ = fs::remove_file(beside);
        }
    }
}

/// A directory that is being filled. Dropped without [`WholeDirectory::keep`] it is gone.
#[derive(Debug)]
pub(crate) struct WholeDirectory {
    /// Where to write.
    pub(crate) path: PathBuf,
    target: PathBuf,
    kept: bool,
}

impl WholeDirectory {
    /// Begins a directory where nothing is, or an empty one.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        match fs::read_dir(path) {
            Ok(mut entries) => match entries.next() {
                None => {}
                Some(_) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let target = std::path::absolute(path)?;
        let path = beside(&target);
        fs::create_dir(&path)?;
        Ok(Self { path, target, kept: false })
    }

    /// Gives it its name, when all is written.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.target)?;
        self.kept = true;
        File::open(parent(&self.target))?.sync_all()
    }
}

impl Drop for WholeDirectory {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name in the same directory, which nobody else has.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_when_it_is_kept_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("a"), directory.path().join("l"));
        fs::write(&path, "before").unwrap();
        symlink("a", &link).unwrap();
        let mut file = WholeFile::create(&link).unwrap();
        file.file.write_all(b"after").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        let mut file = WholeFile::create(&link).unwrap();
        file.file.write_all(b"after").unwrap();
        file.keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert_eq!(names(directory.path()), ["a", "l"]);
        assert!(link.is_symlink());
        assert!(WholeFile::create(directory.path()).is_err());
        assert!(WholeFile::create(&directory.path().join("no/such")).is_err());
        WholeFile::create(Path::new("/dev/null")).unwrap().keep().unwrap();
    }

    #[test]
    fn a_directory_is_there_when_it_is_kept_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let begun = WholeDirectory::create(&path).unwrap();
        fs::write(begun.path.join("f"), "").unwrap();
        drop(begun);
        assert!(names(directory.path()).is_empty());
        fs::create_dir(&path).unwrap();
        let begun = WholeDirectory::create(&path).unwrap();
        fs::write(begun.path.join("f"), "").unwrap();
        begun.keep().unwrap();
        assert_eq!(names(&path), ["f"]);
        let error = WholeDirectory::create(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::DirectoryNotEmpty);
        assert_eq!(names(directory.path()), ["a"]);
    }
}
