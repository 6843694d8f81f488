//! What a container is made from. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

/// Makes the engine's init hand signals on to the whole process group of the app.
const INIT_SIGNALS_GROUP: &str = "TINI_KILL_PROCESS_GROUP=1";
/// The engine's init itself counts as a process.
const OWN_PIDS: u32 = 1;

/// What a container is to be.
#[derive(Clone, Debug)]
pub struct Order {
    /// The image's id.
    pub image: String,
    /// What is started; empty for what the image says.
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// The user and group, where the image's own is not taken.
    pub user: Option<String>,
    pub hostname: String,
    pub labels: BTreeMap<String, String>,
    /// In bytes; no swap on top.
    pub memory_bytes: u64,
    /// Thousandths of a CPU.
    pub cpu_millicores: u32,
    /// Processes and threads.
    pub pids: u32,
    /// Folders in memory, each with its bytes; among them all that the image wants as volumes.
    pub tmpfs: BTreeMap<String, u64>,
    /// Folders of this machine that it sees.
    pub binds: Vec<Bind>,
    /// The largest file that it may write, in bytes, where that is limited.
    pub file_bytes_max: Option<u64>,
}

/// A folder of this machine, writable in a container.
#[derive(Clone, Debug)]
pub struct Bind {
    /// Absolute; the engine refuses one that is not there.
    pub from: PathBuf,
    /// Where it is seen.
    pub to: String,
}

impl Order {
    pub(super) fn document(&self) -> Value {
        let env = self.env.iter().map(|(name, value)| format!("{name}={value}"));
        let env: Vec<String> = env.chain([INIT_SIGNALS_GROUP.to_owned()]).collect();
        let tmpfs =
            self.tmpfs.iter().map(|(path, bytes)| (path, format!("rw,exec,nosuid,nodev,mode=1777,size={bytes}")));
        let mounts = self.binds.iter().map(Bind::document);
        // One that is limited may not raise it again.
        let ulimits = self.file_bytes_max.map(|most| json!({ "Name": "fsize", "Soft": most, "Hard": most }));
        let mut document = json!({
            "Image": self.image,
            "Env": env,
            "Hostname": self.hostname,
            "Labels": self.labels,
            "HostConfig": {
                "NetworkMode": "none",
                // Every address of its network is the platform's, this one included.
                "Dns": ["127.0.0.1"],
                "IpcMode": "private",
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges:true"],
                "Memory": self.memory_bytes,
                "MemorySwap": self.memory_bytes,
                "NanoCpus": u64::from(self.cpu_millicores) * 1_000_000,
                "PidsLimit": self.pids.saturating_add(OWN_PIDS),
                "Init": true,
                // What it prints is taken as it comes, and nothing of it is kept by the engine.
                "LogConfig": { "Type": "none" },
                "RestartPolicy": { "Name": "no" },
                "Tmpfs": tmpfs.collect::<BTreeMap<_, _>>(),
                "Mounts": mounts.collect::<Vec<_>>(),
                "Ulimits": ulimits.into_iter().collect::<Vec<_>>(),
            },
        });
        let mut set = |field: &str, value| document.as_object_mut().and_then(|all| all.insert(field.to_owned(), value));
        if let Some(user) = &self.user {
            set("User", json!(user));
        }
        if !self.command.is_empty() {
            set("Entrypoint", json!(self.command));
            set("Cmd", json!([]));
        }
        document
    }
}

impl Bind {
    fn document(&self) -> Value {
        json!({ "Type": "bind", "Source": self.from, "Target": self.to, "BindOptions": { "Propagation": "rprivate" } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_host_is_given_and_every_limit_is_set() {
        let order = Order {
            image: "sha256:ab".to_owned(),
            command: vec![],
            env: [("PORT".to_owned(), "8080".to_owned())].into(),
            user: Some("1:1".to_owned()),
            hostname: "i-1".to_owned(),
            labels: BTreeMap::new(),
            memory_bytes: 256 << 20,
            cpu_millicores: 500,
            pids: 64,
            tmpfs: [("/data".to_owned(), 1 << 20)].into(),
            binds: vec![],
            file_bytes_max: None,
        };
        let document = order.document();
        let host = &document["HostConfig"];
        for (name, expected) in [
            ("NetworkMode", json!("none")),
            ("CapDrop", json!(["ALL"])),
            ("SecurityOpt", json!(["no-new-privileges:true"])),
            ("Memory", json!(268_435_456)),
            ("MemorySwap", json!(268_435_456)),
            ("NanoCpus", json!(500_000_000)),
            ("PidsLimit", json!(65)),
            ("Init", json!(true)),
            ("Mounts", json!([])),
        ] {
            assert_eq!(host[name], expected, "{name}");
        }
        for name in ["Binds", "Privileged", "CapAdd", "Devices", "PidMode", "PortBindings"] {
            assert!(host.get(name).is_none(), "{name}");
        }
        assert_eq!(document["Env"], json!(["PORT=8080", "TINI_KILL_PROCESS_GROUP=1"]));
        assert_eq!((document.get("Cmd"), &document["User"]), (None, &json!("1:1")));

        let bind = Bind { from: "/srv/v".into(), to: "/data".to_owned() };
        let host = &Order { binds: vec![bind], file_bytes_max: Some(0), ..order }.document()["HostConfig"];
        let options = json!({ "Propagation": "rprivate" });
        let mount = json!({ "Type": "bind", "Source": "/srv/v", "Target": "/data", "BindOptions": options });
        assert_eq!(host["Mounts"], json!([mount]), "what is asked for alone");
        assert_eq!(host["Ulimits"], json!([{ "Name": "fsize", "Soft": 0, "Hard": 0 }]));
    }
}
