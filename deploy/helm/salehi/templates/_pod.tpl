{{/* Variables of a workload: (dict "root" $ "work" the workload). Settings first, then secrets. */}}
{{- define "salehi.env" -}}
{{- $root := .root }}{{ $work := .work }}{{ $pbx := $work.pbx }}
{{- $settings := merge dict ($pbx.config | default dict) $root.Values.config (dict "LOG_FORMAT" "json") }}
{{- $plain := $work.code.plain }}
{{- $env := dict }}
{{- range $name, $value := $settings }}
{{- if and (has $name $plain) (not (kindIs "invalid" $value)) }}{{ $_ := set $env $name (include "salehi.text" $value) }}{{ end }}
{{- end }}
{{- $env = merge (include "salehi.managedEnv" . | fromYaml) $env }}
{{- if and (eq $work.service "ari-gateway") (not (hasKey $env "ARI_STARTUP_WAIT")) }}{{ $_ := set $env "ARI_STARTUP_WAIT" "300" }}{{ end }}
{{- $required := list }}
{{- if $work.pbxName }}
{{- if eq $work.service "ari-gateway" }}{{ $required = append $required "ARI_PASSWORD" }}{{ end }}
{{- if eq $root.Values.storage.sessions "url" }}{{ $required = append $required "SESSION_STORE_URL" }}{{ end }}
{{- if eq $root.Values.storage.database "url" }}{{ $required = append $required "DATABASE_URL" }}{{ end }}
{{- end }}
{{- $extra := list }}{{ range $work.values.extraEnv }}{{ $extra = append $extra .name }}{{ end }}
{{- range $name := keys $env | sortAlpha }}
{{- if not (has $name $extra) }}
- {name: {{ $name }}, value: {{ index $env $name | quote }}}
{{- end }}
{{- end }}
{{- with include "salehi.secretName" (dict "root" $root "pbx" (ternary $pbx dict (ne $work.pbxName ""))) }}
{{- $secret := . }}
{{- range $work.code.secret }}
{{- $kept := or (has . $required) (not (has . (list "DATABASE_URL" "SESSION_STORE_URL"))) }}
{{- if and $kept (not (has . $extra)) }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ . }}, optional: {{ not (has . $required) }}}
{{- end }}
{{- end }}
{{- end }}
{{- with $work.values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What the chart decides itself, whatever the values say. */}}
{{- define "salehi.managedEnv" -}}
{{- $root := .root }}{{ $work := .work }}{{ $pbx := $work.pbx }}
BIND_HOST: "0.0.0.0"
DATA_DIR: /data
LOG_DIR: /var/log/salehi
{{- if and $root.Values.tls.enabled (ne $work.service "prompts") }}
GRPC_TLS_CERT: /etc/salehi/tls/tls.crt
GRPC_TLS_KEY: /etc/salehi/tls/tls.key
GRPC_TLS_CA: /etc/salehi/tls/ca.crt
HEALTH_PORT: "50060"
{{- end }}
{{- if eq $work.service "ari-gateway" }}
{{- $ari := $pbx.ari | default dict }}
{{- $url := include "salehi.ariUrl" (dict "root" $root "pbx" $pbx) }}
ARI_BASE_URL: {{ $url | quote }}
ARI_WS_URL: {{ default (printf "ws%s/events" (trimPrefix "http" $url)) $ari.wsUrl | quote }}
ARI_APP_NAME: {{ default "salehi" $ari.appName | quote }}
ARI_USERNAME: {{ default "salehi" $ari.username | quote }}
{{- if $ari.caConfigMap }}
ARI_CA_FILE: /etc/salehi/ari/ca.crt
{{- end }}
STANDBY: "on"
DRAIN_TIMEOUT: {{ include "salehi.drainSeconds" (dict "root" $root "pbx" $pbx) | quote }}
SPEECH_ADDRESS: {{ include "salehi.target" (dict "root" $root "service" "speech" "pbx" "") | quote }}
INTENT_ADDRESS: {{ include "salehi.target" (dict "root" $root "service" "intent" "pbx" "") | quote }}
REPORTER_ADDRESS: {{ include "salehi.target" (dict "root" $root "service" "reporter" "pbx" $pbx.name) | quote }}
{{- else if eq $work.service "dialer" }}
ARI_GATEWAY_ADDRESS: {{ include "salehi.target" (dict "root" $root "service" "ari-gateway" "pbx" $pbx.name) | quote }}
REPORTER_ADDRESS: {{ include "salehi.target" (dict "root" $root "service" "reporter" "pbx" $pbx.name) | quote }}
{{- else if eq $work.service "reporter" }}
DIALER_ADDRESS: {{ include "salehi.target" (dict "root" $root "service" "dialer" "pbx" $pbx.name) | quote }}
{{- else if and (eq $work.service "intent") $root.Values.intent.rulesConfigMap }}
INTENT_RULES_FILE: /etc/salehi/rules/rules.yaml
{{- else if and (eq $work.service "prompts") (or $root.Values.prompts.configMap $root.Values.prompts.volume) }}
PROMPTS_FILE: /etc/salehi/prompts/prompts.yaml
{{- end }}
{{- end }}

{{/* What the pod security standard `restricted` asks of a pod. */}}
{{- define "salehi.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.runAs.user }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .Values.runAs.group }}
runAsGroup: {{ int64 . }}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* And of a container; nothing is written outside the mounted volumes. */}}
{{- define "salehi.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What every pod begins with: account, image access, no variables made from Services (they would
     be read as settings: DIALER_PORT=tcp://…). */}}
{{- define "salehi.podStart" -}}
serviceAccountName: {{ include "salehi.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
securityContext: {{- include "salehi.podSecurity" . | nindent 2 }}
{{- end }}

{{/* Where a volume of prompts is mounted and what it is. */}}
{{- define "salehi.promptsVolume" -}}
{{- if .Values.prompts.configMap }}
- name: prompts
  configMap: {name: {{ .Values.prompts.configMap }}}
{{- else if .Values.prompts.volume }}
- name: prompts
  {{- toYaml .Values.prompts.volume | nindent 2 }}
{{- end }}
{{- end }}

{{/* The container that makes the prompts: (dict "root" $ "pbx" the entry); mounts `sounds`. */}}
{{- define "salehi.promptsContainer" -}}
{{- $root := .root }}
{{- $code := index ($root.Files.Get "files/services.yaml" | fromYaml) "speech" }}
name: prompts
image: {{ include "salehi.image" (dict "root" $root "service" "speech") | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
command: [python, -m, speech.prompts, /sounds]
env: {{- include "salehi.env" (dict "root" $root "work" (dict "service" "prompts" "pbx" .pbx "pbxName" "" "values" $root.Values.speech "code" $code)) | trim | nindent 2 }}
resources: {{- toYaml $root.Values.speech.resources | nindent 2 }}
securityContext: {{- include "salehi.containerSecurity" $root | nindent 2 }}
volumeMounts:
  - {name: sounds, mountPath: /sounds{{ with (.pbx.sounds | default dict).subPath }}, subPath: {{ . | quote }}{{ end }}}
  - {name: data, mountPath: /data}
  - {name: logs, mountPath: /var/log/salehi}
  - {name: tmp, mountPath: /tmp}
  {{- if or $root.Values.prompts.configMap $root.Values.prompts.volume }}
  - {name: prompts, mountPath: /etc/salehi/prompts, readOnly: true}
  {{- end }}
  {{- with $root.Values.speech.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Volumes that vanish with the pod. */}}
{{- define "salehi.scratchVolumes" -}}
- name: logs
  emptyDir: {sizeLimit: 128Mi}
- name: tmp
  emptyDir: {sizeLimit: 512Mi}
{{- end }}
