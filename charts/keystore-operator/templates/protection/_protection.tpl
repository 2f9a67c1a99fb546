{{- /* What the admission policies share: the break-glass test and the binding. */ -}}

{{- /*
Break-glass: an annotation on the object and the custom verb "unprotect" for the user. system:masters passes every verb check, so against
administrators the annotation is what stops a slip of the finger. Takes (list GROUP RESOURCE); a cluster-scoped object has no namespace.
*/ -}}
{{- define "keystore.unprotected" -}}
(has(oldObject.metadata.annotations) && 'keystores.dev/unprotect' in oldObject.metadata.annotations &&
oldObject.metadata.annotations['keystores.dev/unprotect'] == 'true' &&
authorizer.group('{{ index . 0 }}').resource('{{ index . 1 }}').namespace(request.?namespace.orValue('')).name(oldObject.metadata.name).check('unprotect').allowed())
{{- end }}

{{- define "keystore.howToUnprotect" -}}
To do it all the same: annotate it with keystores.dev/unprotect=true and use an identity that has the verb unprotect on it.
{{- end }}

{{- /* Takes (list ROOT NAME PARAMREF). */ -}}
{{- define "keystore.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ index . 1 }}
  annotations: {helm.sh/resource-policy: keep}
  labels:
    {{- include "keystore.labels" (index . 0) | nindent 4 }}
spec:
  policyName: {{ index . 1 }}
  validationActions: [Deny]
{{- end }}
