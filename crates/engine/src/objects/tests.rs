use std::fs;

use tempfile::TempDir;

use super::*;

async fn write(objects: &Objects, url: &str, parts: &[&[u8]]) {
    let url = parse_s3_url(url).unwrap();
    let bucket = objects.bucket_to_write(&url.bucket).await.unwrap();
    let mut object = bucket.create(&url.path);
    for part in parts {
        object.write(Bytes::copy_from_slice(part)).await.unwrap();
    }
    object.finish().await.unwrap();
}

async fn find(objects: &Objects, url: &str) -> Result<Vec<String>, ObjectsError> {
    let url = parse_s3_url(url).unwrap();
    let found = objects.bucket(&url.bucket)?.find(&url).await?;
    Ok(found.into_iter().map(|object| format!("{}:{}", object.path, object.bytes)).collect())
}

#[test]
fn urls_are_read_and_tricks_are_refused() {
    let parsed =
        |url: &str| parse_s3_url(url).map(|url| (url.bucket, url.path.to_string(), url.is_folder)).ok();
    let some = |bucket: &str, path: &str, is_folder| Some((bucket.to_owned(), path.to_owned(), is_folder));
    assert_eq!(parsed("s3://b/a/c d.csv"), some("b", "a/c d.csv", false));
    assert_eq!(parsed("s3://my-bucket.x/a/"), some("my-bucket.x", "a", true));
    assert_eq!(parsed("s3://b"), some("b", "", true));
    assert_eq!(parsed("s3://b/"), some("b", "", true));
    assert_eq!(parsed("s3://b/ä%2F..csv"), some("b", "ä%2F..csv", false));
    for url in [
        "",
        "b/k",
        "http://b/k",
        "s3://",
        "s3:///etc/passwd",
        "s3://../k",
        "s3://./k",
        "s3://..",
        "s3://b/../k",
        "s3://b/a/../../k",
        "s3://b/./k",
        "s3://b//etc/passwd",
        "s3://b/a//k",
        "s3://b/a/..",
        "s3://b/a\0",
        "s3://a b/k",
        "s3://b\\..\\c/k",
    ] {
        assert_eq!(parsed(url), None, "{url:?}");
    }
    assert_eq!(parsed(&format!("s3://b/{}", "k".repeat(KEY_BYTES_MAX + 1))), None);
}

#[tokio::test]
async fn what_is_written_is_whole_and_found_in_order() {
    let directory = TempDir::new().unwrap();
    let objects = Objects::Directory(directory.path().to_owned());
    write(&objects, "s3://b/in/z.csv", &[b"zz"]).await;
    write(&objects, "s3://b/in/sub/deep/a.csv", &[b"a"]).await;
    write(&objects, "s3://b/in-2/x.csv", &[b"x"]).await;
    write(&objects, "s3://b/in/a%b.csv", &[b"%"]).await;
    fs::write(directory.path().join("b/in/marker"), b"").unwrap();
    let large = vec![7; WRITE_BYTES / 2 + 1];
    write(&objects, "s3://b/large", &[&large, &large, &large]).await;

    let all = ["in/a%b.csv:1", "in/sub/deep/a.csv:1", "in/z.csv:2"];
    assert_eq!(find(&objects, "s3://b/in").await.unwrap(), all);
    assert_eq!(find(&objects, "s3://b/in/").await.unwrap(), all);
    assert_eq!(find(&objects, "s3://b/in/z.csv").await.unwrap(), ["in/z.csv:2"]);
    assert!(matches!(
        find(&objects, "s3://b/in/z.csv/").await,
        Err(ObjectsError::Missing(_) | ObjectsError::Failed(..))
    ));
    assert!(matches!(find(&objects, "s3://b/i").await, Err(ObjectsError::Missing(_))));
    assert!(matches!(find(&objects, "s3://c/in").await, Err(ObjectsError::Missing(_))));
    assert!(matches!(find(&Objects::None, "s3://b/in").await, Err(ObjectsError::Unconfigured)));

    let bucket = objects.bucket("b").unwrap();
    let path = Path::parse("large").unwrap();
    let read: Vec<Bytes> = bucket.read(&path).await.unwrap().try_collect().await.unwrap();
    assert_eq!(read.iter().map(Bytes::len).sum::<usize>(), 3 * large.len());
    assert_eq!(bucket.read_start(&path, 10).await.unwrap().len(), 10);
    assert!(bucket.delete(&path).await.unwrap());
    assert!(!bucket.delete(&path).await.unwrap());
}

#[tokio::test]
async fn an_object_that_is_given_up_was_never_there() {
    let directory = TempDir::new().unwrap();
    let objects = Objects::Directory(directory.path().to_owned());
    let bucket = objects.bucket_to_write("b").await.unwrap();
    let mut object = bucket.create(&Path::parse("x").unwrap());
    object.write(Bytes::from(vec![1; WRITE_BYTES + 1])).await.unwrap();
    assert!(!directory.path().join("b/x").is_file());
    object.abort().await;
    assert_eq!(fs::read_dir(directory.path().join("b")).unwrap().count(), 0);
}
