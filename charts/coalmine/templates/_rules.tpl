{{/* What the operator does in every namespace that it watches: a line for each call in rollout/. No verb without a call. */}}
{{- define "coalmine.rules" }}
# Watched: listed at the start and by each sweep, then watched.
- apiGroups: [coalmine.dev]
  resources: [rollouts, analysisruns, analysistemplates, failuremodels, gitrepositories, applications]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods, services]
  verbs: [list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [list, watch]
# The outcome of a turn.
- apiGroups: [coalmine.dev]
  resources: [rollouts/status, analysisruns/status, failuremodels/status, gitrepositories/status, applications/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# The revision, the finalizer, the heard annotation; a push that a replica which stands by passes on.
- apiGroups: [coalmine.dev]
  resources: [rollouts, applications, gitrepositories]
  verbs: [patch]
# What a Rollout drives.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [create, patch, delete]
- apiGroups: [coalmine.dev]
  resources: [analysisruns]
  verbs: [create, patch, delete]
- apiGroups: [""]
  resources: [pods, services]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [patch]
# Records of analyses are kept in ConfigMaps, and sentinels are read from them.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch]
# Whose replicas an Application leaves alone.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
{{- if .Values.rbac.blockOwnerDeletion }}
- apiGroups: [coalmine.dev]
  resources: [rollouts/finalizers, analysisruns/finalizers]
  verbs: [update]
{{- end }}
{{- end }}

{{- define "coalmine.clusterRules" }}
- apiGroups: [coalmine.dev]
  resources: [clusteranalysistemplates]
  verbs: [list, watch]
{{- end }}

{{- define "coalmine.leaseRules" }}
# A name that does not exist yet cannot be allowed by name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "coalmine.fullname" . | quote }}]
  verbs: [get, update]
{{- end }}

{{/* What Applications apply: read, dry run, apply, prune. Takes rbac.applications.resources. */}}
{{- define "coalmine.applicationRules" }}
{{- range . }}
- apiGroups: [{{ .apiGroup | quote }}]
  resources: {{ toJson .resources }}
  verbs: [get, create, patch, delete]
{{- end }}
{{- end }}

{{/* Takes the names of Secrets, or "all". */}}
{{- define "coalmine.secretRules" }}
- apiGroups: [""]
  resources: [secrets]
  {{- if ne (toString .) "all" }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get]
{{- end }}
