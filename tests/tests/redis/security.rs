//! TLS, users and passwords, and invalid settings.

use std::fs;

use equilibrium_app::contract;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cache::{Cache, CacheSettings, Credentials, Layout, UnusableSettings};
use equilibrium_tests::harness::redis::{RedisServer, free_port};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::{DEADLINE, settings};

const USER: &str = "surge";
const PASSWORD: &str = "open sesame";

/// A server with TLS and one user, which may use any command on the keys of maps.
struct SecureServer {
    _server: RedisServer,
    _folder: TempDir,
    settings: CacheSettings,
}

impl SecureServer {
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
        let server = RedisServer::start(&[
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
async fn a_user_over_tls_meets_the_contract_of_the_map_store() {
    let server = SecureServer::start();
    contract::map_store(&Cache::new(&server.settings).unwrap()).await;
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_unavailable() {
    let server = SecureServer::start();
    for password in [None, Some("wrong"), Some("")] {
        let mut settings = server.settings.clone();
        settings.credentials = password
            .map(|password| Credentials { user: Some(USER.to_owned()), password: password.to_owned() });
        assert_eq!(Cache::new(&settings).unwrap().ping().await, Err(Unavailable), "{password:?}");
    }
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_trusted_is_unavailable() {
    let server = SecureServer::start();
    let settings = CacheSettings { roots: None, ..server.settings.clone() };
    assert_eq!(Cache::new(&settings).unwrap().ping().await, Err(Unavailable));
    let other = SecureServer::start();
    let settings = CacheSettings { roots: other.settings.roots.clone(), ..server.settings.clone() };
    assert_eq!(Cache::new(&settings).unwrap().ping().await, Err(Unavailable));
}

#[test]
fn invalid_settings_are_refused() {
    let refused = |endpoints: &[&str], layout| {
        let mut settings = settings(String::new());
        settings.endpoints = endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect();
        settings.layout = layout;
        Cache::new(&settings).map(drop).unwrap_err()
    };
    let valid = "redis://cache:6379";
    assert_eq!(refused(&[], Layout::Cluster), UnusableSettings::Endpoints { found: 0 });
    assert_eq!(refused(&[valid, valid], Layout::Single), UnusableSettings::Endpoints { found: 2 });
    for invalid in ["http://cache", "", "redis+unix:///run/cache"] {
        assert_eq!(refused(&[invalid], Layout::Single), UnusableSettings::Endpoint { index: 0 }, "{invalid}");
    }
    assert_eq!(refused(&[valid, "cache:6379"], Layout::Cluster), UnusableSettings::Endpoint { index: 1 });
    assert_eq!(
        refused(&[valid, "rediss://cache:6379"], Layout::Cluster),
        UnusableSettings::Endpoint { index: 1 }
    );
    let mut settings = settings("rediss://cache:6379".to_owned());
    settings.roots = Some(b"not a certificate".to_vec());
    for layout in [Layout::Single, Layout::Cluster] {
        settings.layout = layout;
        assert_eq!(Cache::new(&settings).map(drop), Err(UnusableSettings::Roots));
    }
}

#[test]
fn debug_output_omits_passwords() {
    let mut settings = settings("rediss://surge:sesame@cache:6379".to_owned());
    settings.credentials = Some(Credentials { user: None, password: "sesame".to_owned() });
    let output = format!("{settings:?} {:?}", Cache::new(&settings).unwrap());
    assert!(!output.contains("sesame"), "{output}");
}
