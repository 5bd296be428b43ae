//! Files that change: certificates are exchanged, the configuration is reloaded where `watch: true` asks for it.
//!
//! They are looked at every two seconds rather than subscribed to: a stat costs nothing, and works alike on network file
//! systems and for the symbolic links of mounted Kubernetes volumes, where notifications do not.

use super::gateway::Gateway;
use crate::listener::{Certificate, Certificates, ListenerTls};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(2);

/// What a file looked like.
type Look = Option<(u64, u64, i64, i64)>;

fn look(path: &Path) -> Look {
    let data = std::fs::metadata(path).ok()?;
    Some((data.ino(), data.len(), data.mtime(), data.mtime_nsec()))
}

/// Files and what they looked like last.
#[derive(Default)]
struct Seen {
    files: Vec<(PathBuf, Look)>,
}

impl Seen {
    /// Whether any of these changed since the last call with the same files. A first look, and other files, are no change.
    fn changed(&mut self, files: &[PathBuf]) -> bool {
        let now: Vec<(PathBuf, Look)> = files.iter().map(|path| (path.clone(), look(path))).collect();
        let same_files = now.iter().map(|(path, _)| path).eq(self.files.iter().map(|(path, _)| path));
        let changed = same_files && now != self.files;
        self.files = now;
        changed
    }
}

/// Watches until the gateway is gone.
pub async fn run(gateway: Weak<Gateway>) {
    let (mut certificates, mut config) = (Seen::default(), Seen::default());
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let Some(gateway) = gateway.upgrade() else { return };
        gateway.drop_retired();
        let listeners = gateway.running_tls();
        let files: Vec<PathBuf> = listeners
            .iter()
            .flat_map(|tls| tls.files.iter().flat_map(|(cert, key)| [cert.clone(), key.clone()]))
            .collect();
        if certificates.changed(&files) {
            listeners.iter().for_each(|tls| exchange(tls));
            gateway.publish_certificates();
        }
        let snapshot = gateway.shared().store.load();
        if config.changed(&snapshot.process.watched) {
            let gateway = Arc::clone(&gateway);
            let _ = tokio::task::spawn_blocking(move || gateway.reload()).await;
        }
    }
}

/// Reads all certificates of a listener anew; one that cannot be used leaves those in service.
fn exchange(tls: &ListenerTls) {
    let read: Result<Vec<Certificate>, _> = tls.files.iter().map(|(cert, key)| Certificate::read(cert, key)).collect();
    match read {
        Ok(all) => {
            tls.certificates.store(Arc::new(Certificates::new(all)));
            log::info!("certificates read anew");
        }
        Err(error) => log::error!("certificates not exchanged: {}", error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let mut seen = Seen::default();
        let files = [file.clone()];
        assert!(!seen.changed(&files));
        assert!(!seen.changed(&files));
        std::fs::write(&file, "three").unwrap();
        assert!(seen.changed(&files));
        assert!(!seen.changed(&files));
    }
}
