{{- define "wayside.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" }}
{{- end }}

{{- define "wayside.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" }}
{{- else if contains (include "wayside.name" .) .Release.Name }}
{{- .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "wayside.name" .) | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* A part's name. 52 characters: a StatefulSet's stands in a label of its pods, before a hash. */}}
{{- define "wayside.gatewayName" -}}
{{- printf "%s-gateway" (include "wayside.fullname" . | trunc 44 | trimSuffix "-") }}
{{- end }}

{{- define "wayside.nodeName" -}}
{{- printf "%s-node" (include "wayside.fullname" . | trunc 47 | trimSuffix "-") }}
{{- end }}

{{- define "wayside.selectorLabels" -}}
app.kubernetes.io/name: {{ include "wayside.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wayside.labels" -}}
{{ include "wayside.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Name, namespace and labels of an object: (list . name component). */}}
{{- define "wayside.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "wayside.labels" $root | nindent 2 }}
  {{- with index . 2 }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
{{- end }}

{{- define "wayside.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "wayside.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* An image's reference, from a dictionary of repository, tag, digest and the tag to use without one. */}}
{{- define "wayside.image" -}}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default .fallback .tag) }}
{{- end }}
{{- end }}

{{- define "wayside.collectorImage" -}}
{{- include "wayside.image" (merge (dict "fallback" .Chart.AppVersion) .Values.image) }}
{{- end }}

{{- define "wayside.trainerImage" -}}
{{- if .Values.job.image.repository }}
{{- include "wayside.image" (merge (dict "fallback" "latest") .Values.job.image) }}
{{- else }}
{{- include "wayside.collectorImage" . }}
{{- end }}
{{- end }}

{{/* How the collector stands in a training's pod: native, classic, node or none. */}}
{{- define "wayside.kind" -}}
{{- if not .Values.collector.enabled -}}
none
{{- else if ne .Values.collector.kind "auto" -}}
{{ .Values.collector.kind }}
{{- else if semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version -}}
native
{{- else -}}
classic
{{- end }}
{{- end }}

{{/* Options that come from Secrets, as variables: path of the option to name and key of the Secret. */}}
{{- define "wayside.secretEnv" -}}
{{- range $path, $secret := . }}
- name: {{ printf "WAYSIDE_%s" ($path | replace "." "__" | upper) }}
  valueFrom: {secretKeyRef: {name: {{ $secret.name }}, key: {{ $secret.key }}}}
{{- end }}
{{- end }}

{{/* Where a pod of the chart runs: from the values of its part. */}}
{{- define "wayside.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Account, registry and rights that all pods have. */}}
{{- define "wayside.podRights" -}}
serviceAccountName: {{ include "wayside.serviceAccountName" . }}
automountServiceAccountToken: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Annotations of a pod that Prometheus reads, and of what makes it new: (list . config annotations). */}}
{{- define "wayside.podAnnotations" -}}
{{- $root := index . 0 }}
{{- $annotations := dict "checksum/config" (index . 1 | sha256sum) }}
{{- if eq $root.Values.scrape.by "annotations" }}
{{- $_ := set $annotations "prometheus.io/scrape" "true" }}
{{- $_ := set $annotations "prometheus.io/port" (toString (int $root.Values.collector.port)) }}
{{- $_ := set $annotations "prometheus.io/path" "/metrics" }}
{{- end }}
{{- toYaml (merge (deepCopy (index . 2)) $annotations) }}
{{- end }}
