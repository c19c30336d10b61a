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

{{/* Mebibytes that the configuration lets the collector keep on disk: spool, sinks' files, and a quarter more. */}}
{{- define "wayside.diskNeed" -}}
{{- $config := .Values.collector.config }}
{{- $need := int64 (include "wayside.bytes" (dig "spool" "max_size" "1GiB" $config)) }}
{{- $sinks := ternary (dict "jsonl" dict) $config.sinks (kindIs "invalid" $config.sinks) }}
{{- range $name, $options := $sinks }}
{{- $options = ternary (dict "kind" "none") ($options | default dict) (eq (toString $options) "false") }}
{{- $kind := default $name $options.kind }}
{{- if eq $kind "jsonl" }}
{{- $file := int64 (include "wayside.bytes" (default "64MiB" $options.max_size)) }}
{{- $need = add $need (mul $file (int64 (default 160 $options.max_files))) }}
{{- else if eq $kind "wandb" }}
{{- $need = add $need (int64 (include "wayside.bytes" (default "10GiB" $options.max_dir_size))) }}
{{- end }}
{{- end }}
{{- div (add $need (div $need 4) 268435456 1048575) 1048576 }}
{{- end }}

{{/* The data volume's limit: as set, else what is needed. */}}
{{- define "wayside.dataLimit" -}}
{{- default (printf "%sMi" (include "wayside.diskNeed" .)) .Values.data.sizeLimit }}
{{- end }}

{{/* What the schema cannot say of the values. */}}
{{- define "wayside.check" -}}
{{- $config := .Values.collector.config }}
{{- range list "socket" "listen" "listen_public" "dir" }}
{{- if hasKey $config . }}
{{- fail (printf "collector.config.%s: the chart sets it, and mounts what belongs to it; leave it out" .) }}
{{- end }}
{{- end }}
{{- $limit := include "wayside.bytes" (include "wayside.dataLimit" .) | int64 }}
{{- $need := include "wayside.diskNeed" . | int64 }}
{{- if lt $limit (mul $need 1048576) }}
{{- fail (printf "data.sizeLimit: %s is less than collector.config lets the collector keep, %dMi with a quarter to %s"
  .Values.data.sizeLimit $need
  "spare: Kubernetes would end the pod, training and all. Raise it, or lower spool.max_size and the sinks' limits") }}
{{- end }}
{{- $grace := int64 (include "wayside.seconds" (dig "grace" 10 $config)) }}
{{- $pod := int64 .Values.terminationGracePeriodSeconds }}
{{- if ge $grace $pod }}
{{- fail (printf "collector.config.grace: %d seconds must be less than terminationGracePeriodSeconds, %d, %s"
  $grace $pod "after which Kubernetes kills the collector") }}
{{- end }}
{{- range $name, $options := $config.sinks }}
{{- if kindIs "map" $options }}
{{- include "wayside.checkSecrets" (dict "name" $name "options" $options) }}
{{- end }}
{{- end }}
{{- range .Values.collector.extraEnv }}
{{- if and .value (regexMatch "(?i)key|token|secret|password" .name) }}
{{- fail (printf "collector.extraEnv: the value of %s would stand in the Job for everyone to read; %s" .name
  "use valueFrom: {secretKeyRef: …}") }}
{{- end }}
{{- end }}
{{- end }}

{{/* Keys and passwords among a sink's options: a ConfigMap is no place for them. */}}
{{- define "wayside.checkSecrets" -}}
{{- $here := printf "collector.config.sinks.%s" .name }}
{{- if hasKey .options "api_key" }}
{{- fail (printf "%s.api_key: a ConfigMap is no place for a key; name a Secret in wandb.existingSecret" $here) }}
{{- end }}
{{- $name := .name }}
{{- range $option := list "proxy" "endpoint" "base_url" }}
{{- if contains "@" (toString (get $.options $option)) }}
{{- fail (printf "%s.%s: a ConfigMap is no place for a password; set WAYSIDE_SINKS__%s__%s in collector.extraEnv, %s"
  $here $option (upper $name) (upper $option) "from a Secret") }}
{{- end }}
{{- end }}
{{- if regexMatch "://[^/@]*:.*@" (toString (get .options "url")) }}
{{- fail (printf "%s.url: a ConfigMap is no place for a password; name its file with passfile=, from a Secret" $here) }}
{{- end }}
{{- range $header, $value := .options.headers }}
{{- if regexMatch "(?i)auth|key|token|secret|password|cookie" $header }}
{{- fail (printf "%s.headers.%s: a ConfigMap is no place for it; use header_env, %s" $here $header
  "with a variable of collector.extraEnv that comes from a Secret") }}
{{- end }}
{{- end }}
{{- end }}
