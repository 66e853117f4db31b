//! Bodies in chunks: the example of the S3 documentation, our own, and damaged ones.

use ring::hmac;

use super::super::chunked::ChunkSignatures;
use super::*;

const NOW: &str = "2026-11-02T09:30:00Z";
const SIGNED_CHUNKS: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const UNSIGNED_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

#[test]
fn the_documented_example_is_decoded() {
    // "Signature calculations for the Authorization header: transferring payload in multiple chunks", S3 API reference.
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let mut body = Vec::new();
    for (size, signature) in [
        (0x10000, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (0x400, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ] {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        body.extend_from_slice(b"\r\n");
    }
    assert_eq!(body.len(), 66_824, "the length that the documentation gives");
    let headers = [
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("authorization", authorization),
        ("x-amz-content-sha256", SIGNED_CHUNKS),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
    ];
    let mut request = Owned::new("PUT", "/examplebucket/chunkObject.txt", "", &headers, &body);
    let verify = |request: &Owned| {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let presented = request.parse().unwrap();
        SigningKeys::new().verify(
            &presented,
            &request.request(),
            &secret,
            &request.body,
            at("2013-05-24T00:00:00Z"),
        )
    };
    assert_eq!(verify(&request), Ok(Bytes::from(vec![b'a'; 66_560])));
    body[100] = b'b';
    request.body = Bytes::from(body);
    assert_eq!(verify(&request), Err(SignatureError::InvalidSignature));
}

/// A request whose body is the given chunks, signed by our own code.
fn chunked(chunks: &[&[u8]]) -> Owned {
    let length = chunks.iter().map(|chunk| chunk.len()).sum::<usize>();
    let headers = [("host", "h"), ("x-amz-decoded-content-length", &*length.to_string())];
    let mut request = Owned::new("POST", "/v1/apps", "", &headers, b"");
    request.sign(SIGNED_CHUNKS, at(NOW));
    let presented = request.parse().unwrap();
    let key = keys::derive(&Secret::new(SECRET), &presented.scope());
    let mut signatures = ChunkSignatures {
        key: &key,
        timestamp: &presented.timestamp_text,
        scope: presented.scope(),
        seed: presented.signature,
    };
    let mut body = Vec::new();
    for chunk in chunks.iter().copied().chain([&b""[..]]) {
        let signature = hmac::sign(&key, signatures.string_to_sign(chunk).as_bytes());
        signatures.seed.copy_from_slice(signature.as_ref());
        let line = format!("{:x};chunk-signature={}\r\n", chunk.len(), hex::encode(signature.as_ref()));
        body.extend_from_slice(line.as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    request.body = Bytes::from(body);
    request
}

#[test]
fn signed_chunks_are_put_together() {
    for chunks in [&[][..], &[&b"one"[..]], &[b"one ", b"two\r\n0;", b"three"]] {
        assert_eq!(chunked(chunks).verify(at(NOW)), Ok(Bytes::from(chunks.concat())));
    }
}

#[test]
fn any_damage_to_signed_chunks_is_found() {
    let good = chunked(&[b"one ", b"two"]);
    for place in 0..good.body.len() {
        let mut bytes = good.body.to_vec();
        bytes[place] ^= 1;
        let damaged = Owned { body: Bytes::from(bytes), ..good.clone() };
        assert!(damaged.verify(at(NOW)).is_err(), "byte {place}");
        let cut = Owned { body: good.body.slice(..place), ..good.clone() };
        assert!(cut.verify(at(NOW)).is_err(), "cut at {place}");
    }
    let mut longer = good.body.to_vec();
    longer.extend_from_slice(b"x");
    assert!(Owned { body: Bytes::from(longer), ..good.clone() }.verify(at(NOW)).is_err());
    // Chunks in another order: each signature is good, the chain is not.
    let text = std::str::from_utf8(&good.body).unwrap();
    let (first, rest) = text.split_once("one \r\n").unwrap();
    let (second, last) = rest.split_once("two\r\n").unwrap();
    let swapped = format!("{second}two\r\n{first}one \r\n{last}");
    let swapped = Owned { body: Bytes::from(swapped), ..good };
    assert_eq!(swapped.verify(at(NOW)), Err(SignatureError::InvalidSignature));
}

#[test]
fn unsigned_chunks_are_put_together() {
    let headers = [("host", "h"), ("x-amz-decoded-content-length", "7")];
    let mut request = Owned::new("POST", "/v1/apps", "", &headers, b"");
    request.sign(UNSIGNED_CHUNKS, at(NOW));
    for (body, accepted) in [
        ("4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n", true),
        ("7\r\none two\r\n0\r\nx-amz-checksum-crc32:8n7J1A==\r\n\r\n", true),
        ("7\r\none two\r\n0\r\na:b\r\nc: d\r\n\r\n", true),
        ("7;extension=1\r\none two\r\n0\r\n\r\n", true),
        ("7\r\none two\r\n0\r\nno colon\r\n\r\n", false),
        ("7\r\none two\r\n0\r\n\r\nmore", false),
        ("7\r\none two\r\n0\r\n", false),
        ("7\r\none two\r\n", false),
        ("8\r\none two\r\n0\r\n\r\n", false),
        ("6\r\none tw\r\n0\r\n\r\n", false),
        ("+7\r\none two\r\n0\r\n\r\n", false),
        ("ffffffffffffffff\r\none two\r\n0\r\n\r\n", false),
        ("fffffffffffffffff\r\none two\r\n0\r\n\r\n", false),
        ("\r\n\r\n", false),
        ("", false),
    ] {
        request.body = Bytes::from(body);
        assert_eq!(request.verify(at(NOW)).ok(), accepted.then(|| Bytes::from("one two")), "{body}");
    }
    let padded = format!("7;{}\r\none two\r\n0\r\n\r\n", "x".repeat(2000));
    request.body = Bytes::from(padded);
    assert!(matches!(request.verify(at(NOW)), Err(SignatureError::InvalidPayload(_))), "a line has a limit");
}
