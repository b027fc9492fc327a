{{/* The flags of `coalmine run`. */}}
{{- define "coalmine.flags" -}}
- --bind=0.0.0.0
- --health-port=8080
- --metrics-port=8090
- --webhook-port=9293
- --data-dir=/data/coalmine
- --lease-namespace={{ .Release.Namespace }}
- --lease-name={{ include "coalmine.fullname" . }}
- --lease-seconds={{ .Values.leaseSeconds }}
- --log-level={{ .Values.log.level }}
- --log-format={{ .Values.log.format }}
{{- range .Values.namespaces }}
- --namespace={{ . }}
{{- end }}
{{- range .Values.metricAddresses }}
- {{ printf "--metric-address=%s" . | quote }}
{{- end }}
{{- $ours := list "bind" "health-port" "metrics-port" "webhook-port" "data-dir" "lease-namespace" "lease-name"
  "lease-seconds" "log-level" "log-format" "namespace" "metric-address" }}
{{- range .Values.extraArgs }}
{{- $name := . | trimPrefix "--" | splitList "=" | first }}
{{- if has $name $ours }}
{{- fail (printf "extraArgs: --%s is set by the chart; use the value that is made for it" $name) }}
{{- end }}
- {{ . | quote }}
{{- end }}
{{- end }}
