#!/usr/bin/env bash
# cluster.sh: the front door to a real Kubernetes on this machine: kind, one control plane, three workers in three zones.
#
#   cluster.sh up NAME                  make the cluster, or see that it is healthy; prints its kubeconfig file
#   cluster.sh down NAME | --all        delete it; the last one takes the private Docker daemon with it
#   cluster.sh load NAME IMAGE.tar...   put image archives on every node
#   cluster.sh port NAME 30443          print the port of 127.0.0.1 that leads to that NodePort
#   cluster.sh kubeconfig NAME          print the kubeconfig file
#   cluster.sh env NAME                 print lines to source: KUBECONFIG, and DOCKER_HOST if the daemon is private
#   cluster.sh status                   list clusters and their nodes
#
# What is missing is found or made, announced in one line each, and can be forced:
#   CLUSTER_DOCKER=system    use the Docker daemon that "docker info" reaches          CLUSTER_DOCKER=private   run our own (docker.sh)
#   CLUSTER_IMAGE=official   kind's node image from a registry                         CLUSTER_IMAGE=built      make it (node-image.sh)
#   KEYSTORE_CACHE=DIR       what is built and what runs (default ~/.cache/keystore-operator)
# Clusters of different names coexist. Cold with everything to be built: about 12 minutes on two cores; warm: under a minute.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

# The image that kind's own release notes give for this kind and the last Kubernetes for cgroup v1.
official=kindest/node:v1.34.8@sha256:02722c2dedddcfc00febf5d27fbeb9b7b2c14294c82109ff4a85d89ac9ba3256
config=$here/../../deploy/kind/kind.yaml
clusters=$run/clusters
# What the caller has set, unless it is what "cluster.sh env" told them: that daemon is ours and may have ended.
users_docker_host=${DOCKER_HOST-}
if [ "$users_docker_host" = "unix://$run/docker/docker.sock" ]; then users_docker_host=; fi
export KIND_EXPERIMENTAL_PROVIDER=docker # kind would also look for podman

# --- which Docker daemon

choose_docker() {
  use_system
  case ${CLUSTER_DOCKER-} in
  system) docker_answers || fail "CLUSTER_DOCKER=system, but \"docker info\" fails" ;;
  private) start_private ;;
  '')
    if "$here/docker.sh" status; then use_private
    elif docker_answers; then say "using the Docker daemon of this machine (CLUSTER_DOCKER=private runs one of our own)"
    else
      say "no Docker daemon answers: using a private one (CLUSTER_DOCKER=system forbids that)"
      "$here/packages.sh" docker
      # Debian starts the daemon of a package that it installs, where there is an init system.
      docker_answers || start_private
    fi
    ;;
  *) fail "CLUSTER_DOCKER is \"$CLUSTER_DOCKER\"; it may be system, private or unset" ;;
  esac
}
start_private() {
  "$here/packages.sh" docker
  "$here/docker.sh" status || forget_private_clusters
  "$here/docker.sh" up
  use_private
}
# A private daemon that ended (the machine restarted, somebody killed it) took its clusters with it.
forget_private_clusters() {
  local each
  for each in "$clusters"/*/daemon; do
    if [ -e "$each" ] && [ "$(cat "$each")" = private ]; then
      say "forgetting cluster $(basename "${each%/daemon}"), which ended with its Docker daemon"
      rm -rf "${each%/daemon}"
    fi
  done
}
use_system() {
  daemon=system
  if [ -n "$users_docker_host" ]; then export DOCKER_HOST=$users_docker_host; else unset DOCKER_HOST; fi
}
use_private() { daemon=private; eval "$("$here/docker.sh" env)"; }

# use_docker_of NAME: talk to the daemon that holds this cluster; fails if it does not run
use_docker_of() {
  [ -e "$clusters/$1/daemon" ] || return 1
  if [ "$(cat "$clusters/$1/daemon")" = private ]; then
    use_private
    "$here/docker.sh" status
  else
    use_system
  fi
}

# --- which node image

choose_image() {
  case ${CLUSTER_IMAGE-} in
  official) docker image inspect $official >/dev/null 2>&1 || pull_official || fail "CLUSTER_IMAGE=official, but it could not be pulled: $(tail -n 1 "$run/pull.log")"; image=$official ;;
  built) image=$("$here/node-image.sh") ;;
  '')
    if docker image inspect $official >/dev/null 2>&1 || pull_official; then image=$official
    else
      say "no image registry answers: using a node image built here (CLUSTER_IMAGE=official forbids that)"
      image=$("$here/node-image.sh")
    fi
    ;;
  *) fail "CLUSTER_IMAGE is \"$CLUSTER_IMAGE\"; it may be official, built or unset" ;;
  esac
}

# A registry that is going to answer says "Pulling from" at once; one that is cut off may take minutes to say nothing.
pull_official() {
  local log=$run/pull.log pull try
  say "looking for $official"
  timeout 1200 docker pull "$official" >"$log" 2>&1 &
  pull=$!
  for ((try = 0; try < 100; try++)); do
    if grep -q 'Pulling from' "$log"; then say "pulling the official node image"; break; fi
    kill -0 $pull 2>/dev/null || break
    sleep 0.1
  done
  if [ $try = 100 ]; then kill $pull; fi
  wait $pull 2>/dev/null && return
  # One that began to answer is asked again; one that is not there is not.
  grep -q 'Pulling from' "$log" || return
  again "pulling the official node image" logged "$log" timeout 1200 docker pull "$official"
}

# --- up

up() {
  local name=$1 state=$clusters/$1
  [[ $name =~ ^[a-z0-9][a-z0-9-]{0,30}$ ]] || fail "\"$name\" is no name for a cluster: lower-case letters, digits, dashes"
  mkdir -p "$clusters"
  if use_docker_of "$name" && [ -n "$(nodes_of "$name")" ]; then
    if [ -e "$state/complete" ] && exists "$name"; then reuse "$name"; else
      say "cluster $name was left half made; starting again"
      delete "$name"
      create "$name"
    fi
  else create "$name"; fi
  say "cluster $name is ready: export KUBECONFIG=$state/kubeconfig"
}

exists() { docker container inspect "$1-control-plane" >/dev/null 2>&1; }
nodes_of() { docker ps -a --filter "label=io.x-k8s.kind.cluster=$1" --format '{{.Names}}'; }
kubectl_in() { docker exec "$1-control-plane" kubectl --kubeconfig=/etc/kubernetes/admin.conf "${@:2}"; }

reuse() {
  local name=$1 stopped
  [ "$(cat "$clusters/$name/config" 2>/dev/null)" = "$(key "$(cat "$config")")" ] ||
    fail "cluster $name was made from another version of deploy/kind/kind.yaml; delete it first: $0 down $name"
  stopped=$(docker ps -a --filter "label=io.x-k8s.kind.cluster=$name" --filter status=exited --format '{{.Names}}')
  # shellcheck disable=SC2086  # a list of words
  if [ -n "$stopped" ]; then say "starting stopped nodes of $name: "$stopped; docker start $stopped >/dev/null; fi
  wait_ready "$name" 300 || fail "cluster $name exists but is not healthy; delete it: $0 down $name"
}

create() {
  local name=$1 state=$clusters/$1
  choose_docker
  kind=$("$here/binaries.sh" kind)/kind
  remember_system
  choose_image
  rm -rf "$state"
  mkdir -p "$state"
  echo "$daemon" >"$state/daemon"
  key "$(cat "$config")" >"$state/config"
  say "creating cluster $name with $daemon Docker and $image"
  again "creating cluster $name" start_nodes "$name" ||
    { tail -n 30 "$state/kind.log" >&2; fail "kind could not create cluster $name; its logs: $state/kind.log and $state/logs"; }
  say "nodes are started; waiting until they and the cluster's own pods are ready"
  wait_ready "$name" 600 || { kubectl_in "$name" --request-timeout=10s get nodes,pods -A -o wide >&2 || true; fail "cluster $name did not become ready within 600 s; it is left for you to look at: export KUBECONFIG=$state/kubeconfig"; }
  touch "$state/complete"
}

# start_nodes NAME: an attempt that fails leaves its logs and no nodes
start_nodes() {
  local name=$1 state=$clusters/$1
  logged "$state/kind.log" "$kind" create cluster --name "$name" --config "$config" --image "$image" --kubeconfig "$state/kubeconfig" --retain && return
  rm -rf "$state/logs"
  "$kind" export logs "$state/logs" --name "$name" >/dev/null 2>&1 || true
  "$kind" delete cluster --name "$name" --kubeconfig "$state/kubeconfig" >/dev/null 2>&1 || true
  return 1
}

wait_ready() { # wait_ready NAME SECONDS: API, all four nodes, DNS, volume provisioner
  local name=$1 end=$((EPOCHSECONDS + $2))
  until kubectl_in "$name" --request-timeout=10s get --raw /readyz >/dev/null 2>&1; do
    [ $EPOCHSECONDS -lt $end ] || return 1
    sleep 0.5
  done
  kubectl_in "$name" wait --for=condition=Ready nodes --all --timeout="$(rest_until $end)" >/dev/null &&
    kubectl_in "$name" wait --for=condition=Available deployments --all -A --timeout="$(rest_until $end)" >/dev/null
}
# rest_until END: for kubectl, which looks once at 0s and waits for a week at less
rest_until() { echo "$((EPOCHSECONDS < $1 ? $1 - EPOCHSECONDS : 0))s"; }

# In somebody else's daemon, write down what is ours to remove at the end.
remember_system() {
  if [ "$daemon" != system ] || [ -e "$run/added" ]; then return; fi
  local each
  {
    docker network inspect kind >/dev/null 2>&1 || echo "network kind"
    for each in $official "$("$here/node-image.sh" name)"; do
      docker image inspect "$each" >/dev/null 2>&1 || echo "image $each"
    done
  } >"$run/added"
}

# --- down

delete() {
  local paused
  say "deleting cluster $1"
  paused=$(docker ps --filter "label=io.x-k8s.kind.cluster=$1" --filter status=paused --format '{{.Names}}')
  # shellcheck disable=SC2086  # a list of words
  if [ -n "$paused" ]; then docker unpause $paused >/dev/null; fi
  remove_nodes "$1" && return
  if [ "$daemon" = private ]; then "$here/docker.sh" thaw; fi
  remove_nodes "$1" || say "some nodes of $1 could not be deleted: $(tail -n 1 "$clusters/$1/delete.log")"
}
remove_nodes() { "$("$here/binaries.sh" kind)/kind" delete cluster --name "$1" --kubeconfig "$clusters/$1/kubeconfig" >"$clusters/$1/delete.log" 2>&1; }

down() {
  local name=$1
  if use_docker_of "$name" && [ -n "$(nodes_of "$name")" ]; then delete "$name"; fi
  rm -rf "${clusters:?}/$name"
  if ! compgen -G "$clusters/*/daemon" >/dev/null; then clean_daemons; fi
}

clean_daemons() {
  local kind_of name
  "$here/docker.sh" down
  if [ -e "$run/added" ]; then
    use_system
    while read -r kind_of name; do docker "$kind_of" rm "$name" >/dev/null 2>&1 || true; done <"$run/added"
  fi
  rm -rf "$run"
}

down_all() {
  local each
  for each in "$clusters"/*/; do if [ -d "$each" ]; then down "$(basename "$each")"; fi; done
  clean_daemons
}

# --- questions

require() { if ! use_docker_of "$1" || ! exists "$1"; then fail "there is no running cluster \"$1\": $0 up $1"; fi; }

load() {
  local name=$1 each kind
  require "$name"
  kind=$("$here/binaries.sh" kind)/kind
  for each in "${@:2}"; do
    "$kind" load image-archive "$each" --name "$name" >"$clusters/$name/load.log" 2>&1 || { cat "$clusters/$name/load.log" >&2; fail "could not load $each"; }
    say "loaded $each on every node of $name"
  done
}

port() {
  require "$1"
  local address
  address=$(docker port "$1-control-plane" "$2/tcp" 2>/dev/null | head -n 1) || true
  [ -n "$address" ] || fail "deploy/kind/kind.yaml maps no port $2"
  echo "${address##*:}"
}

environment() {
  require "$1"
  echo "export KUBECONFIG=$clusters/$1/kubeconfig"
  if [ "$daemon" = private ]; then echo "export DOCKER_HOST=$DOCKER_HOST"; fi
}

status() {
  local state name
  compgen -G "$clusters/*/daemon" >/dev/null || echo "no clusters"
  for state in "$clusters"/*/daemon; do
    [ -e "$state" ] || continue
    name=$(basename "$(dirname "$state")")
    echo "$name ($(cat "$state") Docker)"
    if use_docker_of "$name" && exists "$name"; then docker ps -a --filter "label=io.x-k8s.kind.cluster=$name" --format '  {{.Names}}: {{.Status}}'; else echo "  not running"; fi
  done
}

[ -z "${CLUSTER-}" ] || [ "$CLUSTER" = kind ] || fail "CLUSTER=$CLUSTER: this script makes clusters of kind. With CLUSTER=existing, \"make demo\" and \"make e2e\" use the cluster of your kubeconfig instead (existing.sh)."
case "${1-} $#" in
"up 2") locked cluster up "$2"; echo "$clusters/$2/kubeconfig" ;;
"down 2") if [ "$2" = --all ]; then locked cluster down_all; else locked cluster down "$2"; fi ;;
"kubeconfig 2") require "$2"; echo "$clusters/$2/kubeconfig" ;;
"port 3") port "$2" "$3" ;;
"env 2") environment "$2" ;;
"status 1") status ;;
"load "[3-9] | "load "[1-9][0-9]) load "${@:2}" ;;
-h* | --help*) usage ;;
*) usage >&2; exit 2 ;;
esac
