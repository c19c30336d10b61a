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

{{- define "wayside.collectorEnv" -}}
{{ include "wayside.meetingPlace" . }}
- name: WAYSIDE_LISTEN
  value: {{ printf "127.0.0.1:%d" (int .Values.collector.localPort) | quote }}
- name: WAYSIDE_LISTEN_PUBLIC
  value: {{ printf "%s:%d" .Values.collector.address (int .Values.collector.port) | quote }}
{{ include "wayside.identity" . }}
{{- end }}

{{/* The collector, an init container that stays. */}}
{{- define "wayside.collector" -}}
name: wayside
image: {{ include "wayside.collectorImage" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
restartPolicy: Always
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
  {{- with .Values.collector.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: wayside
    containerPort: {{ int .Values.collector.port }}
{{- if .Values.collector.waitUntilReady }}
startupProbe:
  httpGet: {path: /readyz, port: wayside}
  periodSeconds: 1
  # Two minutes: a spool left by a collector that was killed is looked through before it is ready.
  failureThreshold: 120
{{- end }}
livenessProbe:
  httpGet: {path: /livez, port: wayside}
  periodSeconds: 10
  # A minute: a node at its limits is slow, and a restart would not make it faster.
  timeoutSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: wayside}
  periodSeconds: 10
  timeoutSeconds: 5
{{- with .Values.collector.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.collector.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- include "wayside.meetingMounts" . | nindent 2 }}
  - name: wayside-config
    mountPath: /etc/wayside
    readOnly: true
  {{- with .Values.collector.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "wayside.volumes" -}}
- name: wayside-socket
  emptyDir:
    medium: Memory
    sizeLimit: {{ .Values.socket.sizeLimit }}
- name: wayside-data
  emptyDir:
    sizeLimit: {{ include "wayside.dataLimit" . }}
- name: wayside-config
  configMap:
    name: {{ include "wayside.fullname" . }}
{{- end }}

{{/* What every pod of the chart has beside its containers. */}}
{{- define "wayside.podSpec" -}}
restartPolicy: Never
serviceAccountName: {{ include "wayside.serviceAccountName" . }}
automountServiceAccountToken: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .Values.hostNetwork }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
{{- end }}
