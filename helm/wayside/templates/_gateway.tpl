{{/* The gateway's container. Its address without a token is loopback, within the pod. */}}
{{- define "wayside.gatewayContainer" -}}
{{- $gateway := .Values.gateway -}}
name: gateway
image: {{ include "wayside.collectorImage" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, --config, /etc/wayside/wayside.yaml]
env:
  {{- include "wayside.meetingPlace" . | nindent 2 }}
  {{- include "wayside.listen" . | nindent 2 }}
  {{- include "wayside.identity" . | nindent 2 }}
  {{- with $gateway.postgresql.existingSecret }}
  - name: WAYSIDE_SINKS__STORE__URL
    valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $gateway.postgresql.key }}}}
  {{- end }}
  {{- with include "wayside.secretEnv" $gateway.secrets | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with $gateway.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: wayside
    containerPort: {{ int .Values.collector.port }}
{{ include "wayside.probes" (list . (ne $gateway.tls.existingSecret "")) }}
{{- with $gateway.resources }}
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
  - name: wayside-tokens
    mountPath: /etc/wayside-tokens
    readOnly: true
  {{- if $gateway.tls.existingSecret }}
  - name: wayside-tls
    mountPath: /etc/wayside-tls
    readOnly: true
  {{- end }}
  {{- with $gateway.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
