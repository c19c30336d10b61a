{{/* The training's container. */}}
{{- define "wayside.trainer" -}}
name: trainer
image: {{ include "wayside.trainerImage" . | quote }}
{{- $image := ternary .Values.job.image .Values.image (ne .Values.job.image.repository "") }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- if .Values.job.command }}
command: {{- toYaml .Values.job.command | nindent 2 }}
{{- else if not .Values.job.image.repository }}
command:
  - python
  - -c
  - |
    {{- .Files.Get "files/train.py" | trim | nindent 4 }}
{{- end }}
{{- with .Values.job.args }}
args: {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- if .Values.collector.enabled }}
  {{- include "wayside.env" . | nindent 2 }}
  {{- else }}
  - name: WAYSIDE_MODE
    value: disabled
  {{- end }}
  {{- with .Values.job.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.job.envFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.job.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.job.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or .Values.collector.enabled .Values.job.volumeMounts }}
volumeMounts:
  {{- if .Values.collector.enabled }}
  {{- include "wayside.mounts" . | nindent 2 }}
  {{- end }}
  {{- with .Values.job.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
A Job's pods cannot be changed. So an upgrade that changes them makes a new Job in the place of the old one, and one
that does not leaves the training alone.
*/}}
{{- define "wayside.jobName" -}}
{{- printf "%s-%s" (include "wayside.fullname" .) (include "wayside.jobSpec" . | sha256sum | trunc 8) }}
{{- end }}

{{- define "wayside.jobSpec" -}}
{{- $kind := include "wayside.kind" . -}}
completionMode: Indexed
parallelism: {{ int .Values.job.parallelism }}
completions: {{ int .Values.job.parallelism }}
backoffLimit: {{ int .Values.job.backoffLimit }}
{{- if not (kindIs "invalid" .Values.job.activeDeadlineSeconds) }}
activeDeadlineSeconds: {{ int .Values.job.activeDeadlineSeconds }}
{{- end }}
{{- if not (kindIs "invalid" .Values.job.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ int .Values.job.ttlSecondsAfterFinished }}
{{- end }}
template:
  metadata:
    labels:
      {{- include "wayside.selectorLabels" . | nindent 6 }}
      app.kubernetes.io/component: training
      {{- with .Values.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- $annotations := deepCopy .Values.podAnnotations }}
    {{- if has $kind (list "native" "classic") }}
    {{- $ours := include "wayside.annotations" . | fromYaml }}
    {{- $annotations = merge $annotations $ours (dict "kubectl.kubernetes.io/default-container" "trainer") }}
    {{- end }}
    {{- with $annotations }}
    annotations: {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    {{- include "wayside.podSpec" . | nindent 4 }}
    {{- if eq $kind "native" }}
    initContainers:
      - {{ include "wayside.sidecar" . | indent 8 | trim }}
    {{- else if eq $kind "classic" }}
    # So that the collector sees when the training has ended.
    shareProcessNamespace: true
    {{- end }}
    containers:
      {{- if eq $kind "classic" }}
      - {{ include "wayside.sidecar" . | indent 8 | trim }}
      {{- end }}
      - {{ include "wayside.trainer" . | indent 8 | trim }}
    {{- if or .Values.collector.enabled .Values.extraVolumes }}
    volumes:
      {{- if .Values.collector.enabled }}
      {{- include "wayside.volumes" . | nindent 6 }}
      {{- end }}
      {{- with .Values.extraVolumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- end }}
{{- end }}
