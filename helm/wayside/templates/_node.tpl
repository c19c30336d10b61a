{{/* The node's collector. */}}
{{- define "wayside.nodeContainer" -}}
{{- $node := .Values.node -}}
name: node
image: {{ include "wayside.collectorImage" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, --config, /etc/wayside/wayside.yaml]
env:
  - name: WAYSIDE_SOCKET
    value: /run/wayside/wayside.sock
  - name: WAYSIDE_DIR
    value: {{ $node.dataPath }}/node
  - name: HOME
    value: {{ $node.dataPath }}/node
  - name: TMPDIR
    value: {{ $node.dataPath }}/node
  {{- include "wayside.listen" . | nindent 2 }}
  {{- include "wayside.identity" . | nindent 2 }}
  {{- if $node.gpus }}
  - name: NVIDIA_VISIBLE_DEVICES
    value: all
  - name: NVIDIA_DRIVER_CAPABILITIES
    value: utility
  {{- end }}
  {{- with include "wayside.feedEnv" . | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with include "wayside.secretEnv" $node.secrets | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with $node.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: wayside
    containerPort: {{ int .Values.collector.port }}
{{ include "wayside.probes" (list . false) }}
{{- with $node.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.collector.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: wayside-socket
    mountPath: /run/wayside
  - name: wayside-data
    mountPath: {{ $node.dataPath }}
  - name: wayside-config
    mountPath: /etc/wayside
    readOnly: true
  {{- with include "wayside.feedMounts" . | trim }}{{ . | nindent 2 }}{{ end }}
  {{- with $node.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/*
Makes the folders on the node, which kubelet would leave to root alone. Those of the socket and of the pods are
everybody's who mounts them, and each user's files in them his own; their group is the collector's.
*/}}
{{- define "wayside.nodeFolders" -}}
{{- $node := .Values.node -}}
{{- $group := default 65532 .Values.podSecurityContext.fsGroup | int -}}
{{- $user := default 65532 .Values.collector.securityContext.runAsUser | int -}}
name: folders
image: {{ include "wayside.collectorImage" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command:
  - sh
  - -euc
  - |
    install -d -o {{ $user }} -g {{ $group }} -m 3777 /run/wayside {{ $node.dataPath }}/pods
    install -d -o {{ $user }} -g {{ $group }} -m 2770 {{ $node.dataPath }}/node
securityContext:
  runAsNonRoot: false
  runAsUser: 0
  runAsGroup: 0
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL], add: [CHOWN, DAC_OVERRIDE, FOWNER, FSETID]}
  seccompProfile: {type: RuntimeDefault}
resources:
  requests: {cpu: 10m, memory: 16Mi}
  limits: {memory: 64Mi}
volumeMounts:
  - name: wayside-socket
    mountPath: /run/wayside
  - name: wayside-data
    mountPath: {{ $node.dataPath }}
{{- end }}
