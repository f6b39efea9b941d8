use std::fs::File;

/// The types of file systems on a disk of this machine or in its memory, as Linux names them. A network file system can let
/// a write wait without end, so a type that is not in this list counts as one.
#[cfg(target_os = "linux")]
const LOCAL: [&str; 9] = ["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs"];

/// Whether a file is on a disk of this machine or in its memory. Without an answer of the system, the file is not.
#[cfg(target_os = "linux")]
pub(super) fn is_local(file: &File) -> bool {
    use std::{fs, os::fd::AsRawFd};

    let mount = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()));
    let mounts = fs::read_to_string("/proc/self/mountinfo");
    let (Ok(mount), Ok(mounts)) = (mount, mounts) else { return false };
    let mount = mount.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim);
    mount.and_then(|mount| type_of(&mounts, mount)).is_some_and(|name| LOCAL.contains(&name))
}

/// Only Linux says on which file system a file is.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_local(_: &File) -> bool {
    false
}

/// Returns the type of the file system of a mount: see `proc_pid_mountinfo(5)`.
#[cfg(target_os = "linux")]
fn type_of<'a>(mounts: &'a str, mount: &str) -> Option<&'a str> {
    let mut lines = mounts.lines();
    let line = lines.find(|line| line.split(' ').next() == Some(mount))?;
    line.split_once(" - ")?.1.split(' ').next()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_network_file_system_is_not_local() {
        let mounts = "22 1 8:1 / / rw,noatime shared:1 - ext4 /dev/sda1 rw\n\
                      222 22 0:40 / /srv rw,relatime shared:9 master:2 - nfs4 server:/srv rw\n\
                      35 22 0:41 /a /b rw - fuse.s3fs s3fs rw\n";
        for (mount, expected) in [("22", Some("ext4")), ("222", Some("nfs4")), ("35", Some("fuse.s3fs")), ("2", None)] {
            assert_eq!(type_of(mounts, mount), expected, "{mount}");
        }
        assert!(!LOCAL.iter().any(|name| name.starts_with("nfs") || name.starts_with("fuse")));
        assert!(!is_local(&File::open("/proc/self/mountinfo").unwrap()));
    }

    #[test]
    fn a_file_in_memory_is_local() {
        let path = format!("/dev/shm/local-{}", std::process::id());
        let file = File::create(&path).unwrap();
        assert!(is_local(&file));
        std::fs::remove_file(path).unwrap();
    }
}
