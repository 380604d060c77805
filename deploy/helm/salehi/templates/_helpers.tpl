{{/* First part of all names. Short enough for the longest that follows it. */}}
{{- define "salehi.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 28 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 28 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 28 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "salehi.instanceLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "salehi.labels" -}}
{{ include "salehi.instanceLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What selects the pods of one workload: (dict "root" $ "component" … "pbx" name or ""). */}}
{{- define "salehi.selector" -}}
{{ include "salehi.instanceLabels" .root }}
{{ include "salehi.role" . }}
{{- end }}

{{- define "salehi.role" -}}
app.kubernetes.io/component: {{ .component }}
{{- with .pbx }}
salehi/pbx: {{ . }}
{{- end }}
{{- end }}

{{- define "salehi.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "salehi.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{/* Image of a service: (dict "root" $ "service" …). */}}
{{- define "salehi.image" -}}
{{- $image := .root.Values.image }}
{{- $tag := default .root.Chart.AppVersion $image.tag }}
{{- with $image.registry }}{{ . }}/{{ end }}{{ with $image.repository }}{{ . }}/{{ end }}{{ .service }}:{{ $tag }}
{{- end }}

{{/* The gRPC target of a workload, all its pods: (dict "root" $ "service" … "pbx" name or ""). */}}
{{- define "salehi.target" -}}
{{- $ports := (.root.Files.Get "files/services.yaml" | fromYaml) }}
{{- printf "dns:///%s.%s.svc:%v" (include "salehi.workloadName" .) .root.Release.Namespace (index $ports .service).grpc }}
{{- end }}

{{- define "salehi.workloadName" -}}
{{ include "salehi.fullname" .root }}-{{ .service }}{{ with .pbx }}-{{ . }}{{ end }}
{{- end }}

{{/* The Secret a workload reads: its PBX's, else the common one; empty when there is none. */}}
{{- define "salehi.secretName" -}}
{{- $own := "" }}{{ with .pbx }}{{ $own = .existingSecret | default "" }}{{ end }}
{{- if $own }}{{ $own }}
{{- else if .root.Values.secret.existingSecret }}{{ .root.Values.secret.existingSecret }}
{{- else if .root.Values.secret.values }}{{ include "salehi.fullname" .root }}{{ end }}
{{- end }}

{{/* A value as the settings read it: 31536000 is no 3.1536e+07, true no "true" of YAML's. */}}
{{- define "salehi.text" -}}
{{- if kindIs "float64" . }}{{ if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else }}{{ . }}{{ end }}
{{- end }}

{{/* Seconds calls may go on after SIGTERM: (dict "root" $ "pbx" the entry). */}}
{{- define "salehi.drainSeconds" -}}
{{- $own := .pbx.config | default dict }}
{{- $ring := default (default 30 (index .root.Values.config "ORIGINATION_TIMEOUT")) (index $own "ORIGINATION_TIMEOUT") }}
{{- $drain := add (int $ring) (int .root.Values.ariGateway.longestCallSeconds) }}
{{- if gt $drain 3600 }}{{ fail "ariGateway.longestCallSeconds and ORIGINATION_TIMEOUT are more than 3600 seconds together: lower one" }}{{ end }}
{{- $drain }}
{{- end }}

{{/* Address of a PBX's ARI: (dict "root" $ "pbx" the entry). */}}
{{- define "salehi.ariUrl" -}}
{{- $ari := .pbx.ari | default dict }}
{{- if .root.Values.asterisk.enabled }}http://{{ include "salehi.fullname" .root }}-asterisk.{{ .root.Release.Namespace }}.svc:8088/ari
{{- else }}{{ $ari.baseUrl | trimSuffix "/" }}{{ end }}
{{- end }}

{{/* Networks a PBX's ARI is in, from ari.cidrs or the address itself; a list as JSON. */}}
{{- define "salehi.ariCidrs" -}}
{{- $ari := .pbx.ari | default dict }}
{{- $host := (urlParse ($ari.baseUrl | default "")).hostname }}
{{- if $ari.cidrs }}{{ $ari.cidrs | toJson }}
{{- else if regexMatch "^[0-9]+(\\.[0-9]+){3}$" $host }}{{ list (printf "%s/32" $host) | toJson }}
{{- else }}{{ list | toJson }}{{ end }}
{{- end }}

{{/* Ports of a PBX's ARI, of the requests and of the events; a list as JSON. */}}
{{- define "salehi.ariPorts" -}}
{{- $ari := .pbx.ari | default dict }}
{{- $ports := list }}
{{- range $url := compact (list (include "salehi.ariUrl" .) ($ari.wsUrl | default "")) }}
{{- $host := (urlParse $url).host }}
{{- $usual := ternary 443 80 (regexMatch "^(https|wss):" $url) }}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" }}
{{- $ports = append $ports (ternary (int $port) $usual (ne $port "")) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}

{{/* Stops where values do not fit together, with a line that says what to do. */}}
{{- define "salehi.check" -}}
{{- $values := .Values }}
{{- $apps := list }}{{ $names := list }}{{ $secrets := list }}
{{- range $index, $pbx := $values.pbxs }}
{{- $where := printf "pbxs[%d]" $index }}
{{- $ari := $pbx.ari | default dict }}
{{- $apps = append $apps (default "salehi" $ari.appName) }}
{{- $names = append $names $pbx.name }}
{{- $secrets = append $secrets (default "" $pbx.existingSecret) }}
{{- $own := merge dict ($pbx.config | default dict) $values.config }}
{{- range list "OUTBOUND_TRUNK" "OUTBOUND_NUMBERS" }}
{{- if not (index $own .) }}{{ fail (printf "%s.config.%s is not set: give it there or in config" $where .) }}{{ end }}
{{- end }}
{{- if not (or (index $own "OPERATOR_EXTENSION") (index $own "OPERATOR_EXTENSIONS")) }}{{ fail (printf "%s.config.OPERATOR_EXTENSION is not set: give it there or in config" $where) }}{{ end }}
{{- if not (include "salehi.secretName" (dict "root" $ "pbx" $pbx)) }}{{ fail (printf "%s has no secret with ARI_PASSWORD: set %s.existingSecret, secret.existingSecret or secret.values" $where $where) }}{{ end }}
{{- if $values.asterisk.enabled }}
{{- if $ari.baseUrl }}{{ fail (printf "%s.ari.baseUrl and asterisk.enabled exclude each other: clear one" $where) }}{{ end }}
{{- else }}
{{- if not $ari.baseUrl }}{{ fail (printf "%s.ari.baseUrl is not set: for example http://192.0.2.10:8088/ari" $where) }}{{ end }}
{{- if and $values.networkPolicy.enabled (eq (include "salehi.ariCidrs" (dict "pbx" $pbx)) "[]") }}{{ fail (printf "%s.ari.cidrs is not set: name the address of Asterisk, for example [192.0.2.10/32], or switch networkPolicy off" $where) }}{{ end }}
{{- end }}
{{- if and $ari.caConfigMap (or (hasPrefix "http:" (include "salehi.ariUrl" (dict "root" $ "pbx" $pbx))) (hasPrefix "ws:" ($ari.wsUrl | default ""))) }}{{ fail (printf "%s.ari.caConfigMap is set, but not all of ARI is encrypted: write ari.baseUrl with https:// and ari.wsUrl with wss://, or clear it" $where) }}{{ end }}
{{- end }}
{{- if ne (len $names) (len (uniq $names)) }}{{ fail "pbxs: a name stands there twice" }}{{ end }}
{{- if ne (len $apps) (len (uniq $apps)) }}{{ fail "pbxs: each needs an ari.appName of its own, for leases and calls are kept by it" }}{{ end }}
{{- if and (gt (len $names) 1) (or (eq $values.storage.database "url") (eq $values.storage.sessions "url")) (or (has "" $secrets) (ne (len $secrets) (len (uniq $secrets)))) }}{{ fail "pbxs: with storage in url each needs an existingSecret of its own, for each needs a database of its own" }}{{ end }}
{{- if and $values.asterisk.enabled (ne (len $names) 1) }}{{ fail "asterisk.enabled needs exactly one entry in pbxs" }}{{ end }}
{{- range $pbx := $values.pbxs }}{{ if and ($pbx.standby | default false) (ne $values.storage.sessions "url") }}{{ fail (printf "pbxs: the standby of %s needs storage.sessions=url, for a volume belongs to one pod" $pbx.name) }}{{ end }}{{ end }}
{{- if and $values.asterisk.enabled (not $values.asterisk.trunkAddress) }}{{ fail "asterisk.trunkAddress is not set: host:port of the carrier" }}{{ end }}
{{- if eq $values.storage.database "volume" }}
{{- range list "dialer" "reporter" }}{{ if gt (int (index $values .).replicas) 1 }}{{ fail (printf "%s.replicas above 1 needs storage.database=url, a PostgreSQL" .) }}{{ end }}{{ end }}
{{- end }}
{{- if $values.networkPolicy.enabled }}
{{- range $kind, $setting := dict "database" "DATABASE_URL" "sessions" "SESSION_STORE_URL" }}
{{- if and $values.pbxs (eq (index $values.storage $kind) "url") (not (index $values.networkPolicy $kind)) }}{{ fail (printf "networkPolicy.%s is not set: allow the way to %s" $kind $setting) }}{{ end }}
{{- end }}
{{- if and $values.config.OTEL_EXPORTER_OTLP_ENDPOINT (not $values.networkPolicy.traces) }}{{ fail "networkPolicy.traces is not set: allow the way to OTEL_EXPORTER_OTLP_ENDPOINT" }}{{ end }}
{{- end }}
{{- if and $values.tls.enabled (not $values.tls.existingSecret) }}{{ fail "tls.existingSecret is not set: name the Secret with tls.crt, tls.key and ca.crt" }}{{ end }}
{{- if and (eq $values.autoscaling.engine "keda") (not $values.autoscaling.prometheusAddress) (or $values.speech.autoscaling.enabled $values.intent.autoscaling.enabled) }}{{ fail "autoscaling.prometheusAddress is not set: KEDA asks Prometheus" }}{{ end }}
{{- if and $values.prompts.configMap $values.prompts.volume }}{{ fail "prompts.configMap and prompts.volume exclude each other: clear one" }}{{ end }}
{{- if and $values.secret.existingSecret $values.secret.values }}{{ fail "secret.existingSecret and secret.values exclude each other: clear one" }}{{ end }}
{{- end }}

{{/* All workloads of the release, as JSON {"items": […]}; every template that makes one thing for each ranges over it. */}}
{{- define "salehi.workloads" -}}
{{- include "salehi.check" . }}
{{- $root := . }}
{{- $services := .Files.Get "files/services.yaml" | fromYaml }}
{{- $items := list }}
{{- $database := eq .Values.storage.database "url" }}
{{- range $service, $block := dict "speech" .Values.speech "intent" .Values.intent }}
{{- $items = append $items (dict "service" $service "pbx" dict "pbxName" "" "values" $block "replicas" $block.replicas "rolling" true "volume" false "scaled" $block.autoscaling.enabled "graceSeconds" 45) }}
{{- end }}
{{- range $pbx := .Values.pbxs }}
{{- $drain := int (include "salehi.drainSeconds" (dict "root" $root "pbx" $pbx)) }}
{{- $standby := ternary 2 1 ($pbx.standby | default false) }}
{{- $items = append $items (dict "service" "ari-gateway" "pbx" $pbx "pbxName" $pbx.name "values" $root.Values.ariGateway "replicas" $standby "rolling" false "volume" (eq $root.Values.storage.sessions "volume") "scaled" false "graceSeconds" (add $drain 60)) }}
{{- range $service, $block := dict "dialer" $root.Values.dialer "reporter" $root.Values.reporter }}
{{- $items = append $items (dict "service" $service "pbx" $pbx "pbxName" $pbx.name "values" $block "replicas" $block.replicas "rolling" $database "volume" (not $database) "scaled" false "graceSeconds" 30) }}
{{- end }}
{{- end }}
{{- range $items }}
{{- $_ := set . "name" (include "salehi.workloadName" (dict "root" $root "service" .service "pbx" .pbxName)) }}
{{- $_ := set . "code" (index $services .service) }}
{{- end }}
{{- dict "items" $items | toJson }}
{{- end }}
