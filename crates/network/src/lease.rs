//! Addresses, leased to pods by entries of a directory.
//!
//! A leased address is a symbolic link, named like the address, to the owner's id: made by one system call that
//! fails where there is one already, so that an address is never leased twice, nor ever half leased. Nobody waits
//! for anybody: the directory has no lock.
//!
//! Beside it, a file named like the owner has the addresses: written *before* a lease is taken, so that what a killed
//! process leaves is found by the owner's id alone, and locked while one owner's leases change, so that two
//! clean-ups of one owner do not between them take an address that a third has just leased.

mod record;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    io::{self, ErrorKind::AlreadyExists, ErrorKind::NotFound},
    net::IpAddr,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::{Error, ErrorKind, PodAddresses, Pool, Result, Wanted, interface::check_id};
use record::Record;

/// The leases of one network.
#[derive(Clone, Debug)]
pub struct Leases {
    dir: PathBuf,
}

impl Leases {
    /// Opens the leases in `dir`, which is made (mode 0700) where it is missing; its parent must exist.
    ///
    /// # Errors
    /// `System`, `PermissionDenied`.
    pub fn open(dir: &Path) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != AlreadyExists => {
                Err(Error::system(format!("mkdir {}", dir.display()), error))
            }
            _ => Ok(Self { dir: dir.to_owned() }),
        }
    }

    /// Leases addresses of `pool` to `owner`, or returns those that it has, if they are what is `wanted`.
    ///
    /// The search begins at a place that follows from the owner's id. So processes that search at once seldom meet,
    /// and an address that was given back is not the next to be leased.
    ///
    /// # Errors
    /// `Exhausted`; `AddressTaken` for a wanted address that another has; `InvalidInput` for one that no pod can have,
    /// and for an owner that is not 1 to 64 of `a-z 0-9`; `System`.
    pub fn acquire(&self, owner: &str, pool: &Pool, wanted: Wanted) -> Result<PodAddresses> {
        let asked = pool.asked(wanted)?;
        let mut record = loop {
            if let Some(record) = self.lock(owner, Missing::Create)? {
                break record;
            }
        };
        let has = record.addresses()?;
        let is_whole = has.iter().all(|address| self.is_leased_to(*address, owner));
        if let Some(addresses) = record::pair(&has).filter(|_| is_whole)
            && wanted.v4.is_none_or(|v4| v4 == addresses.v4)
            && wanted.v6.is_none_or(|v6| Some(v6) == addresses.v6)
        {
            return Ok(addresses);
        }
        self.give_back(&has, owner)?;
        let leased = match asked {
            Some(addresses) => self.take_asked(&mut record, addresses, owner),
            None => self.take_any(&mut record, pool, wanted, owner),
        };
        if leased.is_err() {
            record.remove()?;
        }
        leased
    }

    fn take_asked(
        &self,
        record: &mut Record,
        addresses: PodAddresses,
        owner: &str,
    ) -> Result<PodAddresses> {
        match self.take(record, addresses, owner)? {
            None => Ok(addresses),
            Some(taken) => Err(self.taken(taken)),
        }
    }

    fn take_any(
        &self,
        record: &mut Record,
        pool: &Pool,
        wanted: Wanted,
        owner: &str,
    ) -> Result<PodAddresses> {
        if let Some(v6) = wanted.v6.map(IpAddr::V6).filter(|v6| self.is_leased(*v6)) {
            return Err(self.taken(v6));
        }
        let start = start_for(owner);
        for n in 0..pool.len() {
            let Some(addresses) = pool.nth(start.wrapping_add(n), wanted) else { continue };
            if record::each(addresses).any(|address| self.is_leased(address)) {
                continue;
            }
            match self.take(record, addresses, owner)? {
                None => return Ok(addresses),
                // Another was faster; what was asked for will not be free for the next try either.
                Some(taken) if wanted.v6.map(IpAddr::V6) == Some(taken) => {
                    return Err(self.taken(taken));
                }
                Some(_) => {}
            }
        }
        Err(pool.exhausted())
    }

    /// Writes `addresses` down, then takes them, all or none. Returns the one that is another's.
    fn take(
        &self,
        record: &mut Record,
        addresses: PodAddresses,
        owner: &str,
    ) -> Result<Option<IpAddr>> {
        record.write(addresses)?;
        let mut taken: Vec<IpAddr> = Vec::new();
        for address in record::each(addresses) {
            let path = self.dir.join(address.to_string());
            match std::os::unix::fs::symlink(owner, &path) {
                Ok(()) => taken.push(address),
                Err(error) => {
                    self.give_back(&taken, owner)?;
                    let call = format!("symlink({owner}, {})", path.display());
                    return match error.kind() {
                        AlreadyExists => Ok(Some(address)),
                        _ => Err(Error::system(call, error)),
                    };
                }
            }
        }
        Ok(None)
    }

    fn taken(&self, address: IpAddr) -> Error {
        let text = match self.owner(address) {
            Some(owner) => format!("address {address} is leased to {owner}"),
            None => format!("address {address} was leased to another"),
        };
        Error::new(ErrorKind::AddressTaken, text)
    }

    /// The addresses that `owner` has.
    ///
    /// # Errors
    /// `InvalidInput` for an owner that is not 1 to 64 of `a-z 0-9`; `System`.
    pub fn of(&self, owner: &str) -> Result<Option<PodAddresses>> {
        check_id(owner)?;
        let path = self.dir.join(owner);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let has = record::parse(&text);
                let is_whole = has.iter().all(|address| self.is_leased_to(*address, owner));
                Ok(record::pair(&has).filter(|_| is_whole))
            }
            Err(error) if error.kind() == NotFound => Ok(None),
            Err(error) => Err(Error::system(format!("read {}", path.display()), error)),
        }
    }

    /// Who has `address`.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> Option<String> {
        let owner = fs::read_link(self.dir.join(address.to_string())).ok()?;
        Some(owner.to_string_lossy().into_owned())
    }

    /// Gives back what `owner` has; nothing is no error.
    ///
    /// # Errors
    /// `InvalidInput` for an owner that is not 1 to 64 of `a-z 0-9`; `System`.
    pub fn release(&self, owner: &str) -> Result<()> {
        let Some(mut record) = self.lock(owner, Missing::Leave)? else {
            return Ok(());
        };
        let has = record.addresses()?;
        self.give_back(&has, owner)?;
        record.remove()
    }

    /// All leases and their owners, in no order.
    ///
    /// # Errors
    /// `System`.
    pub fn list(&self) -> Result<Vec<(IpAddr, String)>> {
        let mut leases = Vec::new();
        for name in self.names()? {
            let Ok(address) = name.parse() else { continue };
            // Given back since it was listed: no lease.
            leases.extend(self.owner(address).map(|owner| (address, owner)));
        }
        Ok(leases)
    }

    /// All that have something here, a lease or at least a record, which one that was killed has left: to find those
    /// that are gone.
    ///
    /// # Errors
    /// `System`.
    pub fn owners(&self) -> Result<BTreeSet<String>> {
        let mut owners = BTreeSet::new();
        for name in self.names()? {
            match name.parse() {
                Ok(address) => owners.extend(self.owner(address)),
                Err(_) => owners.extend(Some(name).filter(|name| check_id(name).is_ok())),
            }
        }
        Ok(owners)
    }

    fn names(&self) -> Result<Vec<String>> {
        let failed = |error| Error::system(format!("list {}", self.dir.display()), error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(names)
    }

    /// Removes the directory, in which nothing must be leased; one that is not there is no error.
    ///
    /// # Errors
    /// `System`, with ENOTEMPTY where something is.
    pub fn remove(self) -> Result<()> {
        match fs::remove_dir(&self.dir) {
            Err(error) if error.kind() != NotFound => {
                Err(Error::system(format!("rmdir {}", self.dir.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// Gives back those of `addresses` that `owner` has. Its record must be locked.
    fn give_back(&self, addresses: &[IpAddr], owner: &str) -> Result<()> {
        for address in addresses.iter().filter(|address| self.is_leased_to(**address, owner)) {
            let path = self.dir.join(address.to_string());
            fs::remove_file(&path)
                .map_err(|error| Error::system(format!("unlink {}", path.display()), error))?;
        }
        Ok(())
    }

    fn is_leased(&self, address: IpAddr) -> bool {
        fs::symlink_metadata(self.dir.join(address.to_string())).is_ok()
    }

    fn is_leased_to(&self, address: IpAddr, owner: &str) -> bool {
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

/// Where an owner's search begins. The hash need not be the same for ever, only well spread.
fn start_for(owner: &str) -> u32 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(owner).to_ne_bytes();
    let [a, b, c, d, ..] = hash;
    u32::from_ne_bytes([a, b, c, d]) >> 1 // so that adding to it does not wrap in the midst of the subnet
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::Ipv4Addr, thread};

    use super::*;
    use crate::{Bridge, InterfaceName};

    /// A directory of leases, a pool of this subnet, and one with IPv6 beside.
    fn leases(subnet: &str) -> (tempfile::TempDir, Leases, Pool, Pool) {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path()).unwrap();
        let bridge = Bridge::new(InterfaceName::for_pod("t").unwrap(), subnet.parse().unwrap());
        let pool = Pool::new(&bridge).unwrap();
        let dual = bridge.with_ipv6("fd00:85::/64".parse().unwrap(), None).unwrap();
        (dir, leases, pool, Pool::new(&dual).unwrap())
    }

    fn any() -> Wanted {
        Wanted::default()
    }

    fn is_empty(leases: &Leases) -> bool {
        fs::read_dir(&leases.dir).unwrap().next().is_none()
    }

    #[test]
    fn an_owner_has_one_address_of_each_family_until_it_is_released() {
        let (_dir, leases, _, pool) = leases("10.84.0.0/16");
        assert_eq!(leases.of("pod1").unwrap(), None);
        let addresses = leases.acquire("pod1", &pool, any()).unwrap();
        let [.., c, d] = addresses.v4.octets();
        let v6 = format!("fd00:85::{:x}", u16::from_be_bytes([c, d]));
        assert_eq!(addresses.v6.unwrap().to_string(), v6);
        assert_eq!(leases.acquire("pod1", &pool, any()).unwrap(), addresses);
        assert_eq!(leases.of("pod1").unwrap(), Some(addresses));
        let listed: HashSet<_> = leases.list().unwrap().into_iter().collect();
        let expected = record::each(addresses).map(|address| (address, "pod1".to_owned()));
        assert_eq!(listed, expected.collect());
        leases.release("pod1").unwrap();
        leases.release("pod1").unwrap();
        assert_eq!(leases.of("pod1").unwrap(), None);
        assert!(is_empty(&leases), "something is left");
        leases.remove().unwrap();
    }

    #[test]
    fn every_address_is_leased_once_and_then_none() {
        let (_dir, leases, pool, _) = leases("10.1.2.0/28");
        let addresses: HashSet<_> =
            (0..13).map(|n| leases.acquire(&format!("pod{n}"), &pool, any()).unwrap().v4).collect();
        assert_eq!(addresses.len(), 13);
        let error = leases.acquire("onemore", &pool, any()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        assert!(error.to_string().contains("all 13 from 10.1.2.1 to 10.1.2.14"), "{error}");
        assert_eq!(leases.of("onemore").unwrap(), None);
        leases.release("pod7").unwrap();
        leases.acquire("onemore", &pool, any()).unwrap();
    }

    #[test]
    fn an_address_that_is_asked_for_is_given_once() {
        let (_dir, leases, _, pool) = leases("10.1.2.0/24");
        let v4: Ipv4Addr = "10.1.2.9".parse().unwrap();
        let static_v4 = Wanted { v4: Some(v4), v6: None };
        assert_eq!(leases.acquire("one", &pool, static_v4).unwrap().v4, v4);
        let error = leases.acquire("two", &pool, static_v4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressTaken);
        assert!(error.to_string().contains("10.1.2.9 is leased to one"), "{error}");
        let static_v6 = Wanted { v4: None, v6: leases.of("one").unwrap().unwrap().v6 };
        let error = leases.acquire("two", &pool, static_v6).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressTaken);
        // Its own it may have, and another in its place.
        leases.acquire("one", &pool, static_v6).unwrap();
        let other = Wanted { v4: Some("10.1.2.10".parse().unwrap()), v6: None };
        leases.acquire("one", &pool, other).unwrap();
        leases.acquire("two", &pool, static_v4).unwrap();
        leases.release("one").unwrap();
        leases.release("two").unwrap();
        assert!(is_empty(&leases), "something is left");
    }

    #[test]
    fn an_address_whose_companion_is_taken_is_passed_over() {
        let (_dir, leases, _, pool) = leases("10.1.2.0/29");
        let v6 = Wanted { v4: Some("10.1.2.2".parse().unwrap()), v6: "fd00:85::5".parse().ok() };
        leases.acquire("static", &pool, v6).unwrap();
        let addresses: HashSet<_> = (0..3)
            .map(|n| leases.acquire(&format!("pod{n}"), &pool, any()).unwrap().v4.octets()[3])
            .collect();
        assert_eq!(addresses, HashSet::from([3, 4, 6]));
        assert_eq!(leases.acquire("more", &pool, any()).unwrap_err().kind(), ErrorKind::Exhausted);
    }

    #[test]
    fn what_a_killed_process_leaves_is_no_lease_and_can_be_released() {
        let (_dir, leases, _, pool) = leases("10.1.2.0/28");
        let theirs = leases.acquire("theirs", &pool, any()).unwrap();
        // Killed between writing the record and taking the lease, which then another took.
        let text = format!("{}\n{}", theirs.v4, theirs.v6.unwrap());
        fs::write(leases.dir.join("killed"), text).unwrap();
        assert_eq!(leases.of("killed").unwrap(), None);
        assert_eq!(leases.owners().unwrap(), ["killed".to_owned(), "theirs".to_owned()].into());
        leases.release("killed").unwrap();
        assert_eq!(leases.of("theirs").unwrap(), Some(theirs));
        // Killed before it had written anything.
        fs::write(leases.dir.join("killed"), "").unwrap();
        assert_ne!(leases.acquire("killed", &pool, any()).unwrap(), theirs);
        // Killed between one lease and the other.
        let v6 = leases.of("killed").unwrap().unwrap().v6.unwrap();
        fs::remove_file(leases.dir.join(v6.to_string())).unwrap();
        assert_eq!(leases.of("killed").unwrap(), None);
        leases.release("killed").unwrap();
        leases.release("theirs").unwrap();
        assert!(is_empty(&leases), "something is left");
    }

    #[test]
    fn bad_owners_are_refused() {
        let (_dir, leases, pool, _) = leases("10.1.2.0/28");
        for owner in ["", ".", "..", "a/b", "10.1.2.3", "fd00::1", "A", &"a".repeat(65)] {
            let error = leases.acquire(owner, &pool, any()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(leases.of(owner).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(leases.release(owner).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn two_hundred_at_once_have_no_address_in_common() {
        let (_dir, leases, _, pool) = leases("10.1.2.0/24");
        let addresses: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..200)
                .map(|n| {
                    let (leases, pool) = (&leases, &pool);
                    scope.spawn(move || leases.acquire(&format!("pod{n}"), pool, any()).unwrap())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let each: HashSet<IpAddr> = addresses.into_iter().flat_map(record::each).collect();
        assert_eq!(each.len(), 400);
    }

    #[test]
    fn one_owner_many_times_at_once_has_one_address() {
        let (_dir, leases, _, pool) = leases("10.1.2.0/24");
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        leases.acquire("pod", &pool, any()).unwrap();
                        leases.release("pod").unwrap();
                    }
                });
            }
        });
        leases.release("pod").unwrap();
        assert!(is_empty(&leases), "something is left");
    }
}
