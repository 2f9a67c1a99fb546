//! Asks Kubernetes whether a user may do something: SubjectAccessReview on custom verbs (D11).
//!
//! An API server that has just begun answers reviews before it has read all roles and bindings, and denies then what it allows a moment later. So a
//! denial counts only if it is repeated by an API server that says that it is ready; until then it is as if it could not be asked.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::timeout;

use crate::authorize::{Authorizer, AuthorizerUnavailable, Question};

/// Longest time for one decision.
const PATIENCE: Duration = Duration::from_secs(3);
/// Says yes once the API server has read what it decides by. The chart's role lets the gateway ask.
const READY: &str = "/readyz";

/// An authorizer that asks the API server.
pub(super) struct Reviews(pub(super) Client);

impl Authorizer for Reviews {
    fn decide(&self, question: Question) -> BoxFuture<'static, Result<bool, AuthorizerUnavailable>> {
        let client = self.0.clone();
        async move {
            let answer = timeout(PATIENCE, decision(&client, &question)).await;
            answer.map_err(|_| AuthorizerUnavailable)?.map_err(|error| {
                tracing::warn!(%error, "a SubjectAccessReview failed");
                AuthorizerUnavailable
            })
        }
        .boxed()
    }
}

async fn decision(client: &Client, question: &Question) -> kube::Result<bool> {
    if review(client, question).await? {
        return Ok(true);
    }
    client.request_text(http::Request::get(READY).body(Vec::new()).map_err(kube::Error::HttpError)?).await?;
    review(client, question).await
}

async fn review(client: &Client, question: &Question) -> kube::Result<bool> {
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let review = SubjectAccessReview { spec: specification(question), ..SubjectAccessReview::default() };
    let status = api.create(&PostParams::default(), &review).await?.status.unwrap_or_default();
    // An evaluation error with an allow is still an allow (Kubernetes API conventions).
    Ok(status.allowed && status.denied != Some(true))
}

fn specification(question: &Question) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: Some(question.rbac_user()),
        groups: Some(question.rbac_groups()),
        resource_attributes: Some(ResourceAttributes {
            group: Some(operator_api::GROUP.to_owned()),
            version: Some(operator_api::VERSION.to_owned()),
            resource: Some(question.resource.plural().to_owned()),
            verb: Some(question.verb.to_owned()),
            namespace: Some(question.namespace.to_string()),
            name: question.name.as_deref().map(str::to_owned),
            ..ResourceAttributes::default()
        }),
        ..SubjectAccessReviewSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::Resource;

    #[test]
    fn the_review_asks_about_the_callers_own_namespace_and_never_all_namespaces() {
        let question = Question {
            namespace: "team-a".into(),
            user_name: "app".into(),
            verb: "encrypt",
            resource: Resource::KmsKeys,
            name: Some("quickstart".into()),
        };
        let spec = specification(&question);
        assert_eq!(spec.user.as_deref(), Some("keystores.dev:team-a:app"));
        let attributes = spec.resource_attributes.unwrap();
        assert_eq!(attributes.namespace.as_deref(), Some("team-a"));
        assert_eq!(attributes.name.as_deref(), Some("quickstart"));
        assert_eq!(attributes.verb.as_deref(), Some("encrypt"));
        assert_eq!(
            (attributes.group.as_deref(), attributes.resource.as_deref()),
            (Some("keystores.dev"), Some("kmskeys"))
        );
    }
}
