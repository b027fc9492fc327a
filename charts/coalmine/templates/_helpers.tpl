{{/* Names. The longest suffix has 9 characters, and a DNS label 63. */}}
{{- define "coalmine.fullname" -}}
{{- $name := .Release.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (contains "coalmine" $name) -}}
{{- $name = printf "%s-coalmine" $name -}}
{{- end -}}
{{- $name | trunc 54 | trimSuffix "-" -}}
{{- end }}

{{/* Of what has no namespace: two releases of one name may live in two namespaces. */}}
{{- define "coalmine.clusterName" -}}
{{ .Release.Namespace }}:{{ include "coalmine.fullname" . }}
{{- end }}

{{- define "coalmine.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "coalmine.fullname" .) }}
{{- else -}}
{{ required "serviceAccount.name: name the existing one, or set serviceAccount.create to true" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "coalmine.selectorLabels" -}}
app.kubernetes.io/name: coalmine
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "coalmine.labels" -}}
{{ include "coalmine.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "coalmine.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The rest of a binding, after roleRef. */}}
{{- define "coalmine.subjects" -}}
subjects:
- kind: ServiceAccount
  name: {{ include "coalmine.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}
