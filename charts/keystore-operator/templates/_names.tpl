{{- /* What more than one template needs: labels, the users behind our ServiceAccounts, the restricted security contexts. */ -}}

{{- define "keystore.labels" -}}
app.kubernetes.io/part-of: keystore-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "keystore.controllersUser" -}}
system:serviceaccount:{{ .Values.namespaces.controllers }}:keystore-operator
{{- end }}

{{- define "keystore.gatewayUser" -}}
system:serviceaccount:{{ .Values.namespaces.gateway }}:keystore-gateway
{{- end }}

{{- /* A digest joins its repository by "@", a tag by ":". */ -}}
{{- define "keystore.image" -}}
{{ .repository }}{{ if hasPrefix "sha256:" .tag }}@{{ else }}:{{ end }}{{ .tag }}
{{- end }}

{{- define "keystore.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "keystore.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end }}

{{- define "keystore.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Replicas on different nodes and in different zones where the cluster has them; a small cluster still gets all replicas. */ -}}
{{- define "keystore.spread" -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector: {matchLabels: {app.kubernetes.io/name: {{ . }}}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {app.kubernetes.io/name: {{ . }}}}
{{- end }}

{{- /* Environment of both programs; operator/src/cli.rs explains each variable. */ -}}
{{- define "keystore.environment" -}}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: KEYSTORE_SYSTEM_NAMESPACE, value: {{ .Values.namespaces.controllers }}}
- {name: KEYSTORE_GATEWAY_NAMESPACE, value: {{ .Values.namespaces.gateway }}}
- {name: KEYSTORE_HSM_NAMESPACE, value: {{ .Values.namespaces.hsm }}}
- {name: KEYSTORE_VAULT_NAMESPACE, value: {{ .Values.namespaces.vault }}}
- {name: KEYSTORE_REGION, value: {{ .Values.region | quote }}}
- {name: KEYSTORE_LOG, value: {{ .Values.logLevel | quote }}}
- {name: KEYSTORE_ADMIN_LISTEN, value: "0.0.0.0:8080"}
{{- end }}

{{- /* A duration of the values in seconds: the schema admits one number with the unit s, m or h. */ -}}
{{- define "keystore.seconds" -}}
{{- $units := dict "s" 1 "m" 60 "h" 3600 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $units (regexFind "[smh]$" .)) -}}
{{- end }}

{{- /* The program would refuse it too, but only after the upgrade. */ -}}
{{- define "keystore.checkTerm" -}}
{{- if gt (mul 4 (include "keystore.seconds" .renewBefore | int64)) (mul 3 (include "keystore.seconds" .lifetime | int64)) }}
{{- fail (printf "certificates: renewBefore %s is more than three quarters of lifetime %s" .renewBefore .lifetime) }}
{{- end }}
{{- end }}
