//! Lists in pages (KEY-150).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::bench::*;
use crate::index::AliasEntry;

async fn all(client: &Client, operation: &str, list: &str, limit: usize) -> (Vec<Value>, usize) {
    let (mut items, mut pages, mut marker) = (Vec::new(), 0, Value::Null);
    loop {
        let mut body = json!({"Limit": limit});
        if !marker.is_null() {
            body["Marker"] = marker;
        }
        let page = client.call(operation, &body).await.json();
        let found = page[list].as_array().unwrap().clone();
        assert!(found.len() <= limit);
        assert_eq!(page["Truncated"].as_bool().unwrap(), page.get("NextMarker").is_some(), "{page}");
        items.extend(found);
        pages += 1;
        if page["Truncated"] == false {
            return (items, pages);
        }
        marker = page["NextMarker"].clone();
    }
}

#[tokio::test]
async fn pages_of_any_size_show_every_key_once_and_in_order() {
    let bench = Bench::new();
    for number in 1..=249u128 {
        let id = Uuid::from_u128(number << 100 | 0x4000_0000_0000_0000_0000 | 8 << 60 | number);
        bench.index.put_key("team-a", key(&format!("k{number}"), ACCOUNT_A, id, STORE_A));
    }
    for (limit, pages) in [(1_000, 1), (250, 1), (249, 2), (100, 3), (7, 36)] {
        let (keys, seen) = all(&bench.a, "ListKeys", "Keys", limit).await;
        let ids: Vec<_> = keys.iter().map(|key| key["KeyId"].as_str().unwrap().to_owned()).collect();
        assert_eq!((ids.len(), seen), (250, pages), "limit {limit}");
        assert!(ids.is_sorted() && ids.iter().collect::<BTreeSet<_>>().len() == 250);
    }
    let default = bench.a.call("ListKeys", &json!({})).await.json();
    assert_eq!(default["Keys"].as_array().unwrap().len(), 100, "spec 3.16");
}

#[tokio::test]
async fn aliases_are_listed_in_pages_for_all_keys_or_for_one() {
    let bench = Bench::new();
    let tenant = bench.index.tenant("team-a").unwrap();
    let other = Uuid::from_u128(0x7777_abcd_12ab_44cd_96ef_1234_5678_90ab);
    bench.index.put_key("team-a", key("other", ACCOUNT_A, other, STORE_A));
    for number in 0..120 {
        let target = if number % 3 == 0 { "other" } else { "quickstart" };
        let name: Arc<str> = format!("alias/n{number:03}").into();
        let alias = AliasEntry {
            object: name.clone(),
            alias_name: name.clone(),
            target: target.into(),
            creation_date: None,
            last_updated_date: None,
        };
        tenant.aliases.insert(name, Arc::new(alias));
    }
    assert_eq!(all(&bench.a, "ListAliases", "Aliases", 50).await.0.len(), 121);
    let page = bench.a.call("ListAliases", &json!({"KeyId": other, "Limit": 30})).await.json();
    let aliases = page["Aliases"].as_array().unwrap();
    assert_eq!((aliases.len(), &page["Truncated"]), (30, &json!(true)));
    assert!(aliases.iter().all(|alias| alias["TargetKeyId"] == other.to_string()));
    let rest =
        bench.a.call("ListAliases", &json!({"KeyId": other, "Limit": 30, "Marker": page["NextMarker"]})).await.json();
    assert_eq!((rest["Aliases"].as_array().unwrap().len(), &rest["Truncated"]), (10, &json!(false)));
    assert_eq!(aliases[0]["AliasArn"], format!("arn:aws:kms:{REGION}:{ACCOUNT_A}:alias/n000"));
}

#[tokio::test]
async fn a_marker_of_another_list_or_account_is_not_valid() {
    let bench = Bench::new();
    for client in [&bench.a, &bench.b] {
        let account = if std::ptr::eq(client, &bench.a) { ACCOUNT_A } else { ACCOUNT_B };
        let id = Uuid::from_u128(0x7777_abcd_12ab_44cd_96ef_1234_5678_90ab);
        let namespace = if account == ACCOUNT_A { "team-a" } else { "team-b" };
        bench.index.put_key(namespace, key("second", account, id, STORE_A));
    }
    let marker = bench.a.call("ListKeys", &json!({"Limit": 1})).await.json()["NextMarker"].clone();
    let body = json!({"Limit": 1, "Marker": marker});
    assert_eq!(bench.a.call("ListKeys", &body).await.status, 200);
    assert_eq!(bench.b.call("ListKeys", &body).await.error(), "InvalidMarkerException");
    assert_eq!(bench.a.call("ListAliases", &body).await.error(), "InvalidMarkerException");
    for marker in ["x", "MSBMaXN0S2V5cyAx", "äöü"] {
        assert_eq!(bench.a.call("ListKeys", &json!({"Marker": marker})).await.error(), "InvalidMarkerException");
    }
    assert_eq!(bench.a.call("ListKeys", &json!({"Marker": ""})).await.error(), "ValidationException");
}
