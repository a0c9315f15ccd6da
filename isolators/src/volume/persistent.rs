//! Where persistent volumes are kept on the host.

use std::path::{Path, PathBuf};

use protos::mesos::resource::disk_info::source;
use protos::mesos::{Resource, Volume, volume};

/// The directory of a persistent volume: below the work directory, below the root of its disk, or a
/// whole mount. Slashes of the role become blanks. None for resources that are none.
pub fn host_path(work_dir: &Path, resource: &Resource) -> Option<PathBuf> {
    let disk = resource.disk.as_ref()?;
    let id = &disk.persistence.as_ref()?.id;
    // Resources tell their role in one of two ways.
    let role = protos::resources::reservation_role(resource).unwrap_or_else(|| resource.role());
    let role = role.replace('/', " ");
    let place = |root: &Path| root.join("volumes").join("roles").join(&role).join(id);
    // A relative root is one below the work directory.
    let Some(source) = &disk.source else { return Some(place(work_dir)) };
    match source.r#type() {
        source::Type::Path => {
            let root = source.path.as_ref()?.root.as_deref()?;
            Some(place(&work_dir.join(root)))
        }
        source::Type::Mount => {
            let root = source.mount.as_ref()?.root.as_deref()?;
            Some(work_dir.join(root))
        }
        _ => None,
    }
}

/// True when a container may write to a volume.
pub fn is_writable(volume: &Volume) -> bool {
    volume.mode() == volume::Mode::Rw
}

#[cfg(test)]
mod tests {
    use protos::mesos::resource::{DiskInfo, ReservationInfo, disk_info};

    use super::*;

    fn resource(source: Option<disk_info::Source>) -> Resource {
        Resource {
            name: "disk".to_owned(),
            reservations: vec![ReservationInfo {
                role: Some("a/b".to_owned()),
                ..ReservationInfo::default()
            }],
            disk: Some(Box::new(DiskInfo {
                persistence: Some(disk_info::Persistence { id: "v".to_owned(), principal: None }),
                source,
                ..DiskInfo::default()
            })),
            ..Resource::default()
        }
    }

    #[test]
    fn volume_paths_depend_on_the_disk() {
        let work_dir = Path::new("/work");
        let path = |source| host_path(work_dir, &resource(source)).unwrap();
        assert_eq!(path(None), Path::new("/work/volumes/roles/a b/v"));
        let mut source = disk_info::Source {
            r#type: source::Type::Path as i32,
            path: Some(source::Path { root: Some("/disk".to_owned()) }),
            mount: Some(source::Mount { root: Some("/mnt/1".to_owned()) }),
            ..disk_info::Source::default()
        };
        assert_eq!(path(Some(source.clone())), Path::new("/disk/volumes/roles/a b/v"));
        source.r#type = source::Type::Mount as i32;
        assert_eq!(path(Some(source)), Path::new("/mnt/1"));
        assert_eq!(host_path(work_dir, &Resource::default()), None);
    }
}
