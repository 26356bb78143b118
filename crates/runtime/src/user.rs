//! Who a process is, by the container's own `/etc/passwd` and `/etc/group`: names and numbers.

use std::path::Path;

use oci_spec::runtime::User;
use rustix::process::{Gid, Uid};

use crate::error::{Error, Kind};
use crate::root::Root;

/// A user, a primary group and all groups, the primary one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Vec<Gid>,
}

/// One line of `passwd(5)`.
struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Who `user` is, and its home directory. A `username` (`USER[:GROUP]`) is looked up; without one the
/// numbers hold.
pub(crate) fn resolve(root: &Root, user: &User) -> Result<(Identity, String), Error> {
    let passwd = root.read(Path::new("/etc/passwd"))?.unwrap_or_default();
    let Some(asked) = user.username().as_deref().filter(|asked| !asked.is_empty()) else {
        let home = accounts(&passwd).find(|account| account.uid == user.uid());
        let extra = user.additional_gids().as_deref().unwrap_or_default();
        let identity = identity(user.uid(), user.gid(), extra.iter().copied());
        return Ok((identity, home.map_or("/", |account| account.home).to_owned()));
    };
    let (name, group) = match asked.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (asked, None),
    };
    // A number is that user, even where a name is spelled like it.
    let number = number(name)?;
    let account = accounts(&passwd).find(|account| match number {
        Some(uid) => account.uid == uid,
        None => account.name == name,
    });
    let uid = match (number, &account) {
        (Some(uid), _) => uid,
        (None, Some(account)) => account.uid,
        (None, None) => {
            return Err(Error::new(
                Kind::User,
                format!("user '{name}' is not in the image's /etc/passwd"),
            ));
        }
    };
    let groups = root.read(Path::new("/etc/group"))?.unwrap_or_default();
    let identity = match group {
        // A named group stands alone, as Docker has it.
        Some(group) => identity(uid, group_number(&groups, group)?, std::iter::empty()),
        None => {
            let member = account.as_ref().map(|account| account.name);
            let gid = account.as_ref().map_or(0, |account| account.gid);
            identity(uid, gid, memberships(&groups, member))
        }
    };
    let extra = user.additional_gids().as_deref().unwrap_or_default();
    let identity = with_groups(identity, extra.iter().copied());
    Ok((identity, account.map_or("/", |account| account.home).to_owned()))
}

/// A decimal number that is a user or group id; `None` if the text is no number at all.
fn number(text: &str) -> Result<Option<u32>, Error> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        // The kernel means "leave as it is" by the largest number.
        Ok(id) if id != u32::MAX => Ok(Some(id)),
        _ => {
            let message = format!("user or group id '{text}': the largest is {}", u32::MAX - 1);
            Err(Error::new(Kind::User, message))
        }
    }
}

/// An id in a file of the image's; a line with the number by which the kernel means "leave as it is" counts
/// as malformed, for who it names would stay root.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&id| id != u32::MAX)
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (id(fields.next()?)?, id(fields.next()?)?);
        let home = fields.nth(1).filter(|home| !home.is_empty()).unwrap_or("/");
        Some(Account { name, uid, gid, home })
    })
}

/// The lines of `group(5)`: name, id, members.
fn groups(file: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    file.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        Some((name, id(fields.next()?)?, fields.next().unwrap_or_default()))
    })
}

fn group_number(file: &str, asked: &str) -> Result<u32, Error> {
    if let Some(gid) = number(asked)? {
        return Ok(gid);
    }
    let found = groups(file).find(|(name, ..)| *name == asked);
    found.map(|(_, gid, _)| gid).ok_or_else(|| {
        Error::new(Kind::User, format!("group '{asked}' is not in the image's /etc/group"))
    })
}

/// The groups that list `member`.
fn memberships<'a>(file: &'a str, member: Option<&'a str>) -> impl Iterator<Item = u32> + 'a {
    groups(file)
        .filter(move |(_, _, members)| {
            member.is_some_and(|member| members.split(',').any(|listed| listed == member))
        })
        .map(|(_, gid, _)| gid)
}

fn identity(uid: u32, gid: u32, groups: impl Iterator<Item = u32>) -> Identity {
    let gid = Gid::from_raw(gid);
    // The primary group is in the supplementary set too: else a file that denies the group is open to who
    // sheds it (CVE-2022-2989).
    let base = Identity { uid: Uid::from_raw(uid), gid, groups: vec![gid] };
    with_groups(base, groups)
}

fn with_groups(mut identity: Identity, groups: impl Iterator<Item = u32>) -> Identity {
    for gid in groups.map(Gid::from_raw) {
        if !identity.groups.contains(&gid) {
            identity.groups.push(gid);
        }
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn with(passwd: &str, group: &str, user: &str) -> Result<(Identity, String), Error> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("etc")).unwrap();
        fs::write(directory.path().join("etc/passwd"), passwd).unwrap();
        fs::write(directory.path().join("etc/group"), group).unwrap();
        let root = Root::at(fs::File::open(directory.path()).unwrap().into());
        let mut asked = User::default();
        asked.set_username(Some(user.to_owned()));
        resolve(&root, &asked)
    }

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:web:/var/www:/bin/sh\n\
                          1234:x:7:7:odd:/odd:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:33:\nlog:x:4:web,root\nssl:x:5:other\n";

    fn ids(identity: &Identity) -> (u32, u32, Vec<u32>) {
        let groups = identity.groups.iter().map(|gid| gid.as_raw()).collect();
        (identity.uid.as_raw(), identity.gid.as_raw(), groups)
    }

    #[test]
    fn a_name_brings_its_groups_and_home() {
        let (identity, home) = with(PASSWD, GROUP, "web").unwrap();
        assert_eq!((ids(&identity), home.as_str()), ((33, 33, vec![33, 4]), "/var/www"));
    }

    #[test]
    fn a_group_that_is_named_stands_alone() {
        let (identity, _) = with(PASSWD, GROUP, "web:ssl").unwrap();
        assert_eq!(ids(&identity), (33, 5, vec![5]));
        let (identity, _) = with(PASSWD, GROUP, "99:98").unwrap();
        assert_eq!(ids(&identity), (99, 98, vec![98]));
    }

    #[test]
    fn row_10_a_number_is_that_uid_and_an_overflow_is_an_error() {
        let (identity, home) = with(PASSWD, GROUP, "1234").unwrap();
        assert_eq!((ids(&identity), home.as_str()), ((1234, 0, vec![0]), "/"));
        for overflow in ["4294967296", "4294967295", "99999999999999999999", "0:4294967296"] {
            assert_eq!(with(PASSWD, GROUP, overflow).unwrap_err().kind(), Kind::User, "{overflow}");
        }
    }

    #[test]
    fn row_10_an_account_with_the_number_that_means_no_change_is_none() {
        let passwd = "evil:x:4294967295:4294967295:x:/:/bin/sh\n";
        assert_eq!(with(passwd, "", "evil").unwrap_err().kind(), Kind::User);
    }

    #[test]
    fn unknown_names_are_errors() {
        assert_eq!(with(PASSWD, GROUP, "nobody").unwrap_err().kind(), Kind::User);
        assert_eq!(with(PASSWD, GROUP, "web:none").unwrap_err().kind(), Kind::User);
    }

    #[test]
    fn row_9_a_fifo_or_a_huge_passwd_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let etc = directory.path().join("etc");
        fs::create_dir(&etc).unwrap();
        let root = Root::at(fs::File::open(directory.path()).unwrap().into());
        let passwd = etc.join("passwd");
        rustix::fs::mkfifoat(rustix::fs::CWD, &passwd, 0o644.into()).unwrap();
        assert_eq!(resolve(&root, &User::default()).unwrap_err().kind(), Kind::Hostile);
        fs::remove_file(&passwd).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &passwd).unwrap();
        assert!(resolve(&root, &User::default()).is_ok(), "a link leads nowhere in this root");
        fs::remove_file(&passwd).unwrap();
        fs::File::create(&passwd).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(resolve(&root, &User::default()).unwrap_err().kind(), Kind::Hostile);
    }
}
