//! The memory's rules: one question at a time, short freshness, fail closed, survive an API server that is away.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

#[derive(Default)]
struct Scripted {
    asked: Arc<AtomicUsize>,
    away: Arc<AtomicBool>,
    denies: Arc<AtomicBool>,
}

impl Authorizer for Scripted {
    fn decide(&self, _question: Question) -> BoxFuture<'static, Result<bool, AuthorizerUnavailable>> {
        let (asked, away, denies) = (Arc::clone(&self.asked), Arc::clone(&self.away), Arc::clone(&self.denies));
        async move {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            if away.load(Ordering::SeqCst) { Err(AuthorizerUnavailable) } else { Ok(!denies.load(Ordering::SeqCst)) }
        }
        .boxed()
    }
}

fn question(name: &str) -> Question {
    Question {
        namespace: "team-a".into(),
        user_name: "app".into(),
        verb: "encrypt",
        resource: Resource::KmsKeys,
        name: Some(name.into()),
    }
}

#[test]
fn the_rbac_user_is_made_of_names_that_the_operator_gave() {
    assert_eq!(question("k").rbac_user(), "keystores.dev:team-a:app");
    assert_eq!(question("k").rbac_groups(), ["keystores.dev:access-keys"]);
}

#[tokio::test]
async fn a_hundred_requests_at_once_ask_once() {
    let scripted = Scripted::default();
    let asked = Arc::clone(&scripted.asked);
    let authorization = Arc::new(Authorization::new(Arc::new(scripted)));
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let authorization = Arc::clone(&authorization);
            tokio::spawn(async move { authorization.allows(question("k")).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(true));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn each_user_verb_and_object_is_a_question_of_its_own() {
    let scripted = Scripted::default();
    let asked = Arc::clone(&scripted.asked);
    let authorization = Authorization::new(Arc::new(scripted));
    let variants = [
        question("k"),
        question("other"),
        Question { name: None, ..question("k") },
        Question { verb: "decrypt", ..question("k") },
        Question { user_name: "other".into(), ..question("k") },
        Question { namespace: "team-b".into(), ..question("k") },
        Question { resource: Resource::CustomKeyStores, ..question("k") },
    ];
    for variant in variants.clone() {
        authorization.allows(variant).await.unwrap();
    }
    assert_eq!(asked.load(Ordering::SeqCst), variants.len());
}

#[tokio::test]
async fn a_question_that_was_never_answered_fails_closed() {
    let scripted = Scripted::default();
    scripted.away.store(true, Ordering::SeqCst);
    let authorization = Authorization::new(Arc::new(scripted));
    assert_eq!(authorization.allows(question("k")).await, Err(AuthorizerUnavailable));
}

#[tokio::test]
async fn an_old_allow_outlives_the_api_server_and_an_old_deny_allows_nothing() {
    let scripted = Scripted::default();
    let (away, denies) = (Arc::clone(&scripted.away), Arc::clone(&scripted.denies));
    let authorization = Authorization::new(Arc::new(scripted));
    authorization.allows(question("allowed")).await.unwrap();
    denies.store(true, Ordering::SeqCst);
    assert_eq!(authorization.allows(question("denied")).await, Ok(false));

    away.store(true, Ordering::SeqCst);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    for (name, allowed) in [("allowed", true), ("denied", false)] {
        authorization.decisions.insert(question(name), Arc::new(Decision { allowed, made: long_ago }));
    }
    assert_eq!(authorization.allows(question("allowed")).await, Ok(true));
    assert_eq!(authorization.allows(question("denied")).await, Err(AuthorizerUnavailable));
}
