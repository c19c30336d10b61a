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
