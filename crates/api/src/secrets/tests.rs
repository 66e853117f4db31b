//! The master key's file, sealing, and new keys.

use std::collections::HashSet;

use super::*;

fn key() -> MasterKey {
    MasterKey::new(&[7; MASTER_KEY_BYTES])
}

#[test]
fn a_sealed_secret_opens_for_its_context_alone() {
    let sealed = key().seal("hunter2", b"CPKA1").unwrap();
    assert_eq!(key().open(&sealed, b"CPKA1").unwrap().reveal(), "hunter2");
    assert!(matches!(key().open(&sealed, b"CPKA2"), Err(SecretsError::CannotOpen)));
    assert!(matches!(
        MasterKey::new(&[8; MASTER_KEY_BYTES]).open(&sealed, b"CPKA1"),
        Err(SecretsError::CannotOpen)
    ));
    assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
    assert_eq!(key().open(&key().seal("", b"").unwrap(), b"").unwrap().reveal(), "");
}

/// The format byte, a nonce of 0 to 11, and what AES-256-GCM of somebody else makes of it.
#[test]
fn what_was_sealed_stays_readable() {
    let sealed = b"\x01\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\
        \x70\xf4\x87\x04\x78\x7b\xeb\x6a\x41\xd0\xde\xba\x3f\xf3\x06\x67\x91\xe1\x50\x6c\x08\xf3\x15";
    assert_eq!(key().open(sealed, b"CPKA1").unwrap().reveal(), "hunter2");
}

#[test]
fn any_damage_is_found() {
    let sealed = key().seal("hunter2", b"CPKA1").unwrap();
    for place in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[place] ^= 1;
        assert!(key().open(&damaged, b"CPKA1").is_err(), "byte {place}");
        assert!(key().open(&sealed[..place], b"CPKA1").is_err(), "cut at {place}");
    }
}

#[test]
fn a_nonce_is_never_used_twice() {
    let sealed: HashSet<Vec<u8>> =
        (0..100).map(|_| key().seal("same", b"").unwrap()[1..13].to_vec()).collect();
    assert_eq!(sealed.len(), 100);
}

#[test]
fn the_file_is_made_once_and_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    let sealed = MasterKey::load_or_create(&path).unwrap().seal("hunter2", b"").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(text.trim_end().len(), MASTER_KEY_BYTES * 2);
    assert_eq!(MasterKey::load_or_create(&path).unwrap().open(&sealed, b"").unwrap().reveal(), "hunter2");
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "the file is not replaced");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn all_who_race_for_the_file_get_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    let keys: Vec<MasterKey> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| MasterKey::load_or_create(&path).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sealed = keys[0].seal("x", b"").unwrap();
    assert!(keys.iter().all(|key| key.open(&sealed, b"").is_ok()));
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    MasterKey::load_or_create(&path).unwrap();
    for (mode, accepted) in [(0o640, false), (0o604, false), (0o620, false), (0o601, false), (0o400, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = MasterKey::load_or_create(&path);
        assert_eq!(loaded.is_ok(), accepted, "{mode:o}");
        if let Err(error) = loaded {
            assert!(error.to_string().contains(&format!("(mode {mode:o}): run `chmod 600`")), "{error}");
        }
    }
}

#[test]
fn a_file_with_anything_else_in_it_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    for text in ["", "abc", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"A".repeat(64)] {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(MasterKey::load_or_create(&path), Err(SecretsError::Malformed { .. })), "{text}");
    }
    assert!(matches!(
        MasterKey::load_or_create(&directory.path().join("none/master.key")),
        Err(SecretsError::Io { .. })
    ));
}

#[test]
fn a_secret_is_not_shown() {
    let secret = Secret::new("hunter2");
    assert_eq!(format!("{secret:?} {secret}"), "Secret(…) …");
    let key = AccessKey { id: "CPKA1".to_owned(), secret };
    assert_eq!(format!("{key:?}"), r#"AccessKey { id: "CPKA1", secret: Secret(…) }"#);
    assert_eq!(format!("{:?}", self::key()), "MasterKey(…)");
}

#[test]
fn new_keys_have_the_shape_of_aws_keys() {
    let ids: HashSet<String> = (0..50)
        .map(|_| {
            let key = AccessKey::generate().unwrap();
            assert_eq!((key.id.len(), key.secret.reveal().len()), (20, 40));
            assert!(key.id.starts_with(ACCESS_KEY_PREFIX));
            assert!(key.id.bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte)));
            key.id
        })
        .collect();
    assert_eq!(ids.len(), 50);
    assert_eq!(base32([0xff; 10]), "7".repeat(16));
    assert_eq!(base32([0, 0, 0, 0, 0, 0, 0, 0, 0, 33]), "AAAAAAAAAAAAAABB");
}
