{{/* What the collectors are told: each part's `config`, and the sink that feeds the gateway. */}}

{{/* The gateway, as every pod of the cluster reaches it. */}}
{{- define "wayside.gatewayUrl" -}}
{{- $scheme := ternary "https" "http" (ne .Values.gateway.tls.existingSecret "") }}
{{- printf "%s://%s.%s.svc:%d" $scheme (include "wayside.gatewayName" .) .Release.Namespace (int .Values.gateway.service.port) }}
{{- end }}

{{/* Where the chart's collectors deliver to; empty: nowhere. */}}
{{- define "wayside.feedEndpoint" -}}
{{- if .Values.feed.enabled }}
{{- if .Values.feed.endpoint }}
{{- .Values.feed.endpoint }}
{{- else if .Values.gateway.enabled }}
{{- include "wayside.gatewayUrl" . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "wayside.tokensName" -}}
{{- default (printf "%s-tokens" (include "wayside.gatewayName" .)) .Values.gateway.tokens.existingSecret }}
{{- end }}

{{- define "wayside.tokensKey" -}}
{{- ternary .Values.gateway.tokens.key "tokens" (ne .Values.gateway.tokens.existingSecret "") }}
{{- end }}

{{/* The Secret with a writer's `Bearer TOKEN`; empty: none is shown. */}}
{{- define "wayside.feedSecret" -}}
{{- if .Values.feed.existingSecret }}
{{- .Values.feed.existingSecret }}
{{- else if and .Values.gateway.enabled (not .Values.feed.endpoint) (not .Values.gateway.tokens.existingSecret) }}
{{- include "wayside.tokensName" . }}
{{- end }}
{{- end }}

{{/* The Secret with the authority's certificate: as named, else the gateway's own. */}}
{{- define "wayside.feedCaSecret" -}}
{{- if .Values.feed.caSecret }}
{{- .Values.feed.caSecret }}
{{- else if and .Values.gateway.enabled (not .Values.feed.endpoint) }}
{{- .Values.gateway.tls.existingSecret }}
{{- end }}
{{- end }}

{{/* The configuration of a collector that feeds: (list . config). Options of a sink `gateway` of one's own stay. */}}
{{- define "wayside.feedingConfig" -}}
{{- $root := index . 0 }}
{{- $config := deepCopy (index . 1) }}
{{- $endpoint := include "wayside.feedEndpoint" $root }}
{{- if and $endpoint (kindIs "map" $config.sinks) }}
{{- $sink := dig "gateway" dict $config.sinks | default dict }}
{{- if ne (toString (get $config.sinks "gateway")) "false" }}
{{- $made := dict "endpoint" $endpoint }}
{{- if include "wayside.feedSecret" $root }}
{{- $_ := set $made "header_env" (dict "Authorization" "GATEWAY_AUTHORIZATION") }}
{{- end }}
{{- if include "wayside.feedCaSecret" $root }}
{{- $_ := set $made "ca_file" "/etc/wayside-ca/ca.crt" }}
{{- end }}
{{- $_ := set $config.sinks "gateway" (merge $sink $made) }}
{{- end }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* The variable, the mount and the volume that the sink above needs. */}}
{{- define "wayside.feedEnv" -}}
{{- if and (include "wayside.feedEndpoint" .) (include "wayside.feedSecret" .) }}
- name: GATEWAY_AUTHORIZATION
  valueFrom: {secretKeyRef: {name: {{ include "wayside.feedSecret" . }}, key: {{ ternary .Values.feed.key "authorization" (ne .Values.feed.existingSecret "") }}}}
{{- end }}
{{- end }}

{{- define "wayside.feedMounts" -}}
{{- if and (include "wayside.feedEndpoint" .) (include "wayside.feedCaSecret" .) }}
- name: wayside-ca
  mountPath: /etc/wayside-ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "wayside.feedVolumes" -}}
{{- if and (include "wayside.feedEndpoint" .) (include "wayside.feedCaSecret" .) }}
- name: wayside-ca
  secret:
    secretName: {{ include "wayside.feedCaSecret" . }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end }}

{{/* Of a collector in a training's pod. */}}
{{- define "wayside.config" -}}
{{- $config := deepCopy .Values.collector.config }}
{{- if eq (include "wayside.kind" .) "classic" }}
{{- $_ := set $config "exit_when_alone" (default "10s" $config.exit_when_alone) }}
{{- end }}
{{- include "wayside.feedingConfig" (list . $config) }}
{{- end }}

{{- define "wayside.gatewayConfig" -}}
{{- $config := deepCopy .Values.gateway.config }}
{{- $public := merge (dict "token_file" "/etc/wayside-tokens/tokens") (default dict $config.public) }}
{{- if .Values.gateway.tls.existingSecret }}
{{- $_ := set $public "cert_file" "/etc/wayside-tls/tls.crt" }}
{{- $_ := set $public "key_file" "/etc/wayside-tls/tls.key" }}
{{- end }}
{{- $_ := set $config "public" $public }}
{{- with .Values.gateway.trusted }}
{{- $_ := set $config "ingest" (merge (dict "trusted" .) (default dict $config.ingest)) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- define "wayside.nodeConfig" -}}
{{- $config := deepCopy .Values.node.config }}
{{- if .Values.node.adopt.enabled }}
{{- $_ := set $config "adopt" (dict "below" (list (printf "%s/pods" .Values.node.dataPath)) "sinks" .Values.node.adopt.sinks) }}
{{- end }}
{{- include "wayside.feedingConfig" (list . $config) }}
{{- end }}

{{/* A ConfigMap with a configuration: (list . name component config). */}}
{{- define "wayside.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "wayside.metadata" (list (index . 0) (index . 1) (index . 2)) | nindent 2 }}
data:
  wayside.yaml: |
    {{- index . 3 | nindent 4 }}
{{- end }}
