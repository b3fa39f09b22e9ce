{{- define "elias.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "elias.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "elias.labels" -}}
{{ include "elias.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "elias.settingsSecret" -}}
{{ .Values.existingSecret | default (printf "%s-settings" (include "elias.name" .)) }}
{{- end }}

{{/* The settings that a pod needs, with those of the values over them. */}}
{{- define "elias.settings" -}}
{{- $name := include "elias.name" . }}
{{- $names := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) }}
{{- $listen := dict "host" "0.0.0.0" "tls" true "hosts" $names }}
{{- $needed := dict "state" "/var/lib/elias/state" "listen" $listen "ray" (dict "tls" true) }}
{{- toYaml (mustMergeOverwrite $needed (deepCopy .Values.settings)) }}
{{- end }}

{{/* A pod. Takes the root, the part (`head`, or the name of a pool), its values, and the claim of its storage: empty
where a StatefulSet makes it. */}}
{{- define "elias.pod" -}}
{{- $root := .root }}
{{- $head := eq .part "head" }}
{{- $image := $root.Values.image -}}
serviceAccountName: {{ include "elias.name" $root }}
automountServiceAccountToken: {{ and $head (dig "kubernetes" "enabled" false $root.Values.settings) }}
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationGracePeriodSeconds: {{ .values.grace | default 600 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  podAntiAffinity:
    # A machine that is lost takes one of them with it.
    {{- if $head }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "elias.selector" $root | nindent 14 }}
              elias.part: {{ .part }}
    {{- else }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "elias.selector" $root | nindent 12 }}
            elias.part: {{ .part }}
    {{- end }}
containers:
  - name: elias
    {{- if $image.digest }}
    image: "{{ $image.repository }}@{{ $image.digest }}"
    {{- else }}
    image: "{{ $image.repository }}:{{ .values.tag | default $image.tag | default $root.Chart.AppVersion }}"
    {{- end }}
    imagePullPolicy: {{ $image.pullPolicy }}
    args:
      {{- if $head }}
      - head
      {{- else }}
      - node
      - {{ include "elias.name" $root }}-head
      {{- end }}
      {{- range .values.labels }}
      - --label={{ . }}
      {{- end }}
    env:
      - {name: ELIAS_INVITATION, value: /run/secrets/elias/cluster.join}
    {{- if $head }}
    ports:
      - {name: api, containerPort: 8600}
      - {name: cluster, containerPort: 6380}
    # Ready is the head alone: who stands by, or starts, serves no API. So the Services lead to it, also after a takeover.
    readinessProbe:
      httpGet:
        scheme: HTTPS
        port: api
        path: /healthz
        httpHeaders: [{name: Host, value: localhost}]
      periodSeconds: 5
      timeoutSeconds: 4
    {{- else }}
    readinessProbe:
      exec: {command: [healthy.py]}
      periodSeconds: 15
      timeoutSeconds: 10
    {{- end }}
    # ELIAS restarts what hangs in it. This one begins anew where even that has ended, or a node has lost sight of every
    # head that it knew for ten minutes.
    livenessProbe:
      exec: {command: [healthy.py]}
      initialDelaySeconds: 120
      periodSeconds: 60
      timeoutSeconds: 10
      failureThreshold: 10
    {{- if not $head }}
    # No more jobs come, and those that run may end.
    lifecycle:
      preStop:
        exec: {command: [elias, --config, /etc/elias/elias.yaml, leave]}
    {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    resources:
      {{- toYaml (.values.resources | default dict) | nindent 6 }}
    volumeMounts:
      - {name: state, mountPath: /var/lib/elias}
      - {name: settings, mountPath: /etc/elias, readOnly: true}
      - {name: invitation, mountPath: /run/secrets/elias, readOnly: true}
      - {name: tmp, mountPath: /tmp}
      - {name: shared, mountPath: /dev/shm}
volumes:
  {{- if eq .claim "none" }}
  - name: state
    emptyDir: {}
  {{- else if .claim }}
  - name: state
    persistentVolumeClaim: {claimName: {{ .claim }}}
  {{- end }}
  - name: settings
    secret: {secretName: {{ include "elias.settingsSecret" $root }}, defaultMode: 0440}
  - name: invitation
    # The first head makes it, and goes without.
    secret: {secretName: {{ $root.Values.invitation }}, defaultMode: 0440, optional: {{ $head }}}
  - name: tmp
    emptyDir: {}
  - name: shared
    emptyDir: {medium: Memory, sizeLimit: 512Mi}
{{- end }}
