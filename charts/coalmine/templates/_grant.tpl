{{/* A role and its binding, in a namespace or (none) in the cluster. Takes: root, suffix, namespace, rules (YAML). */}}
{{- define "coalmine.grant" -}}
{{- $name := printf "%s:%s" (include "coalmine.clusterName" .root) .suffix }}
{{- $scope := ternary "" "Cluster" (not (empty .namespace)) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $scope }}Role
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "coalmine.labels" .root | nindent 4 }}
rules:
{{- .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $scope }}RoleBinding
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "coalmine.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $scope }}Role
  name: {{ $name }}
{{ include "coalmine.subjects" .root }}
{{- end }}
