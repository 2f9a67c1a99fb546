//! Asks Kubernetes whether a user may do something: SubjectAccessReview on custom verbs (D11).

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::timeout;

use crate::authorize::{Authorizer, AuthorizerUnavailable, Question};

/// Longest time for one review.
const PATIENCE: Duration = Duration::from_secs(3);

/// An authorizer that asks the API server.
pub(super) struct Reviews(pub(super) Client);

impl Authorizer for Reviews {
    fn decide(&self, question: Question) -> BoxFuture<'static, Result<bool, AuthorizerUnavailable>> {
        let api: Api<SubjectAccessReview> = Api::all(self.0.clone());
        async move {
            let review = SubjectAccessReview { spec: specification(&question), ..SubjectAccessReview::default() };
            let answer = timeout(PATIENCE, api.create(&PostParams::default(), &review)).await;
            let reviewed = answer.map_err(|_| AuthorizerUnavailable)?.map_err(|error| {
                tracing::warn!(%error, "a SubjectAccessReview failed");
                AuthorizerUnavailable
            })?;
            let status = reviewed.status.unwrap_or_default();
            // An evaluation error with an allow is still an allow (Kubernetes API conventions); a denial always counts.
            Ok(status.allowed && status.denied != Some(true))
        }
        .boxed()
    }
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
