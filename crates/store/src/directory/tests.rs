use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LATER: Timestamp = Timestamp(1_800_000_000_000);

/// The release after this one.
const NEXT_RELEASE: Levels = Levels { oldest: FORMAT_LEVEL, newest: FORMAT_LEVEL + 1 };

fn place(parent: &TempDir) -> PathBuf {
    parent.path().join("a/data")
}

#[test]
fn a_new_directory_is_private_and_says_what_it_is() {
    let parent = TempDir::new().unwrap();
    let directory = DataDirectory::open(&place(&parent), NOW).unwrap();
    for part in [
        directory.path().to_path_buf(),
        directory.state(),
        directory.log(),
        directory.objects(),
        directory.keys(),
    ] {
        let mode = fs::metadata(&part).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", part.display());
    }
    let expected = Format { project: "counterpoint".to_owned(), level: 1, created: NOW };
    assert_eq!(*directory.format(), expected);
    drop(directory);
    assert_eq!(*DataDirectory::open(&place(&parent), LATER).unwrap().format(), expected);
}

#[test]
fn a_directory_has_one_user_at_a_time() {
    let parent = TempDir::new().unwrap();
    let first = DataDirectory::open(&place(&parent), NOW).unwrap();
    let error = DataDirectory::open(&place(&parent), NOW).unwrap_err();
    assert!(matches!(error, DirectoryError::InUse(_)));
    let expected = format!("data directory {} is in use by another process", place(&parent).display());
    assert_eq!(error.to_string(), expected);
    drop(first);
    DataDirectory::open(&place(&parent), NOW).unwrap();
}

#[test]
fn a_newer_level_is_refused_and_left_alone() {
    let parent = TempDir::new().unwrap();
    drop(DataDirectory::open_with(&place(&parent), NOW, NEXT_RELEASE).unwrap());
    let error = DataDirectory::open(&place(&parent), NOW).unwrap_err();
    assert!(matches!(error, DirectoryError::TooNew { found: 2, newest: 1, .. }), "{error}");
    assert!(error.to_string().contains(&place(&parent).display().to_string()), "{error}");
    drop(DataDirectory::open_with(&place(&parent), NOW, NEXT_RELEASE).unwrap());
    let skipping = Levels { oldest: 3, newest: 4 };
    let error = DataDirectory::open_with(&place(&parent), NOW, skipping).unwrap_err();
    assert!(matches!(error, DirectoryError::TooOld { found: 2, oldest: 3, .. }), "{error}");
}

#[test]
fn the_level_before_stays_until_it_is_finalised() {
    let parent = TempDir::new().unwrap();
    drop(DataDirectory::open(&place(&parent), NOW).unwrap());
    for _ in 0..2 {
        let directory = DataDirectory::open_with(&place(&parent), LATER, NEXT_RELEASE).unwrap();
        assert_eq!(directory.format().level, 1);
    }
    // the release before can take it back
    drop(DataDirectory::open(&place(&parent), NOW).unwrap());

    let mut directory = DataDirectory::open_with(&place(&parent), LATER, NEXT_RELEASE).unwrap();
    directory.finalise().unwrap();
    directory.finalise().unwrap();
    let raised = Format { project: PROJECT.to_owned(), level: 2, created: NOW };
    assert_eq!(*directory.format(), raised);
    drop(directory);
    assert!(matches!(DataDirectory::open(&place(&parent), NOW), Err(DirectoryError::TooNew { .. })));
    assert_eq!(*DataDirectory::open_with(&place(&parent), NOW, NEXT_RELEASE).unwrap().format(), raised);
}

#[test]
fn what_is_not_ours_is_refused() {
    let parent = TempDir::new().unwrap();
    fs::write(parent.path().join("letter.txt"), "dear").unwrap();
    assert!(matches!(DataDirectory::open(parent.path(), NOW), Err(DirectoryError::Foreign(_))));
    for text in
        ["", "{", r#"{"project":"other","level":1,"created":0}"#, r#"{"project":"counterpoint","level":1}"#]
    {
        fs::write(parent.path().join("FORMAT"), text).unwrap();
        let result = DataDirectory::open(parent.path(), NOW);
        assert!(matches!(result, Err(DirectoryError::Damaged { .. })), "{text}: {result:?}");
    }
}

#[test]
fn a_crash_while_creating_leaves_a_directory_that_opens() {
    let parent = TempDir::new().unwrap();
    for name in ["LOCK", "FORMAT.new"] {
        fs::write(parent.path().join(name), "").unwrap();
    }
    assert_eq!(DataDirectory::open(parent.path(), NOW).unwrap().format().created, NOW);
}
