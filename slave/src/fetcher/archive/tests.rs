//! Archives of every kind, and hostile ones.

use super::*;

fn budget() -> Budget {
    Budget::new(1 << 20, 1000)
}

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

type Outcome = Result<bool, ArchiveError>;

fn extracted(entries: &[(&str, tar::EntryType, &str)]) -> (tempfile::TempDir, Outcome) {
    let root = tempfile::tempdir().unwrap();
    let sandbox = root.path().join("sandbox");
    fs::create_dir(&sandbox).unwrap();
    let archive = root.path().join("a.tar");
    fs::write(&archive, tar_with(entries)).unwrap();
    let done = extract(&archive, &sandbox, &budget());
    (root, done)
}

#[test]
fn archive_ordinary_entries_are_extracted() {
    use tar::EntryType::*;
    let (root, done) = extracted(&[
        // As `git archive` writes.
        ("pax_global_header", XGlobalHeader, ""),
        ("d/", Directory, ""),
        ("d/f", Regular, ""),
        ("l", Symlink, "d/f"),
        ("d/up", Symlink, "../d/f"),
    ]);
    assert!(done.unwrap());
    let sandbox = root.path().join("sandbox");
    assert_eq!(fs::read(sandbox.join("l")).unwrap(), b"hi");
    assert_eq!(fs::read(sandbox.join("d/up")).unwrap(), b"hi");
}

#[test]
fn archive_escapes_are_refused() {
    use tar::EntryType::*;
    let cases: [&[(&str, tar::EntryType, &str)]; 9] = [
        &[("../out", Regular, "")],
        &[("/tmp/out-of-sandbox", Regular, "")],
        &[("a/../../out", Regular, "")],
        &[("l", Symlink, ".."), ("l/out", Regular, "")],
        &[("l", Symlink, "/etc")],
        &[("d", Symlink, "."), ("d/d/d/l", Symlink, "../../../out")],
        &[("a/", Directory, ""), ("a/b", Symlink, ".."), ("l", Symlink, "a/b/../out")],
        &[("l", Symlink, "later/../../out")],
        &[("l", Link, "../a.tar")],
    ];
    for entries in cases {
        let (root, done) = extracted(entries);
        assert!(done.is_err(), "{entries:?}");
        assert!(!root.path().join("out").exists(), "{entries:?}");
    }
}

#[test]
fn archive_special_files_are_refused_as_such() {
    use tar::EntryType::*;
    for kind in [Char, Block, Fifo] {
        let (root, done) = extracted(&[("special", kind, "")]);
        let told = done.unwrap_err().to_string();
        assert!(told.ends_with("is no file, directory or link: special"), "{told}");
        assert!(root.path().join("sandbox/special").symlink_metadata().is_err());
    }
}

#[test]
fn archive_sparse_files_are_extracted_and_count_in_full() {
    let root = tempfile::tempdir().unwrap();
    let archive = root.path().join("a.tar");
    let script = "truncate -s 100K hole && printf end >> hole && tar -S -H gnu -cf a.tar hole && \
        rm hole && test $(stat -c %s a.tar) -lt 20000";
    let mut sh = std::process::Command::new("sh");
    assert!(sh.args(["-c", script]).current_dir(root.path()).status().unwrap().success());
    let refused = extract(&archive, root.path(), &Budget::new(50 << 10, 10));
    assert!(matches!(refused, Err(ArchiveError::TooLarge(_))), "{refused:?}");
    extract(&archive, root.path(), &budget()).unwrap();
    let bytes = fs::read(root.path().join("hole")).unwrap();
    assert_eq!((bytes.len(), bytes.ends_with(b"\0end")), ((100 << 10) + 3, true));
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
        Kind::TarXz => xz(&tar, 1 << 20),
        Kind::Zip => zipped("d/f", 0o100_644),
    }
}

fn xz(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    use std::io::Write;
    let mut options = lzma_rust2::XzOptions::with_preset(1);
    options.lzma_options.dict_size = dictionary;
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    xz.write_all(bytes).unwrap();
    xz.finish().unwrap()
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
        assert!(extract(&archive, root.path(), &budget()).unwrap(), "{name}");
        assert_eq!(fs::read(root.path().join(file)).unwrap(), b"hi", "{name}");
        fs::write(&archive, b"noise").unwrap();
        assert!(extract(&archive, root.path(), &budget()).is_err(), "{name}");
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
        let refused = extract(&archive, &sandbox, &budget());
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
    let mut plain = tar::Builder::new(Vec::new());
    plain.append_data(&mut header, "zeros", zeros.as_slice()).unwrap();
    let xz = xz(&plain.into_inner().unwrap(), 1 << 20);
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
        let refused = extract(&archive, root.path(), &budget());
        assert!(matches!(refused, Err(ArchiveError::TooLarge(_))), "{name}: {refused:?}");
    }
    let files = fs::read_dir(root.path()).unwrap().flatten();
    let files = files.filter(|file| !file.file_name().to_string_lossy().starts_with("b."));
    let size: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert!(size < 4 << 20, "{size}");
}

/// Bytes that cannot be packed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

#[test]
fn xz_is_handed_on_before_its_end() {
    let root = tempfile::tempdir().unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["first", "second"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(200_000);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, noise(200_000).as_slice()).unwrap();
    }
    // One block and one dictionary, which ends too early.
    let mut packed = xz(&tar.into_inner().unwrap(), 1 << 16);
    packed.truncate(packed.len() - 1000);
    let archive = root.path().join("a.tar.xz");
    fs::write(&archive, &packed).unwrap();
    assert!(extract(&archive, root.path(), &budget()).is_err());
    assert_eq!(fs::read(root.path().join("first")).unwrap(), noise(200_000));
}

#[test]
fn xz_that_needs_too_much_memory_or_is_spoilt_at_its_end_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let tar = tar_with(&[("f", tar::EntryType::Regular, "")]);
    let archive = root.path().join("a.txz");
    let refused = |bytes: &[u8]| {
        fs::write(&archive, bytes).unwrap();
        extract(&archive, root.path(), &budget()).unwrap_err().to_string()
    };
    let told = refused(&xz(&tar, 65 << 20));
    assert!(told.ends_with("it needs a dictionary of more than 64 MiB"), "{told}");
    let mut spoilt = xz(&tar, 64 << 20);
    // Within the sum of the data, which lies behind them.
    let end = spoilt.len() - 28;
    spoilt[end] ^= 1;
    refused(&spoilt);
    fs::write(&archive, xz(&tar, 64 << 20)).unwrap();
    extract(&archive, root.path(), &budget()).unwrap();
}

#[test]
fn archive_of_too_many_headers_is_not_taken_for_one_that_ended() {
    let root = tempfile::tempdir().unwrap();
    let archive = root.path().join("a.tar");
    let names: Vec<String> = (0..20).map(|number| format!("d{number}/")).collect();
    let entries: Vec<_> =
        names.iter().map(|name| (name.as_str(), tar::EntryType::Directory, "")).collect();
    fs::write(&archive, tar_with(&entries)).unwrap();
    for few in [Budget::new(1024, 1000), Budget::new(1 << 20, 10)] {
        let refused = extract(&archive, root.path(), &few);
        assert!(matches!(refused, Err(ArchiveError::TooLarge(_))), "{refused:?}");
    }
}
