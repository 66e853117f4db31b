use tempfile::TempDir;

use super::*;
use crate::key::{Key, Table};
use crate::kv::{Batch, Durability, Kv, Version};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A data directory in use, and a place for backups.
struct World {
    root: TempDir,
    directory: DataDirectory,
    kv: EmbeddedKv,
}

impl World {
    async fn new() -> Self {
        let root = TempDir::new().unwrap();
        let directory = DataDirectory::open(&root.path().join("data"), NOW).unwrap();
        let kv = EmbeddedKv::open(&directory.state(), &EmbeddedOptions::default()).unwrap();
        let world = Self { root, directory, kv };
        for number in 0..50 {
            world.put(number).await;
        }
        fs::write(world.directory.keys().join("master.key"), "secret").unwrap();
        fs::create_dir(world.directory.log().join("0")).unwrap();
        fs::write(world.directory.log().join("0/00000000.segment"), vec![7; 300_000]).unwrap();
        fs::write(world.directory.log().join("0/00000001.segment"), "").unwrap();
        world
    }

    async fn put(&self, number: u64) -> Version {
        let mut batch = Batch::default();
        batch.put(Key::new(Table::Ordinals).number(number), number.to_be_bytes());
        self.kv.commit(batch, Durability::Buffered).await.unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn backup(&self, name: &str) -> Result<Manifest, BackupError> {
        backup(&self.kv, &self.directory, &self.path(name), NOW)
    }

    fn restore(&self, from: &str, to: &str) -> Result<Manifest, BackupError> {
        restore(&self.path(from), &self.path(to), &EmbeddedOptions::default())
    }
}

#[tokio::test]
async fn a_restored_directory_holds_what_was_there_and_no_key() {
    let world = World::new().await;
    let manifest = world.backup("backup").unwrap();
    // what happens afterwards is not in it
    let later = world.put(99).await;
    let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["state.rows", "log/0/00000000.segment", "log/0/00000001.segment"]);
    assert_eq!((manifest.sequence, manifest.rows), (50, 51));
    assert_eq!(manifest.files[1].bytes, 300_000);
    assert_eq!(
        manifest.files[2].sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "of no bytes"
    );

    assert_eq!(world.restore("backup", "restored").unwrap(), manifest);
    let restored = DataDirectory::open(&world.path("restored"), Timestamp(0)).unwrap();
    assert_eq!(restored.format(), world.directory.format());
    assert_eq!(fs::read(restored.log().join("0/00000000.segment")).unwrap(), vec![7; 300_000]);
    assert!(fs::read(restored.log().join("0/00000001.segment")).unwrap().is_empty());
    assert_eq!(fs::read_dir(restored.keys()).unwrap().count(), 0);
    let kv = EmbeddedKv::open(&restored.state(), &EmbeddedOptions::default()).unwrap();
    let range = Key::new(Table::Ordinals).prefix();
    let mut expected = world.kv.scan(range.clone(), 1_000).await.unwrap();
    expected.retain(|(_, row)| row.version != later);
    assert_eq!(kv.scan(range, 1_000).await.unwrap(), expected);
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let world = World::new().await;
    world.backup("backup").unwrap();
    assert!(matches!(world.backup("backup"), Err(BackupError::NotEmpty(_))));
    assert!(matches!(world.restore("backup", "data"), Err(BackupError::NotEmpty(_))));
    world.restore("backup", "restored").unwrap();
    assert!(matches!(world.restore("backup", "restored"), Err(BackupError::NotEmpty(_))));
}

/// A file of the backup, and what happens to it.
type Damage = (&'static str, fn(&Path));

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_no_data_directory() {
    let world = World::new().await;
    let damages: [Damage; 6] = [
        ("manifest.json", |path| fs::remove_file(path).unwrap()),
        ("manifest.json", |path| fs::write(path, "{}").unwrap()),
        ("manifest.json", |path| {
            let text = fs::read_to_string(path).unwrap().replace("log/0/00000001", "log/../../00000001");
            fs::write(path, text).unwrap();
        }),
        ("state.rows", |path| {
            let mut bytes = fs::read(path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("log/0/00000000.segment", |path| fs::write(path, vec![8; 300_000]).unwrap()),
        ("log/0/00000001.segment", |path| fs::write(path, "more").unwrap()),
    ];
    for (number, (file, damage)) in damages.into_iter().enumerate() {
        let (from, to) = (format!("backup-{number}"), format!("restored-{number}"));
        world.backup(&from).unwrap();
        damage(&world.path(&from).join(file));
        let result = world.restore(&from, &to);
        assert!(matches!(result, Err(BackupError::Damaged { .. })), "{file}: {result:?}");
        assert!(!world.path(&to).join("FORMAT").exists());
    }
    // an interrupted restore does not open as an empty directory
    let interrupted = DataDirectory::open(&world.path("restored-3"), NOW);
    assert!(matches!(interrupted, Err(DirectoryError::Foreign(_))), "{interrupted:?}");
}

#[tokio::test]
async fn a_backup_of_a_newer_level_is_refused() {
    let world = World::new().await;
    world.backup("backup").unwrap();
    let path = world.path("backup/manifest.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"level\": 1", "\"level\": 2");
    fs::write(&path, text).unwrap();
    let result = world.restore("backup", "restored");
    assert!(
        matches!(result, Err(BackupError::Directory(DirectoryError::TooNew { found: 2, .. }))),
        "{result:?}"
    );
    assert!(!world.path("restored").exists());
}

#[tokio::test]
async fn a_file_that_is_trimmed_meanwhile_fails_the_backup() {
    let world = World::new().await;
    // listed, and gone when it is opened
    std::os::unix::fs::symlink("nowhere", world.directory.log().join("0/00000002.segment")).unwrap();
    let result = world.backup("backup");
    assert!(
        matches!(&result, Err(BackupError::Trimmed(path)) if path.ends_with("0/00000002.segment")),
        "{result:?}"
    );
    assert!(matches!(world.restore("backup", "restored"), Err(BackupError::Damaged { .. })));
}

#[test]
fn only_paths_below_the_log_are_restored() {
    for (path, allowed) in [
        ("log/a", true),
        ("log/0/a", true),
        ("log/../a", false),
        ("/log/a", false),
        ("keys/a", false),
        ("logs/a", false),
        ("../log/a", false),
        ("", false),
    ] {
        assert_eq!(is_log_path(path), allowed, "{path}");
    }
}
