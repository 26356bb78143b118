//! One entry of a tar stream, decoded and checked.

use rustix::fs::Timespec;
use tar::{EntryType, Header};

use super::pax::Pax;
use super::sparse::Sparse;
use crate::error::{Error, Result, shown};

/// What an entry makes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    /// A file of which only the data come, and where in it they belong.
    Sparse(Sparse),
    Directory,
    Symlink {
        target: Vec<u8>,
    },
    /// Another name for what the archive's path `target` is.
    HardLink {
        target: Vec<u8>,
    },
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// One entry's header: where, what, and whose.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As the archive has it: nothing about it is to be trusted.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// Bytes of data that follow; 0 for all but files. Of a sparse file, without the map.
    pub(crate) size: u64,
    /// Permission bits, set-id and sticky included; no file type.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Timespec,
    pub(crate) xattrs: Vec<(String, Vec<u8>)>,
}

/// Names that GNU long-name entries gave to the entry after them.
#[derive(Debug, Default)]
pub(crate) struct LongNames {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
}

/// The largest size that the eleven octal digits of a header hold.
const OCTAL_MAX: u64 = 0o777_7777_7777;
/// Device numbers as Linux has them: 12 bits and 20 bits.
const MAJOR_MAX: u32 = (1 << 12) - 1;
const MINOR_MAX: u32 = (1 << 20) - 1;

impl Entry {
    pub(crate) fn decode(header: &Header, pax: Pax, long: LongNames) -> Result<Self> {
        let path = one_of(pax.path, long.path, "path")?
            .unwrap_or_else(|| header.path_bytes().into_owned());
        Self::decode_named(
            header,
            path.clone(),
            pax.link,
            long.link,
            Rest {
                size: pax.size,
                uid: pax.uid,
                gid: pax.gid,
                mtime: pax.mtime,
                xattrs: pax.xattrs,
            },
        )
        .map_err(|e| e.within(format!("entry {}", shown(&path))))
    }

    fn decode_named(
        header: &Header,
        path: Vec<u8>,
        pax_link: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        rest: Rest,
    ) -> Result<Self> {
        let link = one_of(pax_link, long_link, "linkpath")?
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let kind = kind(header, link)?;
        let size = size(header, rest.size)?;
        if kind != Kind::File && size != 0 {
            // Some readers would take what follows for data, others for the next header.
            return Err(Error::malformed(format!("it has {size} bytes of data, and is no file")));
        }
        if kind == Kind::File && path.ends_with(b"/") {
            return Err(Error::malformed("a file's name ends with a slash"));
        }
        let mtime = match rest.mtime {
            Some(mtime) => mtime,
            None => Timespec { tv_sec: seconds(header)?, tv_nsec: 0 },
        };
        Ok(Self {
            path,
            kind,
            size,
            mode: header.mode().map_err(|e| field("mode", e))? & 0o7777,
            uid: owner("uid", rest.uid.map_or_else(|| header.uid(), Ok))?,
            gid: owner("gid", rest.gid.map_or_else(|| header.gid(), Ok))?,
            mtime,
            xattrs: rest.xattrs,
        })
    }
}

/// What of the extended header is not a name.
struct Rest {
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<Timespec>,
    xattrs: Vec<(String, Vec<u8>)>,
}

fn field(name: &str, error: std::io::Error) -> Error {
    Error::malformed(format!("its {name} is not a number")).because(error)
}

fn one_of(pax: Option<Vec<u8>>, gnu: Option<Vec<u8>>, what: &str) -> Result<Option<Vec<u8>>> {
    match (pax, gnu) {
        (Some(_), Some(_)) => {
            Err(Error::malformed(format!("an entry has both a PAX {what} and a GNU long name")))
        }
        (pax, gnu) => Ok(pax.or(gnu)),
    }
}

fn kind(header: &Header, link: Option<Vec<u8>>) -> Result<Kind> {
    let target = |link: Option<Vec<u8>>| match link {
        Some(target) if !target.is_empty() && !target.contains(&0) => Ok(target),
        _ => Err(Error::malformed("a link has no valid target")),
    };
    match header.entry_type() {
        // Whoever reads the map makes it a sparse one.
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Ok(Kind::File),
        EntryType::Directory => Ok(Kind::Directory),
        EntryType::Symlink => Ok(Kind::Symlink { target: target(link)? }),
        EntryType::Link => Ok(Kind::HardLink { target: target(link)? }),
        EntryType::Fifo => Ok(Kind::Fifo),
        EntryType::Char => device(header).map(|(major, minor)| Kind::CharDevice { major, minor }),
        EntryType::Block => device(header).map(|(major, minor)| Kind::BlockDevice { major, minor }),
        other => {
            Err(Error::malformed(format!("entry type {} is unknown", shown(&[other.as_byte()]))))
        }
    }
}

/// The length of the data: by the extended header if it says, as POSIX has it, and only if no older reader that
/// looks at the other field alone would see another archive.
fn size(header: &Header, pax: Option<u64>) -> Result<u64> {
    let plain = plain_size(header)?;
    match pax {
        None => Ok(plain),
        Some(size) if size == plain => Ok(size),
        // The plain field can't hold it: writers put zero or the most there.
        Some(size) if size > OCTAL_MAX && (plain == 0 || plain == OCTAL_MAX) => Ok(size),
        Some(size) => Err(Error::malformed(format!(
            "its size is {plain} in one header and {size} in another"
        ))),
    }
}

/// The size field alone: octal digits, or base-256 that fits 64 bits.
pub(crate) fn plain_size(header: &Header) -> Result<u64> {
    let bytes = &header.as_bytes()[124..136];
    let fits = match bytes[0] {
        first if first & 0x80 != 0 => bytes[..4] == [0x80, 0, 0, 0],
        _ => !bytes.contains(&b'+'),
    };
    if !fits {
        return Err(Error::malformed(format!("its size field is {}", shown(bytes))));
    }
    header.entry_size().map_err(|e| field("size", e))
}

fn owner(name: &str, id: std::io::Result<u64>) -> Result<u32> {
    let id = id.map_err(|e| field(name, e))?;
    match u32::try_from(id) {
        // To chown, the largest number means "leave as is".
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(Error::malformed(format!("its {name} {id} is out of range"))),
    }
}

fn seconds(header: &Header) -> Result<i64> {
    // Times before 1970 in base-256 read as numbers beyond what any time can be.
    let mtime = header.mtime().map_err(|e| field("mtime", e))?;
    i64::try_from(mtime)
        .map_err(|e| Error::malformed(format!("its mtime {mtime} is out of range")).because(e))
}

fn device(header: &Header) -> Result<(u32, u32)> {
    let major = header.device_major().map_err(|e| field("device major", e))?;
    let minor = header.device_minor().map_err(|e| field("device minor", e))?;
    match (major, minor) {
        (Some(major), Some(minor)) if major <= MAJOR_MAX && minor <= MINOR_MAX => {
            Ok((major, minor))
        }
        (Some(major), Some(minor)) => {
            Err(Error::malformed(format!("device {major}:{minor} is out of range")))
        }
        _ => Err(Error::malformed("a device has no numbers")),
    }
}
