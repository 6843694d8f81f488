//! `/etc`: generated, so that nothing of the host's users, names or settings is in it; only certificates, links and
//! the table of libraries are the host's.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::mounts;
use super::root::RootError;
use crate::spec::{Network, Spec};

/// Public and needed: certificates, the links of Debian's alternatives, where libraries are, well-known ports.
const SHOWN: &[&str] = &[
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/services",
    "/etc/protocols",
    "/etc/mime.types",
];
const ZONES: &str = "/usr/share/zoneinfo/";

pub(super) fn write(root: &OwnedFd, built_at: &Path, spec: &Spec) -> Result<(), RootError> {
    let folder = built_at.join("etc");
    std::fs::create_dir(&folder).map_err(|source| RootError::Write { path: folder.clone(), source })?;
    write_all(&folder, files(spec))?;
    // Without a link that we understand the time zone is UTC.
    if let Ok(zone) = std::fs::read_link("/etc/localtime")
        && zone.starts_with(ZONES)
    {
        let path = folder.join("localtime");
        std::os::unix::fs::symlink(zone, &path).map_err(|source| RootError::Write { path, source })?;
    }
    for path in SHOWN.iter().map(Path::new).filter(|path| path.exists()) {
        mounts::attach(&mounts::bind(&mounts::open_path(path)?, mounts::READ_ONLY)?, root, path)?;
    }
    Ok(())
}

/// The names of the payload's user and group.
pub(super) fn name_users(folder: &Path, spec: &Spec) -> Result<(), RootError> {
    let (uid, gid, home) = (spec.uid, spec.gid, spec.home.display());
    let passwd = format!("root:x:0:0:root:/root:/usr/sbin/nologin\nskylift:x:{uid}:{gid}::{home}:/bin/sh\n");
    write_all(folder, [("passwd", passwd), ("group", format!("root:x:0:\nskylift:x:{gid}:\n"))])
}

/// The same where many share what is written here: there they are another file system's, which is mounted at `names_at`.
pub(super) fn link_names(folder: &Path, names_at: &str) -> Result<(), RootError> {
    for name in ["passwd", "group"] {
        let path = folder.join(name);
        std::os::unix::fs::symlink(format!("{names_at}/{name}"), &path)
            .map_err(|source| RootError::Write { path, source })?;
    }
    Ok(())
}

fn write_all<const N: usize>(folder: &Path, files: [(&'static str, String); N]) -> Result<(), RootError> {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|source| RootError::Write { path, source })?;
    }
    Ok(())
}

fn files(spec: &Spec) -> [(&'static str, String); 4] {
    let resolver = match &spec.network {
        Network::Relay { dns: true, .. } => "nameserver 127.0.0.1\n",
        Network::Relay { dns: false, .. } | Network::Answered { .. } | Network::None => "",
    };
    [
        ("hosts", "127.0.0.1 localhost skylift\n::1 localhost ip6-localhost ip6-loopback\n".to_owned()),
        ("resolv.conf", resolver.to_owned()),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n".to_owned(),
        ),
        ("hostname", "skylift\n".to_owned()),
    ]
}
