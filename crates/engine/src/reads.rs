//! Endpoints and users as request handlers read them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use domain::audience::{AppKey, Ordinals};
use domain::endpoints::{Endpoint, User};
use domain::ids::UserId;
use store::key::KeyRange;
use store::tables::audiences::{endpoint_key, ordinals_key, user_key};
use store::tables::outbox::{Outcome, outcome_key};
use store::value::decode;
use store::{Key, Kv, KvError, Versioned};

/// An endpoint with its user.
pub type Found = (Endpoint, Option<User>);

/// The endpoint of a folded id.
pub async fn endpoint(kv: &dyn Kv, app: &AppKey, folded: &str) -> Result<Option<Found>, KvError> {
    let Some(row) = kv.get(&endpoint_key(app, folded)).await? else { return Ok(None) };
    let endpoint: Endpoint = decode(&row.value)?;
    let user = match &endpoint.user_id {
        Some(id) => user(kv, app, id).await?,
        None => None,
    };
    Ok(Some((endpoint, user)))
}

/// A user; `None` when no endpoint names it.
pub async fn user(kv: &dyn Kv, app: &AppKey, id: &UserId) -> Result<Option<User>, KvError> {
    let row = kv.get(&user_key(app, id.as_str())).await?;
    Ok(row.map(|row| decode(&row.value)).transpose()?)
}

/// A user with all its endpoints, in order of their ids.
pub async fn user_endpoints(
    kv: &dyn Kv,
    app: &AppKey,
    id: &UserId,
) -> Result<Option<(User, Vec<Endpoint>)>, KvError> {
    let Some(user) = user(kv, app, id).await? else { return Ok(None) };
    let keys: Vec<Key> = user.endpoints.iter().map(|folded| endpoint_key(app, folded)).collect();
    let rows = kv.get_many(&keys).await?;
    let endpoints = rows.into_iter().flatten().map(|row| decode(&row.value));
    let endpoints = endpoints.collect::<Result<Vec<Endpoint>, _>>()?;
    Ok(Some((user, endpoints)))
}

/// The folded ids of the endpoints that have the ordinals, in their order.
pub(crate) async fn ids_of_ordinals(
    kv: &dyn Kv,
    app: &AppKey,
    ordinals: &[u32],
) -> Result<Vec<Option<Arc<str>>>, KvError> {
    let numbers: BTreeSet<u32> = ordinals.iter().map(|ordinal| Ordinals::row_of(*ordinal)).collect();
    let keys: Vec<Key> = numbers.iter().map(|number| ordinals_key(app, *number)).collect();
    let mut rows: HashMap<u32, Ordinals> = HashMap::with_capacity(keys.len());
    for (number, row) in numbers.into_iter().zip(kv.get_many(&keys).await?) {
        if let Some(row) = row {
            rows.insert(number, decode(&row.value)?);
        }
    }
    let id_of = |ordinal: &u32| rows.get(&Ordinals::row_of(*ordinal))?.get(*ordinal).map(Arc::from);
    Ok(ordinals.iter().map(id_of).collect())
}

/// A scan over the rows of ordinals may pass by so many rows, for each that is wanted: it costs a fraction of a look-up.
const PASSED_BY_MAX: usize = 2;

/// The rows of ordinals under keys that end in the ordinal, in their order. Neighbours, such as those of a campaign's page, are
/// scanned.
pub(crate) async fn of_ordinals(
    kv: &dyn Kv,
    ordinals: &[u32],
    key: impl Fn(u32) -> Key,
) -> Result<Vec<Option<Versioned>>, KvError> {
    let keys: Vec<Key> = ordinals.iter().map(|ordinal| key(*ordinal)).collect();
    let (Some(first), Some(last)) = (ordinals.first(), ordinals.last()) else { return Ok(Vec::new()) };
    let span = last.saturating_sub(*first) as usize + 1;
    if !ordinals.is_sorted_by(|one, next| one < next) || span > PASSED_BY_MAX * ordinals.len() {
        return kv.get_many(&keys).await;
    }
    let range = KeyRange { from: keys[0].clone(), to: keys[keys.len() - 1].successor() };
    let mut found = kv.scan(range, span).await?.into_iter().peekable();
    let row_of = |key: &Key| {
        while found.next_if(|(other, _)| other < key).is_some() {}
        found.next_if(|(other, _)| other == key).map(|(_, row)| row)
    };
    Ok(keys.iter().map(row_of).collect())
}

/// What became of a delivery; `None` while that is not known. `named`: the endpoint's id, or the bare address.
pub async fn outcome(
    kv: &dyn Kv,
    app: &AppKey,
    named: &str,
    delivery: &str,
) -> Result<Option<Outcome>, KvError> {
    let row = kv.get(&outcome_key(app, named, delivery)).await?;
    Ok(row.map(|row| decode(&row.value)).transpose()?)
}

#[cfg(test)]
mod tests {
    use store::kv::memory::MemoryKv;
    use store::{Batch, Durability};

    use super::*;

    #[tokio::test]
    async fn rows_of_ordinals_are_the_same_scanned_or_looked_up() {
        let app = AppKey { account: "account".into(), app: "app".into() };
        let key = |ordinal| store::tables::campaigns::received_key(&app, ordinal);
        let kv = MemoryKv::new();
        let mut batch = Batch::default();
        for ordinal in [1, 2, 4, 5, 9, 100] {
            batch.put(key(ordinal), ordinal.to_string().into_bytes());
        }
        kv.commit(batch, Durability::Durable).await.unwrap();
        for ordinals in
            [&[][..], &[3], &[1, 2, 3, 4], &[1, 3, 5, 6], &[2, 5, 100], &[5, 1], &[2, 2], &[9, 10, 11]]
        {
            let keys: Vec<Key> = ordinals.iter().map(|ordinal| key(*ordinal)).collect();
            let found = of_ordinals(&kv, ordinals, key).await.unwrap();
            assert_eq!(found, kv.get_many(&keys).await.unwrap(), "{ordinals:?}");
        }
    }
}
