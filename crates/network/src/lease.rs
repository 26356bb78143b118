//! Addresses, leased to pods by entries of a directory.
//!
//! A leased address is a symbolic link, named like the address, to the owner's id: made by one system call that
//! fails where there is one already, so that an address is never leased twice, nor ever half leased. Nobody waits
//! for anybody: the directory has no lock.
//!
//! Beside it, a file named like the owner has the address: written *before* the lease is taken, so that what a killed
//! process leaves is found by the owner's id alone, and locked while one owner's lease changes, so that two
//! clean-ups of one owner do not between them take an address that a third has just leased.

use std::{
    fs::{self, File},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    io::{self, ErrorKind::AlreadyExists, ErrorKind::NotFound, Read, Seek, Write},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::{Error, ErrorKind, Result, Subnet, interface::check_id};

/// The leases of one subnet.
#[derive(Clone, Debug)]
pub struct Leases {
    dir: PathBuf,
    subnet: Subnet,
}

impl Leases {
    /// Opens the leases in `dir`, which is made (mode 0700) where it is missing; its parent must exist.
    ///
    /// # Errors
    /// `System`, `PermissionDenied`.
    pub fn open(dir: &Path, subnet: Subnet) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != AlreadyExists => {
                Err(Error::system(format!("mkdir {}", dir.display()), error))
            }
            _ => Ok(Self { dir: dir.to_owned(), subnet }),
        }
    }

    /// Leases an address to `owner`, or returns the one that it has.
    ///
    /// The search begins at a place that follows from the owner's id. So processes that search at once seldom meet,
    /// and an address that was given back is not the next to be leased.
    ///
    /// # Errors
    /// `Exhausted`; `InvalidInput` for an owner that is not 1 to 64 of `a-z 0-9`; `System`.
    pub fn acquire(&self, owner: &str) -> Result<Ipv4Addr> {
        let mut record = loop {
            if let Some(record) = self.lock(owner, Missing::Create)? {
                break record;
            }
        };
        let recorded = record.address()?;
        if let Some(address) = recorded.filter(|address| self.is_leased_to(*address, owner)) {
            return Ok(address);
        }
        let start = start_for(owner);
        for n in 0..self.subnet.room() {
            let address = self.subnet.pod(start.wrapping_add(n));
            if self.is_leased(address) {
                continue;
            }
            record.write(address)?;
            let path = self.dir.join(address.to_string());
            match std::os::unix::fs::symlink(owner, &path) {
                Ok(()) => return Ok(address),
                Err(error) if error.kind() == AlreadyExists => {}
                Err(error) => {
                    let call = format!("symlink({owner}, {})", path.display());
                    return Err(Error::system(call, error));
                }
            }
        }
        record.remove()?;
        Err(Error::new(
            ErrorKind::Exhausted,
            format!("no address of {} is left: all {} are leased", self.subnet, self.subnet.room()),
        ))
    }

    /// The address that `owner` has.
    ///
    /// # Errors
    /// `InvalidInput` for an owner that is not 1 to 64 of `a-z 0-9`; `System`.
    pub fn of(&self, owner: &str) -> Result<Option<Ipv4Addr>> {
        check_id(owner)?;
        let path = self.dir.join(owner);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.parse().ok().filter(|address| self.is_leased_to(*address, owner))),
            Err(error) if error.kind() == NotFound => Ok(None),
            Err(error) => Err(Error::system(format!("read {}", path.display()), error)),
        }
    }

    /// Gives back what `owner` has; nothing is no error.
    ///
    /// # Errors
    /// `InvalidInput` for an owner that is not 1 to 64 of `a-z 0-9`; `System`.
    pub fn release(&self, owner: &str) -> Result<()> {
        let Some(mut record) = self.lock(owner, Missing::Leave)? else {
            return Ok(());
        };
        if let Some(address) = record.address()?
            && self.is_leased_to(address, owner)
        {
            let path = self.dir.join(address.to_string());
            fs::remove_file(&path)
                .map_err(|error| Error::system(format!("unlink {}", path.display()), error))?;
        }
        record.remove()
    }

    /// All leases and their owners, in no order: to find those whose owners are gone.
    ///
    /// # Errors
    /// `System`.
    pub fn list(&self) -> Result<Vec<(Ipv4Addr, String)>> {
        let failed = |error| Error::system(format!("list {}", self.dir.display()), error);
        let mut leases = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(address) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // Given back since it was listed: no lease.
            if let Ok(owner) = fs::read_link(self.dir.join(&name)) {
                leases.push((address, owner.to_string_lossy().into_owned()));
            }
        }
        Ok(leases)
    }

    fn is_leased(&self, address: Ipv4Addr) -> bool {
        fs::symlink_metadata(self.dir.join(address.to_string())).is_ok()
    }

    fn is_leased_to(&self, address: Ipv4Addr, owner: &str) -> bool {
        fs::read_link(self.dir.join(address.to_string()))
            .is_ok_and(|found| found == Path::new(owner))
    }

    /// The owner's record, held alone. `None` when there is none, or it was removed while this waited.
    fn lock(&self, owner: &str, missing: Missing) -> Result<Option<Record>> {
        check_id(owner)?;
        let path = self.dir.join(owner);
        let failed = |call: &str, error: io::Error| {
            Error::system(format!("{call} {}", path.display()), error)
        };
        let mut flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if missing == Missing::Create {
            flags |= OFlags::CREATE;
        }
        let file = match rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => File::from(fd),
            Err(rustix::io::Errno::NOENT) if missing == Missing::Leave => return Ok(None),
            Err(errno) => return Err(failed("open", errno.into())),
        };
        rustix::fs::flock(&file, FlockOperation::LockExclusive)
            .map_err(|errno| failed("flock", errno.into()))?;
        let links =
            rustix::fs::fstat(&file).map_err(|errno| failed("fstat", errno.into()))?.st_nlink;
        Ok((links > 0).then_some(Record { file, path }))
    }
}

/// What to do about an owner without a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Create,
    Leave,
}

/// An owner's file, locked until it is dropped.
struct Record {
    file: File,
    path: PathBuf,
}

impl Record {
    fn address(&mut self) -> Result<Option<Ipv4Addr>> {
        let mut text = String::new();
        match (&self.file).take(64).read_to_string(&mut text) {
            Ok(_) => Ok(text.parse().ok()),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    fn write(&mut self, address: Ipv4Addr) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(address.to_string().as_bytes()))
            .map_err(|error| self.failed("write", error))
    }

    fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(|error| self.failed("unlink", error))
    }

    fn failed(&self, call: &str, error: io::Error) -> Error {
        Error::system(format!("{call} {}", self.path.display()), error)
    }
}

/// Where an owner's search begins. The hash need not be the same for ever, only well spread.
fn start_for(owner: &str) -> u32 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(owner).to_ne_bytes();
    let [a, b, c, d, ..] = hash;
    u32::from_ne_bytes([a, b, c, d]) >> 1 // so that adding to it does not wrap in the midst of the subnet
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    fn leases(subnet: &str) -> (tempfile::TempDir, Leases) {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path(), subnet.parse().unwrap()).unwrap();
        (dir, leases)
    }

    #[test]
    fn an_owner_has_one_address_until_it_is_released() {
        let (_dir, leases) = leases("10.84.0.0/16");
        assert_eq!(leases.of("pod1").unwrap(), None);
        let address = leases.acquire("pod1").unwrap();
        assert!(Subnet::DEFAULT.is_for_pods(address));
        assert_eq!(leases.acquire("pod1").unwrap(), address);
        assert_eq!(leases.of("pod1").unwrap(), Some(address));
        assert_eq!(leases.list().unwrap(), [(address, "pod1".to_owned())]);
        leases.release("pod1").unwrap();
        leases.release("pod1").unwrap();
        assert_eq!(leases.of("pod1").unwrap(), None);
        assert!(fs::read_dir(&leases.dir).unwrap().next().is_none(), "something is left");
    }

    #[test]
    fn every_address_is_leased_once_and_then_none() {
        let (_dir, leases) = leases("10.1.2.0/28");
        let addresses: HashSet<_> =
            (0..13).map(|n| leases.acquire(&format!("pod{n}")).unwrap()).collect();
        assert_eq!(addresses.len(), 13);
        let error = leases.acquire("onemore").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        assert_eq!(leases.of("onemore").unwrap(), None);
        leases.release("pod7").unwrap();
        leases.acquire("onemore").unwrap();
    }

    #[test]
    fn what_a_killed_process_leaves_is_no_lease_and_can_be_released() {
        let (_dir, leases) = leases("10.1.2.0/28");
        let theirs = leases.acquire("theirs").unwrap();
        // Killed between writing the record and taking the lease, which then another took.
        fs::write(leases.dir.join("killed"), theirs.to_string()).unwrap();
        assert_eq!(leases.of("killed").unwrap(), None);
        leases.release("killed").unwrap();
        assert_eq!(leases.of("theirs").unwrap(), Some(theirs));
        // Killed before it had written anything.
        fs::write(leases.dir.join("killed"), "").unwrap();
        assert_ne!(leases.acquire("killed").unwrap(), theirs);
    }

    #[test]
    fn bad_owners_are_refused() {
        let (_dir, leases) = leases("10.1.2.0/28");
        for owner in ["", ".", "..", "a/b", "10.1.2.3", "A", &"a".repeat(65)] {
            assert_eq!(leases.acquire(owner).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(leases.of(owner).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(leases.release(owner).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn two_hundred_at_once_have_no_address_in_common() {
        let (_dir, leases) = leases("10.1.2.0/24");
        let addresses: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..200)
                .map(|n| {
                    let leases = &leases;
                    scope.spawn(move || leases.acquire(&format!("pod{n}")).unwrap())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(addresses.iter().collect::<HashSet<_>>().len(), 200);
    }

    #[test]
    fn one_owner_many_times_at_once_has_one_address() {
        let (_dir, leases) = leases("10.1.2.0/24");
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        leases.acquire("pod").unwrap();
                        leases.release("pod").unwrap();
                    }
                });
            }
        });
        leases.release("pod").unwrap();
        assert!(fs::read_dir(&leases.dir).unwrap().next().is_none(), "something is left");
    }
}
