//! TLS, users and passwords.

use std::fs;

use equilibrium_app::contract;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cache::{Cache, CacheSettings, Credentials, Layout, UnusableSettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::server::{Server, free_port};
use crate::{DEADLINE, settings};

const USER: &str = "surge";
const PASSWORD: &str = "open sesame";

/// A server that speaks TLS and knows one user who may do anything to the maps' keys.
struct Guarded {
    _server: Server,
    _folder: TempDir,
    settings: CacheSettings,
}

impl Guarded {
    fn start() -> Self {
        let mut roots = CertificateParams::new(Vec::new()).unwrap();
        roots.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(roots, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &root).unwrap();

        let folder = TempDir::new().unwrap();
        let write = |name: &str, content: String| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let port = free_port();
        let user = format!("{USER} on >{} ~equilibrium:* +@all", PASSWORD.replace(' ', "_"));
        let users = write("users.acl", format!("user {user}\nuser default off\n"));
        let server = Server::start(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &write("server.pem", certificate.pem()),
            "--tls-key-file",
            &write("server.key", key.serialize_pem()),
            "--tls-ca-cert-file",
            &write("roots.pem", root.pem()),
            "--tls-auth-clients",
            "no",
            "--aclfile",
            &users,
        ]);
        let settings = CacheSettings {
            endpoints: vec![format!("rediss://127.0.0.1:{port}")],
            layout: Layout::Single,
            credentials: Some(Credentials {
                user: Some(USER.to_owned()),
                password: PASSWORD.replace(' ', "_"),
            }),
            roots: Some(root.pem().into_bytes()),
            deadline: DEADLINE,
        };
        Self { _server: server, _folder: folder, settings }
    }
}

#[tokio::test]
async fn over_tls_and_as_a_user_the_contract_is_kept() {
    let guarded = Guarded::start();
    contract::map_store(&Cache::new(&guarded.settings).unwrap()).await;
}

#[tokio::test]
async fn a_wrong_password_or_none_is_unavailable() {
    let guarded = Guarded::start();
    for password in [None, Some("wrong"), Some("")] {
        let mut settings = guarded.settings.clone();
        settings.credentials = password
            .map(|password| Credentials { user: Some(USER.to_owned()), password: password.to_owned() });
        assert_eq!(Cache::new(&settings).unwrap().ping().await, Err(Unavailable), "{password:?}");
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_unavailable() {
    let guarded = Guarded::start();
    let settings = CacheSettings { roots: None, ..guarded.settings.clone() };
    assert_eq!(Cache::new(&settings).unwrap().ping().await, Err(Unavailable));
    let stranger = Guarded::start();
    let settings = CacheSettings { roots: stranger.settings.roots.clone(), ..guarded.settings.clone() };
    assert_eq!(Cache::new(&settings).unwrap().ping().await, Err(Unavailable));
}

#[test]
fn settings_that_name_no_cache_are_refused() {
    let refused = |endpoints: &[&str], layout| {
        let mut settings = settings(String::new());
        settings.endpoints = endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect();
        settings.layout = layout;
        Cache::new(&settings).map(drop).unwrap_err()
    };
    let good = "redis://cache:6379";
    assert_eq!(refused(&[], Layout::Cluster), UnusableSettings::Endpoints { found: 0 });
    assert_eq!(refused(&[good, good], Layout::Single), UnusableSettings::Endpoints { found: 2 });
    for wrong in ["http://cache", "", "redis+unix:///run/cache"] {
        assert_eq!(refused(&[wrong], Layout::Single), UnusableSettings::Endpoint { index: 0 }, "{wrong}");
    }
    assert_eq!(refused(&[good, "cache:6379"], Layout::Cluster), UnusableSettings::Endpoint { index: 1 });
    assert_eq!(
        refused(&[good, "rediss://cache:6379"], Layout::Cluster),
        UnusableSettings::Endpoint { index: 1 }
    );
    let mut settings = settings("rediss://cache:6379".to_owned());
    settings.roots = Some(b"no certificate".to_vec());
    for layout in [Layout::Single, Layout::Cluster] {
        settings.layout = layout;
        assert_eq!(Cache::new(&settings).map(drop), Err(UnusableSettings::Roots));
    }
}

#[test]
fn nothing_shows_a_password() {
    let mut settings = settings("rediss://surge:sesame@cache:6379".to_owned());
    settings.credentials = Some(Credentials { user: None, password: "sesame".to_owned() });
    let shown = format!("{settings:?} {:?}", Cache::new(&settings).unwrap());
    assert!(!shown.contains("sesame"), "{shown}");
}
