{{- /* Names, labels and the image that the templates share. */ -}}
{{- define "timpush.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* 52: the controller of StatefulSets puts the name and a hash of eleven characters into one label. */ -}}
{{- define "timpush.fullname" -}}
{{- $name := include "timpush.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "timpush.selector" -}}
app.kubernetes.io/name: {{ include "timpush.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Labels beside those that select: (list $ FURTHER). What stands in FURTHER replaces commonLabels. */ -}}
{{- define "timpush.labelsBeside" -}}
{{- $root := first . -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with merge (dict) (last . | default dict) ($root.Values.commonLabels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Labels of an object: (list $ FURTHER). */ -}}
{{- define "timpush.labels" -}}
{{ include "timpush.selector" (first .) }}
{{ include "timpush.labelsBeside" . }}
{{- end }}

{{- define "timpush.serviceAccount" -}}
{{- default (include "timpush.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "timpush.scheme" -}}
{{- upper .Values.serviceMonitor.scheme }}
{{- end }}

{{- /* An image: (list IMAGE DEFAULT-TAG). */ -}}
{{- define "timpush.image" -}}
{{- $image := first . }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository ($image.tag | default (last .)) }}
{{- end }}
{{- end }}

{{- /* The test's pod must not carry the labels that the Service selects. */ -}}
{{- define "timpush.testSelector" -}}
app.kubernetes.io/name: {{ printf "%s-test" (include "timpush.name" . | trunc 58) }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
