{{- define "keyward.name" -}}
{{- if contains "keyward" .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-keyward" .Release.Name }}{{ end -}}
{{- end }}

{{- define "keyward.selector" -}}
app.kubernetes.io/name: keyward
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "keyward.labels" -}}
{{ include "keyward.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "keyward.policies" -}}
{{- .Values.policies.existingConfigMap | default (printf "%s-policies" (include "keyward.name" .)) -}}
{{- end }}
