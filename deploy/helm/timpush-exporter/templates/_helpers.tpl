{{- /* Names and labels that the templates share. */ -}}
{{- define "timpush.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "timpush.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "timpush.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "timpush.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "timpush.selector" -}}
app.kubernetes.io/name: {{ include "timpush.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "timpush.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "timpush.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "timpush.serviceAccount" -}}
{{- default (include "timpush.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "timpush.scheme" -}}
{{- upper .Values.serviceMonitor.scheme }}
{{- end }}
