//! Archives of every kind, and hostile ones.

use super::*;

const MOST: u64 = 1 << 20;

fn tar_with(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, target) in entries {
        let mut header = tar::Header::new_gnu();
        // Written by hand: the builder refuses the paths that this test is about.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(if *kind == tar::EntryType::Regular { 2 } else { 0 });
        header.set_cksum();
        let body: &[u8] = if *kind == tar::EntryType::Regular { b"hi" } else { b"" };
        builder.append(&header, body).unwrap();
    }
    builder.into_inner().unwrap()
}

fn extracted(entries: &[(&str, tar::EntryType, &str)]) -> (tempfile::TempDir, bool) {
    let root = tempfile::tempdir().unwrap();
    let sandbox = root.path().join("sandbox");
    fs::create_dir(&sandbox).unwrap();
    let archive = root.path().join("a.tar");
    fs::write(&archive, tar_with(entries)).unwrap();
    let done = extract(&archive, &sandbox, MOST).is_ok();
    (root, done)
}

#[test]
fn archive_ordinary_entries_are_extracted() {
    use tar::EntryType::*;
    let (root, done) = extracted(&[
        ("d/", Directory, ""),
        ("d/f", Regular, ""),
        ("l", Symlink, "d/f"),
        ("d/up", Symlink, "../d/f"),
    ]);
    assert!(done);
    let sandbox = root.path().join("sandbox");
    assert_eq!(fs::read(sandbox.join("l")).unwrap(), b"hi");
    assert_eq!(fs::read(sandbox.join("d/up")).unwrap(), b"hi");
}

#[test]
fn archive_escapes_are_refused() {
    use tar::EntryType::*;
    let cases: [&[(&str, tar::EntryType, &str)]; 10] = [
        &[("../out", Regular, "")],
        &[("/tmp/out-of-sandbox", Regular, "")],
        &[("a/../../out", Regular, "")],
        &[("l", Symlink, ".."), ("l/out", Regular, "")],
        &[("l", Symlink, "/etc")],
        &[("d", Symlink, "."), ("d/d/d/l", Symlink, "../../../out")],
        &[("a/", Directory, ""), ("a/b", Symlink, ".."), ("l", Symlink, "a/b/../out")],
        &[("l", Symlink, "later/../../out")],
        &[("l", Link, "../a.tar")],
        &[("dev", Char, "")],
    ];
    for entries in cases {
        let (root, done) = extracted(entries);
        assert!(!done, "{entries:?}");
        assert!(!root.path().join("out").exists(), "{entries:?}");
    }
}

fn packed(kind: Kind) -> Vec<u8> {
    use std::io::Write;
    let tar = tar_with(&[("d/f", tar::EntryType::Regular, "")]);
    match kind {
        Kind::Tar => tar,
        Kind::TarGz | Kind::Gz => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            gzip.write_all(if kind == Kind::Gz { b"hi" } else { &tar }).unwrap();
            gzip.finish().unwrap()
        }
        Kind::TarBz2 => {
            let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), Default::default());
            bzip.write_all(&tar).unwrap();
            bzip.finish().unwrap()
        }
        Kind::TarXz => {
            let mut xz = Vec::new();
            lzma_rs::xz_compress(&mut tar.as_slice(), &mut xz).unwrap();
            xz
        }
        Kind::Zip => zipped("d/f", 0o100_644),
    }
}

fn zipped(name: &str, mode: u32) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(mode);
    if mode & 0o170_000 == 0o120_000 {
        zip.add_symlink(name, "..", options).unwrap();
    } else {
        zip.start_file(name, options).unwrap();
        zip.write_all(b"hi").unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn archive_of_every_kind_is_extracted() {
    let cases = [
        ("a.tar", "d/f"),
        ("a.tgz", "d/f"),
        ("a.tar.gz", "d/f"),
        ("a.tbz2", "d/f"),
        ("a.tar.bz2", "d/f"),
        ("a.txz", "d/f"),
        ("a.tar.xz", "d/f"),
        ("a.zip", "d/f"),
        ("a.gz.gz", "a.gz"),
    ];
    for (name, file) in cases {
        let root = tempfile::tempdir().unwrap();
        let archive = root.path().join(name);
        fs::write(&archive, packed(kind(name).unwrap())).unwrap();
        assert!(extract(&archive, root.path(), MOST).unwrap(), "{name}");
        assert_eq!(fs::read(root.path().join(file)).unwrap(), b"hi", "{name}");
        fs::write(&archive, b"noise").unwrap();
        assert!(extract(&archive, root.path(), MOST).is_err(), "{name}");
    }
}

#[test]
fn archive_zip_escapes_are_refused() {
    for (name, mode) in [("../out", 0o100_644), ("/out", 0o100_644), ("l", 0o120_777)] {
        let root = tempfile::tempdir().unwrap();
        let sandbox = root.path().join("sandbox");
        fs::create_dir(&sandbox).unwrap();
        let archive = root.path().join("a.zip");
        fs::write(&archive, zipped(name, mode)).unwrap();
        let refused = extract(&archive, &sandbox, MOST);
        assert!(matches!(refused, Err(ArchiveError::Escape { .. })), "{name}: {refused:?}");
    }
}

#[test]
fn archive_kinds_follow_the_name() {
    assert_eq!(kind("a.tar.gz"), Some(Kind::TarGz));
    assert_eq!(kind("a.gz"), Some(Kind::Gz));
    assert_eq!(kind("a.txt"), None);
}

#[test]
fn bomb_is_stopped_before_it_fills_the_disk() {
    use std::io::Write;
    let root = tempfile::tempdir().unwrap();
    let zeros = vec![0; 8 << 20];
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(&zeros).unwrap();
    let gz = gz.finish().unwrap();
    let mut tar =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best()));
    let mut header = tar::Header::new_gnu();
    header.set_size(zeros.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "zeros", zeros.as_slice()).unwrap();
    let tgz = tar.into_inner().unwrap().finish().unwrap();
    let mut xz = Vec::new();
    lzma_rs::xz_compress(&mut zeros.as_slice(), &mut xz).unwrap();
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        // Each is small enough; all of them are not.
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&zeros[..200_000]).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    for (name, bytes) in [("b.gz", gz), ("b.tgz", tgz), ("b.tar.xz", xz), ("b.zip", zip)] {
        let archive = root.path().join(name);
        fs::write(&archive, &bytes).unwrap();
        let refused = extract(&archive, root.path(), MOST);
        assert!(matches!(refused, Err(ArchiveError::TooLarge(_))), "{name}: {refused:?}");
    }
    let files = fs::read_dir(root.path()).unwrap().flatten();
    let files = files.filter(|file| !file.file_name().to_string_lossy().starts_with("b."));
    let size: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert!(size < 4 << 20, "{size}");
}
