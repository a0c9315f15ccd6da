//! Compiles the schema with protox and generates the message types with prost.

use std::path::{Path, PathBuf};

use prost::Message;

/// Fields that are large and seldom there. Without a box for it, each resource would be as large as
/// its disk, and each of the many tasks of a slave that comes back as large as a container.
const SELDOM: [&str; 11] = [
    ".mesos.Resource.disk",
    ".mesos.Task.container",
    ".mesos.Task.discovery",
    ".mesos.Task.health_check",
    ".mesos.TaskInfo.check",
    ".mesos.TaskInfo.container",
    ".mesos.TaskInfo.discovery",
    ".mesos.TaskInfo.executor",
    ".mesos.TaskInfo.health_check",
    ".mesos.ExecutorInfo.container",
    ".mesos.ExecutorInfo.discovery",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    println!("cargo:rerun-if-changed=proto");
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // The fields that newer schemas call deprecated are the ones that the v0 protocol speaks.
    descriptors.file.iter_mut().flat_map(|file| &mut file.message_type).for_each(undeprecate);
    let mut config = prost_build::Config::new();
    SELDOM.iter().for_each(|field| {
        config.boxed(field);
    });
    config
        .enable_type_names()
        .bytes(["."])
        .btree_map(["."])
        .include_file("modules.rs")
        .compile_fds(descriptors)?;
    Ok(())
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

fn undeprecate(message: &mut prost_types::DescriptorProto) {
    for field in &mut message.field {
        if let Some(options) = &mut field.options {
            options.deprecated = None;
        }
    }
    let values = message.enum_type.iter_mut().flat_map(|e| &mut e.value);
    values.filter_map(|value| value.options.as_mut()).for_each(|o| o.deprecated = None);
    message.nested_type.iter_mut().for_each(undeprecate);
}
