#!/usr/bin/env bash
# Makes a running labbox out of a bare Debian 12 or 13.
set -euo pipefail
umask 022

usage() {
  cat <<'EOF'
usage: ./autoboot.sh [--custom DIR] [--state DIR] [--ssh ADDR:PORT]          a real box, configured by a custom folder
       ./autoboot.sh demo [--detach] [--state DIR] [--ssh ADDR:PORT]         a box with a small demo lab
       ./autoboot.sh install                                                 only install what is missing
       ./autoboot.sh engine                                                  only start the container engine
       ./autoboot.sh status                                                  0 = it runs and is healthy
       ./autoboot.sh stop                                                    end it, and the engine if this script started it

demo stays in the foreground and ends the box at Ctrl+C; with --detach, or where it has no terminal, the box goes on.
Everything is installed below /opt/labbox (LABBOX_PREFIX), where people who log in can read it.
EOF
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${LABBOX_PREFIX:-/opt/labbox}
lock=${LABBOX_REQUIREMENTS:-requirements.lock} # tests install requirements-dev.lock
run=${LABBOX_RUN:-/run/labbox}
labbox=$prefix/venv/bin/labbox

say() { printf '\033[1m•\033[0m %s\n' "$*"; }
die() { # message, hint
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

install_system_packages() {
  local program package missing=() client=docker.io
  [ "$(. /etc/os-release && echo "${VERSION_ID:-0}")" = 12 ] || client=docker-cli # a package of its own since Debian 13
  command -v docker >/dev/null 2>&1 || missing+=("$client")
  # a program that must be there, and the package that brings it
  while read -r program package; do
    [ -e "$program" ] || command -v "$program" >/dev/null 2>&1 || missing+=("$package")
  done <<'EOF'
dockerd docker.io
docker-init tini
iptables iptables
/usr/lib/openssh/sftp-server openssh-sftp-server
ssh openssh-client
rsync rsync
git git
debootstrap debootstrap
/bin/busybox busybox-static
mount mount
ps procps
EOF
  # where the kernel has AppArmor the engine loads a profile for each container, and starts none without this
  [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" != Y ] || command -v apparmor_parser >/dev/null || missing+=(apparmor)
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  [ ${#missing[@]} -gt 0 ] || return 0
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  command -v apt-get >/dev/null || die "cannot install ${missing[*]}: this is not a Debian" "install them by hand and run this again"
  say "installing ${missing[*]}"
  local log=/var/log/labbox-install.log
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 \
    || { tail -n 15 "$log" >&2; die "cannot install system packages" "the whole log is in $log"; }
}

# What the installed program was made from: when this changes, it is made again.
fingerprint() {
  (cd "$here" && cat "$lock" requirements-build.lock pyproject.toml Dockerfile \
    && find labbox custom/templates custom/skeleton -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum) | sha256sum
}

install_labbox() {
  local wanted; wanted=$(fingerprint)
  [ "$prefix" != /opt/labbox ] || [ -e /usr/local/bin/labbox ] || ln -sf "$labbox" /usr/local/bin/labbox
  [ "$(cat "$prefix/installed" 2>/dev/null)" != "$wanted" ] || return 0
  say "installing labbox in $prefix"
  mkdir -p "$prefix"
  local log=$prefix/install.log work; work=$(mktemp -d)
  {
    [ "$(cat "$prefix/requirements.lock" 2>/dev/null)" = "$(cat "$here/$lock")" ] && [ -x "$prefix/venv/bin/pip" ] || {
      rm -rf "$prefix/venv" && /usr/bin/python3 -m venv "$prefix/venv" \
        && "$prefix/venv/bin/pip" install --require-hashes -r "$here/$lock" \
        && cp "$here/$lock" "$prefix/requirements.lock"
    }
  } >"$log" 2>&1 || { tail -n 15 "$log" >&2; die "cannot install the Python packages" "the whole log is in $log; is the package index reachable?"; }
  {
    "$prefix/venv/bin/pip" install --require-hashes -r "$here/requirements-build.lock" --target "$work/build" \
      && PYTHONPATH=$work/build "$prefix/venv/bin/pip" wheel --no-deps --no-build-isolation -w "$work" "$here" \
      && "$prefix/venv/bin/pip" install --no-deps --force-reinstall "$work"/labbox-*.whl
  } >>"$log" 2>&1 || { tail -n 15 "$log" >&2; die "cannot install labbox itself" "the whole log is in $log"; }
  rm -rf "$work"
  printf '%s\n' "$wanted" >"$prefix/installed"
}

has_systemd() { [ -d /run/systemd/system ]; }
engine_answers() { docker version >/dev/null 2>&1; }

start_engine() {
  engine_answers && return 0
  if [ ! -e /etc/docker/daemon.json ]; then # running jobs must live through a restart of the engine
    mkdir -p /etc/docker
    printf '{ "live-restore": true }\n' >/etc/docker/daemon.json
  fi
  if has_systemd; then
    systemctl enable --now docker || die "cannot start the container engine" "journalctl -u docker tells why"
    return 0
  fi
  say "starting the container engine"
  mkdir -p "$run"
  local log=/var/log/labbox-engine.log
  # On its own, so that it outlives a dockerd that was killed; a dockerd that starts its own would find it in the way.
  if ! [ -S /run/containerd/containerd.sock ] || ! ctr_answers; then
    setsid nohup containerd >"$log" 2>&1 </dev/null &
    echo $! >"$run/containerd.pid"
  fi
  wait_for 30 ctr_answers || { tail -n 5 "$log" >&2; die "cannot start containerd" "the whole log is in $log"; }
  rm -f /var/run/docker.pid
  setsid nohup dockerd --containerd /run/containerd/containerd.sock >>"$log" 2>&1 </dev/null &
  echo $! >"$run/dockerd.pid"
  wait_for 60 engine_answers || { tail -n 5 "$log" >&2; die "cannot start the container engine" "the whole log is in $log"; }
}
ctr_answers() { ctr --timeout 2s version >/dev/null 2>&1; }

wait_for() { # seconds, command: polls it
  local end=$((SECONDS + $1)); shift
  until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}

alive() { [ -n "${1:-}" ] && kill -0 "$1" 2>/dev/null; }
recorded() { [ ! -e "$run/box" ] || sed -n "s/^$1=//p" "$run/box"; }
is_ready() { grep -q '^labbox is ready' "$run/up.log" 2>/dev/null; }
ready_or_ended() { is_ready || ! alive "$box_pid"; }

start_box() { # custom, state, ssh: starts `labbox up` in the background and waits for logins
  mkdir -p "$run" "$2"
  if alive "$(recorded pid)"; then die "cannot start: a box runs already (state $(recorded state))" "./autoboot.sh stop ends it"; fi
  : >"$run/up.log"
  setsid nohup "$labbox" up --custom "$1" --state "$2" --ssh "$3" >>"$run/up.log" 2>&1 </dev/null &
  box_pid=$!
  printf 'pid=%s\nstate=%s\nssh=%s\n' "$box_pid" "$2" "$3" >"$run/box"
  wait_for 60 ready_or_ended || true
  is_ready || { tail -n 15 "$run/up.log" >&2; die "cannot start the box" "the whole log is in $run/up.log"; }
}

stop_pid() { # pid, seconds: asks it to end and waits
  alive "$1" || return 0
  kill "$1"
  wait_for "$2" not_alive "$1" || kill -9 "$1"
}
not_alive() { ! alive "$1"; }

stop() {
  if has_systemd && systemctl is-active -q labbox; then systemctl stop labbox; fi
  stop_pid "$(recorded pid)" 20
  rm -f "$run/box"
  local part
  for part in dockerd containerd; do
    [ ! -e "$run/$part.pid" ] || stop_pid "$(cat "$run/$part.pid")" 20
    rm -f "$run/$part.pid"
  done
  say "the box has ended; its state is kept"
}

status() {
  local state; state=${state_option:-$(recorded state)}
  [ -n "$state" ] || state=/var/lib/labbox
  [ -x "$labbox" ] || die "cannot ask the box: labbox is not installed" "./autoboot.sh demo installs and starts it"
  exec "$labbox" --socket "$state/api.sock" status
}

as_user() { # name, word...: a labbox verb over SSH, as that person would type it
  local name=$1; shift
  ssh "${ssh_options[@]}" -p "$port" "$name@$address" "$@"
}

demo() {
  local state=${state_option:-/var/lib/labbox-demo} name secret
  ssh_option=${ssh_option:-127.0.0.1:2222}
  port=${ssh_option##*:} address=${ssh_option%:*}
  case $address in 0.0.0.0 | '' | '[::]') address=localhost ;; esac
  start_box "${custom_option:-$here/custom}" "$state" "$ssh_option"
  say "the box runs: state in $state, log in $run/up.log"
  mkdir -p -m 0700 "$state/demo"
  [ -e "$state/demo/key" ] || ssh-keygen -q -t ed25519 -N '' -C 'labbox demo' -f "$state/demo/key"
  ssh_options=(-i "$state/demo/key" -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new -o "UserKnownHostsFile=$state/demo/known_hosts" -o LogLevel=ERROR -F none)
  for name in ada grace; do
    if [ ! -e "$state/demo/$name.password" ]; then
      secret=$(/usr/bin/python3 -c 'import secrets; print("-".join(secrets.token_hex(2) for _ in range(4)))')
      (umask 077 && printf '%s\n' "$secret" >"$state/demo/$name.password")
    fi
    "$labbox" --socket "$state/api.sock" user show "$name" >/dev/null 2>&1 \
      || "$labbox" --socket "$state/api.sock" user add "$name" --key "$state/demo/key.pub" --password-stdin \
        <"$state/demo/$name.password" >/dev/null
  done
  say "users ada and grace"
  scp -q -r "${ssh_options[@]}" -P "$port" "$here/custom/shared/examples" "ada@$address:"
  say "ada submits examples/reaction-time; the first run makes the image and the environment, which takes about two minutes"
  local tty=(); [ -t 1 ] && tty=(-t)
  local code=0 job
  job=$(as_user ada job submit examples/reaction-time --quiet) || die "cannot submit the example" "the log is in $run/up.log"
  as_user ada "${tty[@]}" job log "$job" --follow || code=$?
  as_user ada job show "$job"
  [ "$code" = 0 ] || die "cannot finish the example: job $job ended with exit code $code" "ssh -p $port ada@$address job why $job"
  local results; results=$(as_user ada job show "$job" --json | /usr/bin/python3 -c 'import json, sys; d = json.load(sys.stdin); print(d.get("job", d)["results"])')
  local folder=$state/results/ada/${results#jobs/}/output # in her logins it stands below ~/jobs
  say "the result, $folder:"
  (cd "$folder" && ls -l && cat effects.csv)
  cat <<EOF

  Log in:     ssh -p $port ada@$address           password: $(cat "$state/demo/ada.password")
              ssh -p $port grace@$address         password: $(cat "$state/demo/grace.password")
  or by key:  ssh -i $state/demo/key -p $port ada@$address
  A study:    scp -P $port -r study ada@$address:  and  ssh -p $port ada@$address job submit study --follow
  Results:    scp -P $port -r ada@$address:$results/output .
  Stop it:    ./autoboot.sh stop
EOF
  if [ "$detach" = yes ] || [ ! -t 0 ]; then return 0; fi
  echo "  Ctrl+C ends the box."
  trap 'echo; stop; exit 0' INT TERM
  while alive "$box_pid"; do sleep 1; done
  die "the box has ended by itself" "the log is in $run/up.log"
}

real() {
  local state=${state_option:-/var/lib/labbox} custom=${custom_option:-/etc/labbox/custom} ssh=${ssh_option:-0.0.0.0:2222}
  if [ ! -d "$custom" ]; then
    mkdir -p "$(dirname "$custom")"
    cp -r "$here/custom" "$custom"
    say "the box's configuration is now in $custom"
  fi
  if has_systemd; then
    local unit
    for unit in labbox-spawner.service labbox.service; do
      sed -e "s,@PREFIX@,$prefix,g" -e "s,@STATE@,$state,g" -e "s,@CUSTOM@,$custom,g" -e "s,@SSH@,$ssh,g" \
        "$here/systemd/$unit" >"/etc/systemd/system/$unit"
    done
    mkdir -p "$state"
    systemctl daemon-reload
    systemctl enable labbox
    systemctl restart labbox || die "cannot start the box" "journalctl -u labbox tells why"
    mkdir -p "$run" && printf 'state=%s\nssh=%s\n' "$state" "$ssh" >"$run/box"
  else
    start_box "$custom" "$state" "$ssh"
  fi
  say "the box runs: ssh -p ${ssh##*:} NAME@$(hostname)"
  say "invite the first person: labbox user invite NAME --admin"
}

command=up detach=no state_option='' custom_option='' ssh_option=''
while [ $# -gt 0 ]; do
  case $1 in
    demo | status | stop | install | engine) command=$1 ;;
    --detach) detach=yes ;;
    --state | --custom | --ssh)
      [ $# -ge 2 ] || { usage >&2; exit 2; }
      printf -v "${1#--}_option" '%s' "$2"; shift ;;
    --state=* | --custom=* | --ssh=*) option=${1%%=*}; printf -v "${option#--}_option" '%s' "${1#*=}" ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'error: cannot understand "%s"\n' "$1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

[ "$command" = status ] && status
[ "$(id -u)" = 0 ] || die "cannot do this as $(id -un)" "run it as root: sudo ./autoboot.sh"
case $command in
  stop) stop ;;
  *)
    install_system_packages
    [ "$command" = engine ] || install_labbox
    [ "$command" = install ] && { say "installed: $labbox"; exit 0; }
    start_engine
    case $command in demo) demo ;; up) real ;; engine) say "the container engine answers" ;; esac
    ;;
esac
