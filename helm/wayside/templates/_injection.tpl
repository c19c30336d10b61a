{{/* What labelled pods get: the collector as it stands in the chart's own Job, without what only this namespace has. */}}

{{- define "wayside.injectionName" -}}
{{- printf "%s-injection" (include "wayside.fullname" . | trunc 43 | trimSuffix "-") }}
{{- end }}

{{/* How: policy or webhook; empty: not at all. */}}
{{- define "wayside.injectionBy" -}}
{{- if .Values.injection.enabled }}
{{- $new := semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version }}
{{- $by := .Values.injection.by }}
{{- if ne (include "wayside.kind" .) "native" }}
{{- fail "injection: pods get native sidecars: it needs Kubernetes 1.29, collector.enabled, and collector.kind auto or native" }}
{{- end }}
{{- if and (eq $by "policy") (not $new) }}
{{- fail (printf "injection.by: MutatingAdmissionPolicy needs Kubernetes 1.36, and this is %s; take \"auto\""
  .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- if eq $by "auto" }}{{ ternary "policy" "webhook" $new }}{{ else }}{{ $by }}{{ end }}
{{- end }}
{{- end }}

{{/* The collector's configuration as variables: a ConfigMap of this namespace cannot be mounted in another. */}}
{{- define "wayside.configEnv" -}}
{{- $config := include "wayside.config" . | fromYaml }}
{{- /* The pod's users and group are its own, and the socket lies in the pod. */}}
{{- $_ := set $config "clients" (merge (default dict $config.clients) (dict "mode" "0666")) }}
{{- range $option, $value := $config }}
- name: {{ printf "WAYSIDE_%s" (upper $option) }}
  value: {{ ternary $value ($value | toJson) (kindIs "string" $value) | replace "$(" "$$(" | quote }}
{{- end }}
{{- end }}

{{- define "wayside.injectedSidecar" -}}
{{- $made := include "wayside.sidecar" . | fromYaml }}
{{- $_ := set $made "args" (list "run") }}
{{- if not .Values.injection.waitUntilReady }}
{{- $_ := unset $made "startupProbe" }}
{{- end }}
{{- $env := list }}
{{- range $made.env }}
{{- if and (ne .name "WORKLOAD_UID") (hasKey (default dict .valueFrom) "secretKeyRef") }}
{{- /* Another namespace may not have it: then its sink waits, and not the training. */}}
{{- $_ := set .valueFrom.secretKeyRef "optional" true }}
{{- end }}
{{- if ne .name "WORKLOAD_UID" }}{{ $env = append $env . }}{{ end }}
{{- end }}
{{- $_ := set $made "env" (concat (include "wayside.configEnv" . | fromYamlArray) $env) }}
{{- $mounts := list }}
{{- range $made.volumeMounts }}
{{- if ne .name "wayside-config" }}{{ $mounts = append $mounts . }}{{ end }}
{{- end }}
{{- $_ := set $made "volumeMounts" $mounts }}
{{- toYaml $made }}
{{- end }}

{{/* Lays the client into a volume: pure Python, so one copy serves every Python and every libc. */}}
{{- define "wayside.injectedClient" -}}
name: wayside-client
image: {{ include "wayside.collectorImage" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [cp, -R, /opt/wayside/client/packages/., /wayside-client]
{{- with .Values.injection.clientResources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.collector.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: wayside-client
    mountPath: /wayside-client
{{- end }}

{{- define "wayside.injectedVolumes" -}}
{{- $volumes := list }}
{{- range include "wayside.volumes" . | fromYamlArray }}
{{- if ne .name "wayside-config" }}
{{- if .secret }}{{ $_ := set .secret "optional" true }}{{ end }}
{{- $volumes = append $volumes . }}
{{- end }}
{{- end }}
{{- toYaml (append $volumes (dict "name" "wayside-client" "emptyDir" (dict "sizeLimit" "64Mi"))) }}
{{- end }}

{{/* All of it, as `wayside-collector webhook --plan` reads it, and the policy. */}}
{{- define "wayside.injectionPlan" -}}
{{- $env := list }}
{{- range include "wayside.env" . | fromYamlArray }}
{{- if ne .name "WORKLOAD_UID" }}{{ $env = append $env . }}{{ end }}
{{- end }}
{{- $mount := dict "name" "wayside-client" "mountPath" "/opt/wayside/inject" "readOnly" true }}
{{- $plan := dict "path" "/opt/wayside/inject" "env" $env }}
{{- $_ := set $plan "mounts" (append (include "wayside.mounts" . | fromYamlArray) $mount) }}
{{- $_ := set $plan "sidecar" (include "wayside.injectedSidecar" . | fromYaml) }}
{{- $_ := set $plan "client" (include "wayside.injectedClient" . | fromYaml) }}
{{- $_ := set $plan "volumes" (include "wayside.injectedVolumes" . | fromYamlArray) }}
{{- if eq .Values.scrape.by "annotations" }}
{{- $_ := set $plan "annotations" (dict "prometheus.io/scrape" "true" "prometheus.io/path" "/metrics"
  "prometheus.io/port" (toString (int .Values.collector.port))) }}
{{- end }}
{{- toYaml $plan }}
{{- end }}

{{/*
Whose pods: (list . "namespace") all of labelled namespaces but those that say "false", (list . "pod") those that say
"true" elsewhere. No pod is in both. The chart's own namespace and Kubernetes's are in neither.
*/}}
{{- define "wayside.injectionSelectors" -}}
{{- $root := index . 0 }}
{{- $by := index . 1 }}
{{- $not := list "kube-system" "kube-node-lease" "kube-public" $root.Release.Namespace }}
{{- $spare := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values"
  (concat $not $root.Values.injection.excludedNamespaces | uniq) }}
{{- $yes := dict "key" "wayside.dev/inject" "operator" "In" "values" (list "true") }}
{{- $no := dict "key" "wayside.dev/inject" "operator" "NotIn" "values" (list "true") }}
{{- $refused := dict "key" "wayside.dev/inject" "operator" "NotIn" "values" (list "false") }}
namespaceSelector:
  matchExpressions: {{- toYaml (list $spare (ternary $yes $no (eq $by "namespace"))) | nindent 4 }}
objectSelector:
  matchExpressions: {{- toYaml (list (ternary $refused $yes (eq $by "namespace"))) | nindent 4 }}
{{- end }}

{{/* A value as CEL: (list value type). Maps of anybody's keys have no type. */}}
{{- define "wayside.cel" -}}
{{- $value := index . 0 }}
{{- $type := index . 1 }}
{{- if kindIs "map" $value }}
{{- $parts := list }}
{{- range $key, $inner := $value }}
{{- if $type }}
{{- $below := ternary "" (printf "%s.%s" $type $key) (has $key (list "limits" "requests")) }}
{{- $parts = append $parts (printf "%s: %s" $key (include "wayside.cel" (list $inner $below))) }}
{{- else }}
{{- $parts = append $parts (printf "%s: %s" (toJson $key) (include "wayside.cel" (list $inner ""))) }}
{{- end }}
{{- end }}
{{- printf "%s{%s}" $type (join ", " $parts) }}
{{- else if kindIs "slice" $value }}
{{- $parts := list }}
{{- range $value }}{{ $parts = append $parts (include "wayside.cel" (list . $type)) }}{{ end }}
{{- printf "[%s]" (join ", " $parts) }}
{{- else if kindIs "string" $value }}
{{- toJson $value }}
{{- else if kindIs "bool" $value }}
{{- toString $value }}
{{- else }}
{{- int64 $value }}
{{- end }}
{{- end }}
