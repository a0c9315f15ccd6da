//! The mounts that this process sees, as the kernel lists them.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its number, which another mount may get when this one is gone.
    pub id: u64,
    /// The number of the mount that it is mounted on.
    pub parent: u64,
    /// Where it is seen; no part of that is a link.
    pub point: PathBuf,
    /// The kind of its file system, such as `tmpfs`.
    pub kind: String,
    /// Mounts below it come from and go to other places.
    pub is_shared: bool,
}

/// All mounts; of those at one place the uppermost comes last.
///
/// # Errors
/// When the kernel does not tell.
pub fn read() -> io::Result<Vec<Mount>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// Containers give names to directories in which something is mounted: a line is bytes, and one that
/// makes no sense hides no other.
fn parse(bytes: &[u8]) -> Vec<Mount> {
    bytes.split(|byte| *byte == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
    // Between them are the device and what of it is shown.
    let point = PathBuf::from(OsString::from_vec(unescaped(fields.nth(2)?)));
    let mut is_shared = false;
    // Optional fields come behind the options, and end with a dash.
    for field in fields.by_ref().skip(1).take_while(|field| *field != b"-") {
        is_shared |= field.starts_with(b"shared:");
    }
    let kind = String::from_utf8_lossy(fields.next()?).into_owned();
    Some(Mount { id, parent, point, kind, is_shared })
}

fn number(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Blanks, tabs, line ends and backslashes are shown by their octal numbers.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let octal = behind.get(..3).filter(|_| *first == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn table_lines_are_read_whatever_names_are_in_them() {
        let text = b"21 1 8:1 / / rw shared:1 master:2 - ext4 /dev/vda rw\n\
            nonsense\n\
            22 21 0:5 /a /w/a\\040b\xff rw,nosuid - tmpfs tmpfs rw\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        let first = Mount {
            id: 21,
            parent: 1,
            point: "/".into(),
            kind: "ext4".to_owned(),
            is_shared: true,
        };
        assert_eq!(mounts[0], first);
        assert_eq!(mounts[1].point.as_os_str().as_bytes(), b"/w/a b\xff");
        assert_eq!((mounts[1].kind.as_str(), mounts[1].is_shared), ("tmpfs", false));
    }

    #[test]
    fn table_of_this_host_has_a_root() {
        assert!(read().unwrap().iter().any(|mount| mount.point.as_os_str() == "/"));
    }
}
