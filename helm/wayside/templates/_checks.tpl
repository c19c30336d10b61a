{{/* Bytes of a size, as the collector's configuration or Kubernetes (Mi, Gi, Ti) writes it. */}}
{{- define "wayside.bytes" -}}
{{- if kindIs "string" . }}
{{- $units := dict "" 1 "b" 1 "kb" 1000 "mb" 1000000 "gb" 1000000000 "tb" 1000000000000 }}
{{- range $power, $letter := list "k" "m" "g" "t" }}
{{- $unit := 1024 }}
{{- range until $power }}{{ $unit = mul $unit 1024 }}{{ end }}
{{- range list "" "i" "ib" }}{{ $_ := set $units (print $letter .) $unit }}{{ end }}
{{- end }}
{{- $text := lower (nospace .) }}
{{- $number := regexFind "^[0-9]*\\.?[0-9]+" $text }}
{{- $unit := get $units (trimPrefix $number $text) }}
{{- if not (and $number $unit) }}
{{- fail (printf "%q is no size; a size is a number of bytes or a text like \"256MiB\"" .) }}
{{- end }}
{{- mulf (float64 $number) $unit | ceil | int64 }}
{{- else }}
{{- int64 . }}
{{- end }}
{{- end }}

{{/* Seconds of a time, as the collector's configuration writes it; of anything else, 0: the collector refuses it. */}}
{{- define "wayside.seconds" -}}
{{- if kindIs "string" . }}
{{- $units := dict "" 1 "ms" 0.001 "s" 1 "m" 60 "min" 60 "h" 3600 "d" 86400 "w" 604800 }}
{{- $text := lower (nospace .) }}
{{- $number := regexFind "^[0-9]*\\.?[0-9]+" $text }}
{{- mulf (float64 (default "0" $number)) (default 0 (get $units (trimPrefix $number $text))) | ceil | int64 }}
{{- else }}
{{- . | ceil | int64 }}
{{- end }}
{{- end }}

{{/* Mebibytes that a configuration lets a collector keep on disk: spool, sinks' files, media of both, a quarter more. */}}
{{- define "wayside.diskNeed" -}}
{{- $need := int64 (include "wayside.bytes" (dig "spool" "max_size" "1GiB" .)) }}
{{- $need = add $need (int64 (include "wayside.bytes" (dig "spool" "max_media" "2GiB" .))) }}
{{- $sinks := ternary (dict "jsonl" dict "store" dict) .sinks (kindIs "invalid" .sinks) }}
{{- range $name, $options := $sinks }}
{{- $options = ternary (dict "kind" "none") ($options | default dict) (eq (toString $options) "false") }}
{{- $kind := default $name $options.kind }}
{{- if eq $kind "jsonl" }}
{{- $file := int64 (include "wayside.bytes" (default "64MiB" $options.max_size)) }}
{{- $need = add $need (mul $file (int64 (default 160 $options.max_files))) }}
{{- $need = add $need (int64 (include "wayside.bytes" (default "1GiB" $options.max_media))) }}
{{- else if eq $kind "wandb" }}
{{- $need = add $need (int64 (include "wayside.bytes" (default "10GiB" $options.max_dir_size))) }}
{{- else if and (eq $kind "store") (not $options.url) }}
{{- $need = add $need (int64 (include "wayside.bytes" (default "10GiB" $options.max_size))) }}
{{- $need = add $need (int64 (include "wayside.bytes" (default "2GiB" $options.max_media))) }}
{{- end }}
{{- end }}
{{- div (add $need (div $need 4) 268435456 1048575) 1048576 }}
{{- end }}

{{/* The data volume's limit: as set, else what is needed. */}}
{{- define "wayside.dataLimit" -}}
{{- default (printf "%sMi" (include "wayside.diskNeed" .Values.collector.config)) .Values.data.sizeLimit }}
{{- end }}

{{/* What the schema cannot say of a training's collector. */}}
{{- define "wayside.check" -}}
{{- $config := .Values.collector.config }}
{{- include "wayside.checkPart" (list "collector" .Values.collector .Values.terminationGracePeriodSeconds
  "terminationGracePeriodSeconds") }}
{{- if eq .Values.data.place "pod" }}
{{- include "wayside.checkVolume" (list "data.sizeLimit" (include "wayside.dataLimit" .) "collector.config" $config
  "Kubernetes would end the pod, training and all") }}
{{- end }}
{{- $kind := include "wayside.kind" . }}
{{- if and (eq $kind "native") (semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail (printf "collector.kind: native sidecars need Kubernetes 1.29, and this is %s; take \"auto\""
  .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- end }}

{{- define "wayside.checkGateway" -}}
{{- $gateway := .Values.gateway }}
{{- $config := deepCopy $gateway.config }}
{{- if $gateway.postgresql.existingSecret }}
{{- $_ := set $config "sinks" (merge (dict "store" (dict "url" "postgresql://")) $config.sinks) }}
{{- else if or $gateway.autoscaling.enabled (gt (int $gateway.replicas) 1) }}
{{- fail "gateway.replicas: more than one need a store they share; name a Secret in gateway.postgresql.existingSecret" }}
{{- end }}
{{- include "wayside.checkPart" (list "gateway" $gateway $gateway.terminationGracePeriodSeconds
  "gateway.terminationGracePeriodSeconds") }}
{{- include "wayside.checkVolume" (list "gateway.storage.size" $gateway.storage.size "gateway.config" $config
  "its disk would be full before its limits are reached") }}
{{- end }}

{{- define "wayside.checkNode" -}}
{{- $node := .Values.node }}
{{- include "wayside.checkPart" (list "node" $node $node.terminationGracePeriodSeconds
  "node.terminationGracePeriodSeconds") }}
{{- if and $node.adopt.enabled (not (include "wayside.feedEndpoint" .)) }}
{{- range $node.adopt.sinks }}
{{- if not (hasKey (default dict $node.config.sinks) .) }}
{{- fail (printf "node.adopt.sinks: there is no sink %q; name one of node.config.sinks, or say where to feed in feed.endpoint" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Room for what a configuration allows: (list path size path-of-config config what-else-happens). */}}
{{- define "wayside.checkVolume" -}}
{{- $need := include "wayside.diskNeed" (index . 3) | int64 }}
{{- if lt (include "wayside.bytes" (index . 1) | int64) (mul $need 1048576) }}
{{- fail (printf "%s: %s is less than %s lets the collector keep, %dMi with a quarter to spare: %s. %s"
  (index . 0) (index . 1) (index . 2) $need (index . 4)
  "Raise it, or lower spool.max_size, spool.max_media and the sinks' limits") }}
{{- end }}
{{- end }}

{{/* What is true of every part's configuration: (list name values grace-period path-of-grace-period). */}}
{{- define "wayside.checkPart" -}}
{{- $part := index . 0 }}
{{- $values := index . 1 }}
{{- $config := $values.config }}
{{- range list "socket" "listen" "listen_public" "dir" "adopt" }}
{{- if hasKey $config . }}
{{- fail (printf "%s.config.%s: the chart sets it, and mounts what belongs to it; leave it out" $part .) }}
{{- end }}
{{- end }}
{{- $grace := int64 (include "wayside.seconds" (dig "grace" 10 $config)) }}
{{- $pod := int64 (index . 2) }}
{{- if ge $grace $pod }}
{{- fail (printf "%s.config.grace: %d seconds must be less than %s, %d, %s"
  $part $grace (index . 3) $pod "after which Kubernetes kills the collector") }}
{{- end }}
{{- range $name, $options := $config.sinks }}
{{- if kindIs "map" $options }}
{{- include "wayside.checkSecrets" (dict "part" $part "name" $name "options" $options) }}
{{- end }}
{{- end }}
{{- range $values.extraEnv }}
{{- if and .value (regexMatch "(?i)key|token|secret|password" .name) }}
{{- fail (printf "%s.extraEnv: the value of %s would stand in the pod for everyone to read; %s" $part .name
  "use valueFrom: {secretKeyRef: …}") }}
{{- end }}
{{- end }}
{{- end }}

{{/* Keys and passwords among a sink's options: a ConfigMap is no place for them. */}}
{{- define "wayside.checkSecrets" -}}
{{- $here := printf "%s.config.sinks.%s" .part .name }}
{{- $instead := printf "name a Secret in %s.secrets" .part }}
{{- range $option, $value := .options }}
{{- if and (regexMatch "(?i)(key|token|secret|password)$" $option) $value }}
{{- fail (printf "%s.%s: a ConfigMap is no place for a key; %s" $here $option $instead) }}
{{- end }}
{{- end }}
{{- range $option := list "proxy" "endpoint" "base_url" }}
{{- if contains "@" (toString (get $.options $option)) }}
{{- fail (printf "%s.%s: a ConfigMap is no place for a password; %s" $here $option $instead) }}
{{- end }}
{{- end }}
{{- if regexMatch "://[^/@]*:.*@" (toString (get .options "url")) }}
{{- fail (printf "%s.url: a ConfigMap is no place for a password; %s" $here $instead) }}
{{- end }}
{{- range $header, $value := .options.headers }}
{{- if regexMatch "(?i)auth|key|token|secret|password|cookie" $header }}
{{- fail (printf "%s.headers.%s: a ConfigMap is no place for it; use header_env, %s" $here $header
  "with a variable of extraEnv that comes from a Secret") }}
{{- end }}
{{- end }}
{{- end }}
