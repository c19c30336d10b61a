{{/* Where the training and the collector meet. */}}
{{- define "wayside.meetingPlace" -}}
- name: WAYSIDE_SOCKET
  value: /run/wayside/wayside.sock
- name: WAYSIDE_DIR
  value: /var/lib/wayside
{{- end }}

{{/* The folder of the socket, never the socket itself: a collector that starts anew makes a new one. */}}
{{- define "wayside.meetingMounts" -}}
- name: wayside-socket
  mountPath: /run/wayside
- name: wayside-data
  mountPath: /var/lib/wayside
{{- end }}

{{/* The same in a training's pod, where the folder may be one of the node's, with a folder in it for each pod. */}}
{{- define "wayside.mounts" -}}
- name: wayside-socket
  mountPath: /run/wayside
- name: wayside-data
  mountPath: /var/lib/wayside
  {{- if eq (include "wayside.dataPlace" .) "node" }}
  subPathExpr: $(POD_UID)
  {{- end }}
{{- end }}

{{/* Whose disk the data of a training's pod lie on. */}}
{{- define "wayside.dataPlace" -}}
{{- ternary "node" .Values.data.place (eq (include "wayside.kind" .) "node") }}
{{- end }}

{{/* Which pod, node and workload this is. A pod outside of a Job lacks the label, which makes the value empty. */}}
{{- define "wayside.identity" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: WORKLOAD_UID
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']"}}
{{- end }}

{{- define "wayside.listen" -}}
- name: WAYSIDE_LISTEN
  value: {{ printf "127.0.0.1:%d" (int .Values.collector.localPort) | quote }}
- name: WAYSIDE_LISTEN_PUBLIC
  value: {{ printf "%s:%d" .Values.collector.address (int .Values.collector.port) | quote }}
{{- end }}

{{/* What the training is told. */}}
{{- define "wayside.env" -}}
{{ include "wayside.meetingPlace" . }}
{{ include "wayside.identity" . }}
{{- end }}

{{- define "wayside.collectorEnv" -}}
{{ include "wayside.meetingPlace" . }}
{{ include "wayside.listen" . }}
{{ include "wayside.identity" . }}
{{- end }}

{{/* Probes: (list . https). */}}
{{- define "wayside.probes" -}}
{{- $scheme := ternary ", scheme: HTTPS" "" (index . 1) -}}
startupProbe:
  httpGet: {path: /readyz, port: wayside{{ $scheme }}}
  periodSeconds: 1
  # Two minutes: a spool left by a collector that was killed is looked through before it is ready.
  failureThreshold: 120
{{ include "wayside.runningProbes" . }}
{{- end }}

{{- define "wayside.runningProbes" -}}
{{- $scheme := ternary ", scheme: HTTPS" "" (index . 1) -}}
livenessProbe:
  httpGet: {path: /livez, port: wayside{{ $scheme }}}
  periodSeconds: 10
  # A minute: a node at its limits is slow, and a restart would not make it faster.
  timeoutSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: wayside{{ $scheme }}}
  periodSeconds: 10
  timeoutSeconds: 5
{{- end }}

{{/* The collector: an init container that stays, or below 1.29 a container that ends when the training has. */}}
{{- define "wayside.sidecar" -}}
name: wayside
image: {{ include "wayside.collectorImage" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if eq (include "wayside.kind" .) "native" }}
restartPolicy: Always
{{- end }}
args: [run, --config, /etc/wayside/wayside.yaml]
env:
  {{- include "wayside.collectorEnv" . | nindent 2 }}
  {{- if .Values.wandb.existingSecret }}
  - name: WANDB_API_KEY
    valueFrom:
      secretKeyRef:
        name: {{ .Values.wandb.existingSecret }}
        key: {{ .Values.wandb.key }}
  {{- end }}
  {{- with include "wayside.feedEnv" . | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with include "wayside.secretEnv" .Values.collector.secrets | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with .Values.collector.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: wayside
    containerPort: {{ int .Values.collector.port }}
{{- if and .Values.collector.waitUntilReady (eq (include "wayside.kind" .) "native") }}
{{ include "wayside.probes" (list . (ne (toString (dig "public" "cert_file" "" .Values.collector.config)) "")) }}
{{- else }}
{{ include "wayside.runningProbes" (list . (ne (toString (dig "public" "cert_file" "" .Values.collector.config)) "")) }}
{{- end }}
{{- with .Values.collector.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.collector.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- include "wayside.mounts" . | nindent 2 }}
  - name: wayside-config
    mountPath: /etc/wayside
    readOnly: true
  {{- with include "wayside.feedMounts" . | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with .Values.collector.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "wayside.volumes" -}}
{{- $kind := include "wayside.kind" . -}}
- name: wayside-socket
  {{- if eq $kind "node" }}
  hostPath: {path: {{ .Values.node.socketPath }}, type: Directory}
  {{- else }}
  emptyDir:
    medium: Memory
    sizeLimit: {{ .Values.socket.sizeLimit }}
  {{- end }}
- name: wayside-data
  {{- if eq (include "wayside.dataPlace" .) "node" }}
  hostPath: {path: {{ .Values.node.dataPath }}/pods, type: Directory}
  {{- else }}
  emptyDir:
    sizeLimit: {{ include "wayside.dataLimit" . }}
  {{- end }}
{{- if ne $kind "node" }}
- name: wayside-config
  configMap:
    name: {{ include "wayside.fullname" . }}
{{- with include "wayside.feedVolumes" . | trim }}{{ . | nindent 0 }}{{ end }}
{{- end }}
{{- end }}

{{/* Annotations of a training's pod. */}}
{{- define "wayside.annotations" -}}
{{- include "wayside.podAnnotations" (list . (include "wayside.config" .) dict) }}
{{- end }}

{{/* What a training's pod has beside its containers. */}}
{{- define "wayside.podSpec" -}}
restartPolicy: Never
{{ include "wayside.podRights" . }}
terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
{{- include "wayside.placement" .Values }}
{{- if .Values.hostNetwork }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
{{- end }}
