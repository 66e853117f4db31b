//! Sets of ordinals as bytes.

use roaring::RoaringBitmap;
use store::KvError;

/// The serialised form (the portable format of roaring bitmaps).
pub(crate) fn write(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).expect("writing into memory does not fail");
    bytes
}

/// Reads what [`fn@write`] wrote.
pub(crate) fn read(bytes: &[u8]) -> Result<RoaringBitmap, KvError> {
    RoaringBitmap::deserialize_from(bytes)
        .map_err(|error| KvError::Corrupt(format!("set of ordinals: {error}")))
}
